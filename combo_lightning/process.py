"""How this process waits, keeps memory and takes signals, from its first moment on."""

import ctypes
import os
import signal
import sys
import threading
from typing import Any

# Numbers of mallopt(3) in glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# The most that glibc accepts for M_MMAP_THRESHOLD on 64-bit machines.
_LARGEST_MMAP_THRESHOLD = 32 << 20


# Signals that came before training could take them.
_early: list[int] = []


def keep_early_signals() -> None:
    """Keep SIGUSR1 for training, which takes it once it runs; by default it ends the process.

    Slurm sends it before a time limit, perhaps while the program still reads its data.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, _keep)


def early_signal() -> int:
    """Give the last signal that was kept; 0: none came."""
    return _early[-1] if _early else 0


def _keep(number: int, frame: Any) -> None:
    _early.append(number)


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait, unless the user chose; before torch is loaded.

    This and `keep_freed_memory` are worth a fifth to a third of a training step.

    Threads that spin take 3 to 5 times the processor on shared cores (neighbours, ranks of the
    same machine). A thread that sleeps at once must be woken 400 times a training step: 10
    microseconds of spinning first make the bf16 step of the published network a seventh shorter
    where nobody else is, and a tenth longer where another such process shares the cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def keep_freed_memory() -> None:
    """Tell glibc to keep what was freed: each step allocates what the last one gave back.

    By default a block of 4 MB goes back to the system at once and costs a page fault for each
    4 KB when it is needed again: 2,700 faults and 15 of 65 ms in a bf16 step of the published
    network. Other C libraries are left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
