"""How fast processes of different nodes sum numbers, over gloo and one pair at a time.

Process groups of their own, beside torch's default one: a pair that fails disturbs no other.
"""

import time
from datetime import timedelta
from statistics import median
from typing import Any

import torch
from torch._C._distributed_c10d import PrefixStore, ProcessGroupGloo, Store, TCPStore

_SMALL_BYTES, _LARGE_BYTES = 4, 8 << 20
_PATIENCE = timedelta(seconds=20)
_SMALL_TIMES, _LARGE_TIMES = 20, 5


def open_store(port: int = 0) -> TCPStore:
    """Open a store in this process, where the processes of a group find each other.

    Args:
        port: Its port; 0: any that is free.
    """
    return TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)


def measure(store: Store, name: str, rank: int, size: int) -> tuple[float, float]:
    """Time all-reduces; all processes of the group call this together.

    Args:
        store: Where they find each other.
        name: The group's name in the store.
        rank: This process.
        size: Processes of the group.

    Returns:
        Median seconds of 4 bytes, and of 8 MiB.

    Raises:
        RuntimeError: If they do not find each other, or sum wrongly.
    """
    group: Any = ProcessGroupGloo(PrefixStore(name, store), rank, size, _PATIENCE)
    small = _median_time(group, _SMALL_BYTES, _SMALL_TIMES)
    large = _median_time(group, _LARGE_BYTES, _LARGE_TIMES)
    if large[1] != size:
        raise RuntimeError(f"{size} ones were summed to {large[1]}")
    return small[0], large[0]


def _median_time(group: Any, size: int, times: int) -> tuple[float, float]:
    """Give the median, without the first, and what the last all-reduce gave."""
    took, total = [], 0.0
    for _ in range(times + 1):
        ones = torch.ones(size // 4)
        group.allreduce([torch.zeros(1)]).wait()  # All begin together.
        start = time.perf_counter()
        group.allreduce([ones]).wait()
        took.append(time.perf_counter() - start)
        total = float(ones.max())
    return median(took[1:]), total


def connect(host: str, port: int) -> TCPStore:
    """Connect to the store of another process.

    Args:
        host: Its node.
        port: Its port.
    """
    return TCPStore(host, port, is_master=False, timeout=_PATIENCE)
