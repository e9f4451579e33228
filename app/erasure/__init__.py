"""Erasure: everything of a deleted tenant, gone from every store."""
