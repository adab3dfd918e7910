"""Dense matrices of known entities, as LBANN's and CANDLE's scripts leave them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from combo_lightning.data.dataset import ScreenDataset

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Drawn:
    """A matrix, its responses, and the cut that made it."""

    matrix: Floats
    response: Floats
    edges: tuple[int, ...]
    lines: int
    drugs: int

    @property
    def slices(self) -> list[str]:
        names = ["cell", *(f"drug_{k}" for k in range(1, len(self.edges)))]
        ends = zip((0, *self.edges), self.edges, strict=False)
        return [f"{n}={a}:{b}" for n, (a, b) in zip(names, ends, strict=True)]


def draw(
    rows: int = 200,
    lines: int = 5,
    drugs: int = 6,
    widths: tuple[int, int] = (4, 3),
    slots: int = 2,
    seed: int = 0,
) -> Drawn:
    """Draw entities and rows; every entity stands in some row, every drug in every slot."""
    random = np.random.default_rng(seed)
    tables = [random.normal(size=(n, w)).astype(np.float32) for n, w in
              ((lines, widths[0]), (drugs, widths[1]))]  # fmt: skip
    codes = [random.permutation(np.arange(rows) % n) for n in (lines, *[drugs] * slots)]
    parts = [tables[0][codes[0]], *(tables[1][code] for code in codes[1:])]
    edges = tuple(widths[0] + k * widths[1] for k in range(slots + 1))
    response = random.normal(size=rows).astype(np.float32)
    return Drawn(np.concatenate(parts, axis=1), response, edges, lines, drugs)


def unfold(dataset: ScreenDataset) -> Floats:
    """Give the matrix back from a data set."""
    r = dataset.responses
    cells, drugs = (e.blocks["features"].values_EF for e in (dataset.cells, dataset.drugs))
    return np.concatenate([cells[r.cell_N], *(drugs[code] for code in r.drug_NK.T)], axis=1)


def equal_bits(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Compare every bit; missing is missing."""
    nan = np.isnan(one)
    same = np.where(nan, 0, one).tobytes() == np.where(nan, 0, other).tobytes()
    return one.shape == other.shape and bool((nan == np.isnan(other)).all()) and same


def write(values: npt.NDArray[Any], path: Path) -> Path:
    """Write a matrix or a column in the format of its name."""
    kind = path.name.partition(".")[2]
    if kind.lstrip("0123456789.") == "npy":
        np.save(path, values)
        return path
    frame = pd.DataFrame(values)
    if kind == "fortran.npy":
        np.save(path, np.asfortranarray(values))
    elif kind == "big.npy":
        np.save(path, values.astype(">f4"))
    elif kind == "double.npy":
        np.save(path, values.astype(np.float64))
    elif kind == "npy.gz":
        import gzip

        with gzip.open(path, "wb") as file:
            np.save(file, values)
    elif kind == "npz":
        np.savez_compressed(path, values)
    elif kind == "parquet":
        frame.rename(columns=lambda i: f"f{i}").to_parquet(path)
    elif kind == "csv":  # no header, as LBANN reads it
        frame.to_csv(path, header=False, index=False)
    elif kind == "headed.csv":
        frame.rename(columns=lambda i: f"f{i}").to_csv(path, index=False)
    elif kind == "pandas.csv":  # a header of numbers alone
        frame.to_csv(path, index=False)
    elif kind == "csv.gz":
        frame.to_csv(path, header=False, index=False, compression="gzip")
    elif kind == "tsv":
        frame.to_csv(path, header=False, index=False, sep="\t")
    elif kind == "txt":
        np.savetxt(path, values, fmt="%.9e")
    else:
        raise AssertionError(kind)
    return path
