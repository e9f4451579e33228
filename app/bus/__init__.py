"""NATS itself: the embedded server, the connection, publishing, pulling and administration."""
