"""What a screen is asked for."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from combo_lightning import __version__
from combo_lightning.data.dataset import sha256_of
from combo_lightning.errors import InputError
from combo_lightning.inference.tables import is_parquet
from combo_lightning.parts import Part

FILES = (".csv", ".tsv", ".tab", ".parquet", ".pq", ".smi", ".smiles", ".ism", ".sdf", ".sd")


@dataclass(frozen=True)
class ScreenRequest:
    """What to screen.

    Args:
        ckpt_path: The model.
        out: The table of the best to write (.parquet or .csv), or the folder of all scores.
        cells: Names of known lines, separated by commas, or a table of new ones; None: all known.
        drugs: Names of known drugs, separated by commas, or a library; None: all known.
        contains: Names of drugs, separated by commas, of which each pair holds one; None: any.
        high: Names of lines, separated by commas, where a response should be high.
        low: Names of lines where it should be low; both or none.
        top: How many of the best; None: write every score.
        lowest: Whether the lowest responses are the best.
        log10_molar: Dose of each drug, where the model was trained on doses.
        study: The study in whose scale pairs are answered; None: an unknown one.
        dtype: Arithmetic of the first pass; see `PairScorer`.
        part: The part of the pairs to screen; the last part to end writes `out`. None: all.
    """

    ckpt_path: Path
    out: Path
    cells: str | None = None
    drugs: str | None = None
    contains: str | None = None
    high: str | None = None
    low: str | None = None
    top: int | None = None
    lowest: bool = False
    log10_molar: float | None = None
    study: str | None = None
    dtype: torch.dtype = torch.float32
    part: Part | None = None

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            InputError: If options contradict each other.
        """
        table = is_parquet(self.out) or self.out.suffix.lower() == ".csv"
        if self.top is None and table:
            raise InputError(
                f"--out: {self.out} is one file; give --top N for a table of the best, or a "
                "folder for every score"
            )
        if self.top is not None and not table:
            raise InputError(f"--out: {self.out} must end in .parquet or .csv with --top")
        if self.top is not None and self.top < 1:
            raise InputError(f"--top is {self.top}; it must be 1 or more")
        for name in ("cells", "drugs", "contains", "high", "low"):
            words = getattr(self, name)
            if words is not None and not split_names(words):
                raise InputError(f"--{name} names nothing; give names or leave the option out")
        if self.log10_molar is not None and not math.isfinite(self.log10_molar):
            raise InputError(f"--log10_molar is {self.log10_molar}; it must be a finite number")
        if (self.high is None) != (self.low is None):
            raise InputError("--high and --low go together: name lines of both")
        if self.high is not None and (self.top is None or self.lowest):
            raise InputError("--high and --low need --top, and rank the largest contrast first")
        if self.top is None and self.out.exists():
            raise InputError(f"--out: {self.out} exists; choose another name or delete it")

    def fingerprint(self) -> dict[str, Any]:
        """Describe what must be the same for a stopped screen to go on, or for parts to be one."""
        words = {
            name: value if value is None else str(value) for name, value in self.__dict__.items()
        }
        words["precision"] = words.pop("dtype")
        words["part"] = None if self.part is None else f"one of {self.part.of}"
        files = (("ckpt_path", self.ckpt_path), ("cells", as_file(self.cells)))
        for name, file in (*files, ("drugs", as_file(self.drugs))):
            if file is not None and file.is_file():
                words[f"{name} SHA-256"] = sha256_of(file)
        return {"version": __version__, **words}


def as_file(words: str | None) -> Path | None:
    """Tell a file from names: by its ending, or because it is there."""
    if words is None:
        return None
    path = Path(words)
    # Not `path.is_file()`, which fails on a list of names that is too long for a file's name.
    return path if path.suffix.lower() in FILES or os.path.isfile(words) else None


def split_names(words: str | None) -> list[str]:
    """Split names at their commas; each once, in the order given."""
    stripped = (word.strip() for word in (words or "").split(","))
    return list(dict.fromkeys(word for word in stripped if word))
