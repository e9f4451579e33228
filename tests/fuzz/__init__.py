"""Coverage-guided fuzzing of the language; not part of the tests, but its seeds are."""
