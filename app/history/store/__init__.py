"""The history of runs in a database: SQLite in a file of its own, or PostgreSQL.

In: run records with their places in the streams. Out: pages of runs, the latest first, and whole
records. The streams are the truth: what is here can be dropped and built from them again.
"""
