"""The hashes of `curate_core::random`, for the scripts beside this one."""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    with np.errstate(over="ignore"):
        z = np.uint64(z) + GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def derive(seed, purpose):
    state = mix(seed)
    for byte in purpose.encode():
        state = mix(state ^ np.uint64(byte))
    return state


def unit(seed, high, low):
    """Numbers from 0 to 1 of a seed and ids whose halves are `high` and the array `low`."""
    with np.errstate(over="ignore"):
        drawn = mix((mix(mix(seed) ^ np.uint64(high)) + GOLDEN) ^ np.asarray(low, np.uint64))
    return (drawn >> np.uint64(11)).astype(float) / 2**53
