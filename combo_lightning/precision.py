"""Which arithmetic to train in: bf16 where the processor multiplies it fast, else fp32.

bf16 here means Lightning's ``bf16-mixed``: weights, their updates and sums stay fp32, matrix
products take bf16 inputs. Without a bf16 unit such a product is a hundred times slower than fp32.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

logger = logging.getLogger(__name__)

Precision = Literal["auto", "32-true", "bf16-mixed", "64-true"]
# Flags of /proc/cpuinfo: AVX-512 BF16 and AMX (x86), BF16 (Arm).
BF16_UNITS = ("amx_bf16", "avx512_bf16", "bf16")
# 8-bit products: AVX-512 VNNI, AVX VNNI, AMX.
INT8_UNITS = ("amx_int8", "avx512_vnni", "avx_vnni")
CPUINFO = Path("/proc/cpuinfo")


def bf16_unit(accelerator: str = "auto") -> str | None:
    """Name the unit that multiplies bf16 fast on the device that Lightning will choose.

    Args:
        accelerator: Lightning's accelerator: "auto", "cpu", "gpu" or "cuda".

    Returns:
        The GPU's name or the processor's flag; None: there is no such unit.
    """
    import torch

    if accelerator != "cpu" and torch.cuda.is_available():
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.cuda.get_device_name()
        return None
    return _processor_flag(BF16_UNITS)


def int8_unit() -> str | None:
    """Name the processor's flag of 8-bit products, which a screen's first pass can use."""
    return _processor_flag(INT8_UNITS)


def _processor_flag(wanted: Sequence[str]) -> str | None:
    if not CPUINFO.is_file():
        return None
    words: set[str] = set()
    with CPUINFO.open(encoding="utf-8") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip().lower() in ("flags", "features"):
                words = set(value.split())
                break
    return next((flag for flag in wanted if flag in words), None)


def choose_precision(wanted: Precision, accelerator: str = "auto") -> Precision:
    """Resolve "auto", and say what was chosen and why.

    Args:
        wanted: What the user asked for.
        accelerator: Lightning's accelerator.

    Returns:
        Lightning's name of the precision; never "auto".
    """
    if wanted not in ("auto", "bf16-mixed"):
        return wanted
    unit = bf16_unit(accelerator)
    if wanted == "bf16-mixed":
        if unit is None:
            logger.warning(
                "--precision bf16-mixed: this processor has no bf16 unit, so that it is far "
                "slower than 32-true"
            )
        return wanted
    chosen = precision_for(unit)
    logger.info("precision: %s (%s)", chosen, unit or "no bf16 unit found")
    return chosen


def precision_for(unit: str | None) -> Precision:
    """Give what "auto" stands for, given what `bf16_unit` names."""
    return "32-true" if unit is None else "bf16-mixed"
