"""Nodes: one file per node type, and the catalogue that lists them."""
