"""In-memory twins of every port: what tests, examples and dry runs use in place of the world."""
