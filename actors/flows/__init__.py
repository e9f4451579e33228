"""Flows: what a `.ygtc` file says, what is wrong with it, and what it compiles to."""
