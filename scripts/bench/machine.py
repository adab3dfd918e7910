"""What the machine is, and how fast it multiplies matrices right now."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

SQUARE = 2048


def describe() -> dict[str, Any]:
    """Tell processor, flags, cores, versions, thread settings and load."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.is_file() else ""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    flags = fields.get("flags", "").split()
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": f"{fields.get('model name', platform.processor())} "
        f"(family {fields.get('cpu family', '?')}, model {fields.get('model', '?')})",
        "flags": [f for f in flags if f.startswith(("avx2", "avx512_bf16", "avx512_vnni", "amx"))],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", "not set"),
        "load": os.getloadavg(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": version("lightning"),
        },
    }


def gemm_rate(dtype: torch.dtype, device: str = "cpu", size: int = SQUARE) -> float:
    """Measure the rate of a square matrix product, the best of five, in FLOP/s."""
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)
    count = 20 if device != "cpu" else 2

    def multiply() -> None:
        for _ in range(count):
            a @ b.T

    return 2 * size**3 * count / min(seconds(multiply, device) for _ in range(5))


def seconds(work: Callable[[], object], device: str = "cpu") -> float:
    """Time one call, with the device's queue empty before and after."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
