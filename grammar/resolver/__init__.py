"""Syntax trees in, names bound to variables out; every problem of a text is reported at once."""
