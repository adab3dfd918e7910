"""What one machine has, as a process of a run sees it."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from combo_lightning import __version__
from combo_lightning.precision import BF16_UNITS, CPUINFO, INT8_UNITS

# What makes products fast, as /proc/cpuinfo names it: width, then bf16 and 8-bit units.
_FLAGS = ("avx2", "avx512f", "asimd", "sve", *dict.fromkeys((*BF16_UNITS, *INT8_UNITS)))


@dataclass(frozen=True)
class Machine:
    """One machine.

    Args:
        package: Version of combo-lightning.
        folder: Where it lies.
        python: Version of Python.
        torch: Version of torch.
        lightning: Version of Lightning.
        program: The ``combo-lightning`` that a script would start; empty: none.
        processor: Its name, and the flags that matter.
        precision: What ``--precision auto`` picks.
        unit: The unit that multiplies bf16 fast; empty: none.
        cores: Processors that this process may use, such as ``0-3``.
        num_cores: How many those are.
        all_cores: Processors of the machine.
        threads: ``OMP_NUM_THREADS``; empty: not set.
        gpus: Names of the GPUs that torch sees.
    """

    package: str
    folder: str
    python: str
    torch: str
    lightning: str
    program: str
    processor: str
    precision: str
    unit: str
    cores: str
    num_cores: int
    all_cores: int
    threads: str
    gpus: list[str]


@dataclass(frozen=True)
class DataSeen:
    """A data set, as one machine sees it.

    Args:
        fingerprint: Of its tables; empty: it cannot be read.
        megabytes: Size of its tables.
        error: Why it cannot be read; empty: it can.
    """

    fingerprint: str
    megabytes: float
    error: str


def examine_machine() -> Machine:
    """Look at this machine; loads torch."""
    import torch

    from combo_lightning.precision import bf16_unit, precision_for

    cores = sorted(os.sched_getaffinity(0))
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else range(0)
    return Machine(
        package=__version__,
        folder=str(Path(__file__).parents[1]),
        python=platform.python_version(),
        torch=torch.__version__,
        lightning=version("lightning"),
        program=shutil.which("combo-lightning") or "",
        processor=_processor(),
        precision=precision_for(bf16_unit()),
        unit=bf16_unit() or "",
        cores=_ranges(cores),
        num_cores=len(cores),
        all_cores=os.cpu_count() or len(cores),
        threads=os.environ.get("OMP_NUM_THREADS", ""),
        gpus=[torch.cuda.get_device_name(i) for i in gpus],
    )


def examine_data(path: Path) -> DataSeen:
    """Look whether a data set can be read here; reads what it says of itself, not its rows.

    Args:
        path: The data set's directory.
    """
    from combo_lightning.data.dataset import fingerprint_of, read_manifest
    from combo_lightning.errors import InputError

    try:
        manifest = read_manifest(path)
        size = 0
        for table in manifest["tables"].values():
            with (path / table["file"]).open("rb") as file:
                size += file.seek(0, os.SEEK_END)
    except InputError as error:
        return DataSeen("", 0.0, str(error))
    except OSError as error:
        return DataSeen("", 0.0, f"{error.filename}: {error.strerror}")
    return DataSeen(fingerprint_of(manifest), size / 1e6, "")


def _processor() -> str:
    """Name the processor and its flags."""
    facts: dict[str, str] = {}
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            facts.setdefault(name.strip().lower(), value.strip())
    flags = set((facts.get("flags") or facts.get("features") or "").split())
    name = facts.get("model name") or platform.machine()
    return f"{name}: {' '.join(flag for flag in _FLAGS if flag in flags) or 'no known flags'}"


def _ranges(numbers: list[int]) -> str:
    """Write sorted numbers as ranges.

    Example:
        >>> _ranges([0, 1, 2, 5])
        '0-2,5'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)
