"""``python -m scripts.bench.dense``: fold the reference set's dense matrix, 305,626 x 8,579.

It writes the matrix as npy (10.5 GB) and a tenth of it, and a twentieth as CSV, one after the
other, prepares each in a process of its own, and deletes it. Prints the time and the most memory
of each, and what a wrong cut of the whole answers.
"""

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from scripts.bench import product

ROWS, LINES, DRUGS, LINE_FEATURES, DRUG_FEATURES = 305_626, 60, 104, 921, 3_829
RIGHT = (LINE_FEATURES, LINE_FEATURES + DRUG_FEATURES, LINE_FEATURES + 2 * DRUG_FEATURES)
WRONG = (LINE_FEATURES + 20, LINE_FEATURES + 10 + DRUG_FEATURES, RIGHT[2])
_AT_ONCE = 1_000


@dataclass(frozen=True)
class Drawn:
    """Random entities, and which of them stand in each row."""

    cells: npt.NDArray[np.float32]
    drugs: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]

    def chunks(self) -> Iterator[npt.NDArray[np.float32]]:
        """Give the matrix, some rows at a time."""
        for start in range(0, len(self.rows), _AT_ONCE):
            cell, first, second = self.rows[start : start + _AT_ONCE].T
            parts = [self.cells[cell], self.drugs[first], self.drugs[second]]
            yield np.concatenate(parts, axis=1)


def draw(rows: int) -> Drawn:
    """Draw a matrix of so many rows."""
    random = np.random.default_rng(1)
    cells = random.standard_normal((LINES, LINE_FEATURES), dtype=np.float32)
    drugs = random.standard_normal((DRUGS, DRUG_FEATURES), dtype=np.float32)
    codes = [random.integers(n, size=rows) for n in (LINES, DRUGS, DRUGS)]
    return Drawn(cells, drugs, np.stack(codes, axis=1))


def write_npy(path: Path, rows: int) -> None:
    """Write a matrix as npy, in a stream."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, RIGHT[2])}
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        for chunk in draw(rows).chunks():
            file.write(chunk.data)


def write_csv(path: Path, rows: int) -> None:
    """Write a matrix as CSV: each entity becomes text once."""
    drawn = draw(rows)
    cells, drugs = (
        [",".join(map(str, entity)) for entity in table] for table in (drawn.cells, drawn.drugs)
    )
    with path.open("w", encoding="utf-8") as file:
        for cell, first, second in drawn.rows.tolist():
            file.write(f"{cells[cell]},{drugs[first]},{drugs[second]}\n")


def prepare(features: Path, rows: int, folder: Path, edges: tuple[int, int, int]) -> list[str]:
    """Write the responses, and give the command that prepares the matrix."""
    responses = folder / "y.npy"
    np.save(responses, np.random.default_rng(2).normal(size=rows).astype(np.float32))
    names = ("cell", "drug_1", "drug_2")
    cuts = [f"{n}={a}:{b}" for n, a, b in zip(names, (0, *edges), edges, strict=False)]
    return [
        *("prepare", "dense", "--features", str(features), "--responses", str(responses)),
        *(word for cut in cuts for word in ("--slice", cut)),
        *("--overwrite", "true", "--out", str(folder / "out")),
    ]


def main() -> int:
    """Make, prepare and delete each matrix; print and write JSON.

    Raises:
        SystemExit: If the disk has no room.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/dense"))
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    folder, rows = arguments.folder, arguments.rows
    folder.mkdir(parents=True, exist_ok=True)
    needed = 4.2 * rows * RIGHT[2]
    if shutil.disk_usage(folder).free < needed:
        raise SystemExit(f"{folder} needs {needed / 1e9:.0f} GB of free disk")
    figures: dict[str, Any] = {}
    for name, suffix, count in (
        ("npy, a tenth", "npy", rows // 10),
        ("CSV, a twentieth", "csv", rows // 20),
        ("npy", "npy", rows),
    ):
        features = folder / f"features.{suffix}"
        try:
            start = time.perf_counter()
            (write_npy if suffix == "npy" else write_csv)(features, count)
            written = time.perf_counter() - start
            used = _processor_seconds()
            ran = product.run(*prepare(features, count, folder, RIGHT))
            figures[name] = {
                "rows": count,
                "file_mb": features.stat().st_size / 1e6,
                "seconds": ran.seconds,
                "processor_seconds": _processor_seconds() - used,
                "peak_mb": ran.peak_mb,
                "seconds_to_write": written,
            }
            if name == "npy":
                figures["wrong cut"] = _refused(prepare(features, count, folder, WRONG))
        finally:
            features.unlink(missing_ok=True)
        sys.stdout.write(json.dumps({name: figures[name]}, indent=2) + "\n")
    (folder / "dense.json").write_text(json.dumps(figures, indent=2) + "\n")
    sys.stdout.write(json.dumps(figures.get("wrong cut"), indent=2) + "\n")
    return 0


def _processor_seconds() -> float:
    """Seconds of a processor that ended children took: others may use the machine too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _refused(words: list[str]) -> dict[str, Any]:
    """Run a command that has to be refused.

    Raises:
        SystemExit: If it is not.
    """
    start, used = time.perf_counter(), _processor_seconds()
    try:
        product.run(*words)
    except SystemExit as error:
        return {
            "seconds": time.perf_counter() - start,
            "processor_seconds": _processor_seconds() - used,
            "said": str(error).strip().splitlines()[-1],
        }
    raise SystemExit("the wrong cut was not refused")


if __name__ == "__main__":
    sys.exit(main())
