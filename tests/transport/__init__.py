"""The nats:// transport under kills: ``python -m tests.transport.run``."""
