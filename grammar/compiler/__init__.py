"""Resolved trees in, code objects out; built from `ast` nodes, never from text."""
