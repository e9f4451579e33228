"""Private lanes: who may begin, and when (SPEC 8). Rules here are values; `lane` is the actor."""
