"""Features too large for a checkpoint: a ``.npy`` file beside it, mapped into memory.

The file is named by its content's SHA-256, so that equal features are one file and a name never
stands for two contents.

Shapes: E entities, G features.
"""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from combo_lightning.data.blocks import FloatArray
from combo_lightning.data.dataset import sha256_of
from combo_lightning.errors import InputError

# Larger features stand beside a checkpoint, not in it.
LARGE_BYTES = 64 << 20


@dataclass(frozen=True)
class FeatureFile:
    """Which file a checkpoint needs beside it."""

    name: str
    sha256: str


def write_features(
    folder: Path, prefix: str, shape: tuple[int, int], chunks: Iterable[FloatArray]
) -> FeatureFile:
    """Write features in a stream, aside, and name the file by its content.

    Args:
        folder: Where to.
        prefix: Beginning of the file's name.
        shape: (E, G).
        chunks: The rows in order, float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Processes on several nodes may write it at once.
    aside = folder / f".{prefix}.{platform.node()}.{os.getpid()}.partial"
    try:
        with aside.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            npy.write_array_header_1_0(file, header)
            for part in chunks:
                file.write(np.ascontiguousarray(part, dtype="<f4").data)
        digest = sha256_of(aside)
        name = f"{prefix}-{digest[:16]}.npy"
        os.replace(aside, folder / name)
    finally:
        aside.unlink(missing_ok=True)
    return FeatureFile(name, digest)


def map_features(folder: Path, file: FeatureFile, *, check: bool = True) -> FloatArray:
    """Map features into memory; what is not used is not read.

    Args:
        folder: Where the file is.
        file: Its name and checksum.
        check: Whether to compare the checksum.

    Raises:
        InputError: If the file is missing, is not the one that was written, or its name leads out
            of the folder.
    """
    if file.name != Path(file.name).name:
        raise InputError(
            f"the checkpoint names the features' file '{file.name}', which is no plain file name; "
            "it was not written by combo-lightning"
        )
    path = folder / file.name
    if not path.is_file():
        raise InputError(
            f"the checkpoint needs {file.name} beside it, and {folder} does not hold it; copy it "
            "there from the checkpoints folder of the run"
        )
    if check and sha256_of(path) != file.sha256:
        raise InputError(
            f"{path} was changed or damaged after it was written (its SHA-256 differs from the "
            "checkpoint's); copy it again from the checkpoints folder of the run"
        )
    # "c": changes would stay in memory, so that torch takes it without a copy or a warning.
    mapped: Any = np.load(path, mmap_mode="c", allow_pickle=False)
    features: FloatArray = np.asarray(mapped)
    return features
