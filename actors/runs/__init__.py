"""Runs: one value that goes through named steps, from delivery to settled outcome."""
