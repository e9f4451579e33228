"""Deploys of many kinds of flows under load, and a judge that works out what each event was owed.

`python -m tests.rollouts.run` says what was promised and is not so.
"""
