"""Small screens in memory for the tests of evaluation and report."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.dataset import Responses, ScreenDataset
from combo_lightning.data.entities import build_entities
from combo_lightning.data.schema import RESPONSE_KINDS
from combo_lightning.data.splits import TEST, TRAIN, VALIDATION, Split


def build_screen(
    cell_N: npt.ArrayLike,
    drug_NK: npt.ArrayLike,
    response_N: npt.ArrayLike,
    *,
    weight_N: npt.ArrayLike | None = None,
    dose_NK: npt.ArrayLike | None = None,
    inchikeys: list[str] | None = None,
    num_cells: int = 0,
) -> ScreenDataset:
    cells = np.asarray(cell_N, dtype=np.int16)
    drugs = np.asarray(drug_NK, dtype=np.int16)
    num_cells, num_drugs = max(num_cells, int(cells.max()) + 1), int(drugs.max()) + 1
    responses = Responses(
        cell_N=cells,
        drug_NK=drugs,
        log10_molar_NK=None if dose_NK is None else np.asarray(dose_NK, dtype=np.float32),
        response_N=np.asarray(response_N, dtype=np.float32),
        weight_N=None if weight_N is None else np.asarray(weight_N, dtype=np.float32),
    )
    names = [f"drug {i}" for i in range(num_drugs)]
    keys = inchikeys or [f"KEY{i}" for i in range(num_drugs)]
    tissues = ["Colon" if i % 2 else "Breast" for i in range(num_cells)]
    return ScreenDataset(
        path=Path("screen"),
        kind=RESPONSE_KINDS["combo_score" if dose_NK is None else "growth"],
        cells=build_entities("cell", [f"L{i}" for i in range(num_cells)], {"tissue": tissues}, []),
        drugs=build_entities(
            "drug", [str(i) for i in range(num_drugs)], {"name": names, "inchikey": keys}, []
        ),
        responses=responses,
        manifest={"tables": {}},
    )


def additive_screen(rows: int = 3000, lines: int = 6, drugs: int = 8, seed: int = 0) -> Any:
    """Pairs whose response is line + drug + drug + noise; also its noiseless responses."""
    draw = np.random.default_rng(seed)
    drug_NK = np.argsort(draw.random((rows, drugs)), axis=1)[:, :2]
    cell_N = draw.integers(0, lines, rows)
    line, drug = draw.normal(0, 10, lines), draw.normal(0, 10, drugs)
    truth_N = 40 + line[cell_N] + drug[drug_NK].sum(axis=1)
    return build_screen(cell_N, drug_NK, truth_N + draw.normal(0, 1, rows)), truth_N


def split_of(part_N: npt.ArrayLike, unseen_N: npt.ArrayLike | None = None) -> Split:
    parts = np.asarray(part_N, dtype=np.int8)
    unseen = np.zeros(len(parts)) if unseen_N is None else np.asarray(unseen_N)
    return Split(parts, unseen.astype(np.int8))


def drawn_split(rows: int, seed: int = 1) -> Split:
    draw = np.random.default_rng(seed)
    return split_of(draw.choice([TRAIN, VALIDATION, TEST], rows, p=[0.7, 0.1, 0.2]))
