"""Benchmarks: ratios within one run, never tests. `make bench` prints them all."""
