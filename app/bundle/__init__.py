"""Bundles on disk: what a folder says, what is wrong with it, and the flows it compiles to.

In: a folder (SPEC 3). Out: a frozen `reading.Bundle`, or every problem with file, line and column.
Refuses what it does not know, what leaves the folder and what this version lacks.
"""
