"""Who changed what: an append-only log."""
