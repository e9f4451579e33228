"""The history under kills: `python -m tests.history.run`; a short form of it is a test."""
