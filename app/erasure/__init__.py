"""Erasure: all that an env holds of a deleted tenant goes, and stays gone."""
