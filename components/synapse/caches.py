"""Cache sizes of one process, from its memory limit: the limit is the one thing that a person sets."""

from typing import Any

from kube.quantity import GI, MI

MAX_SHARE, TARGET_SHARE = 0.65, 0.5
"""Of the memory limit. Synapse compares jemalloc's allocated bytes of the whole process with these: above the first it
evicts until the second is reached. The remaining third is for what is no heap, for fragmentation, and for the burst of
one initial sync."""

FACTOR_PER_GI = 1.0
FACTOR_RANGE = (0.5, 10.0)
"""Synapse's own default is 0.5; beyond 10 a cache of one process is larger than what one process can use."""


def global_factor(memory_limit: int) -> float:
    """Multiplier of all cache sizes: 1 for each GiB of the limit, in halves."""
    low, high = FACTOR_RANGE
    halves = round(2 * FACTOR_PER_GI * memory_limit / GI) / 2
    return min(max(halves, low), high)


def caches(memory_limit: int) -> dict[str, Any]:
    """The `caches` section. Whole MiB, in bytes."""
    return {
        "global_factor": global_factor(memory_limit),
        "cache_autotuning": {
            "max_cache_memory_usage": int(memory_limit * MAX_SHARE) // MI * MI,
            "target_cache_memory_usage": int(memory_limit * TARGET_SHARE) // MI * MI,
            "min_cache_ttl": "5m",
        },
    }
