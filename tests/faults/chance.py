"""Chance that can be had again: every stream of it has a seed and a name."""

import random


def seeded(seed: int, name: str) -> random.Random:
    """Give a source of its own for each name, so that one's use never shifts another's."""
    return random.Random(f"{seed}:{name}")  # noqa: S311 - moments of faults, no secrets
