"""Random draws of whole arrays, used by the other modules."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Rng = np.random.Generator
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def draw_flags(rng: Rng, share: float, count: int) -> Flags:
    """Returns flags that are true with probability `share`, each independently."""
    return np.asarray(rng.random(count) < share)


def draw_systematic_flags(rng: Rng, share: float, count: int) -> Flags:
    """Returns flags that are true for `share` of `count` to within one, so that a small club has its share too."""
    steps = np.floor(rng.random() + share * np.arange(count + 1))
    return np.asarray(np.diff(steps) > 0)


def draw_categories(rng: Rng, weights: Sequence[float], count: int) -> Ints:
    """Returns positions in `weights`, drawn with these weights."""
    edges = np.cumsum(weights)
    return np.asarray(np.searchsorted(edges[:-1], rng.random(count) * edges[-1], side="right"), dtype=np.int64)


def draw_integers(rng: Rng, low: Ints | int, high: Ints | int, count: int) -> Ints:
    """Returns whole numbers from `low` to `high`; `low` where `high` is not above it."""
    span = np.maximum(np.asarray(high) - np.asarray(low), 0)
    return np.asarray(low + (rng.random(count) * (span + 1)).astype(np.int64))


def draw_delays(rng: Rng, mean_seconds: float, count: int) -> Ints:
    """Returns exponential waiting times in whole seconds."""
    return (rng.standard_exponential(count) * mean_seconds).astype(np.int64)
