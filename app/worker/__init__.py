"""What a worker needs of the outside world besides NATS."""
