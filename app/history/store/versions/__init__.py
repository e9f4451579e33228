"""Migrations of the history's tables, in order. A published one never changes."""
