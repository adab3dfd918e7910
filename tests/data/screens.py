"""Small screens in memory, for tests of what reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.dataset import Responses, ScreenDataset
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.schema import RESPONSE_KINDS


def make_cells(count: int, seed: int = 1) -> Entities:
    draw = np.random.default_rng(seed)
    block = FeatureBlock(
        "expression",
        tuple(f"G{i}" for i in range(6)),
        "log2",
        draw.normal(size=(count, 6)).astype("f4"),
    )
    names = [f"C{i}" for i in range(count)]
    tissue = [f"T{i // 2}" for i in range(count)]
    return build_entities(
        "cell", names, {"name": names, "tissue": tissue, "synonyms": [[] for _ in names]}, [block]
    )


def make_drugs(count: int, inchikeys: list[str | None] | None = None, seed: int = 2) -> Entities:
    draw = np.random.default_rng(seed)
    block = FeatureBlock(
        "descriptors",
        tuple(f"D{i}" for i in range(5)),
        "x",
        draw.normal(size=(count, 5)).astype("f4"),
    )
    names = [str(100 + i) for i in range(count)]
    keys = inchikeys or [f"KEY{i}" for i in range(count)]
    annotations: dict[str, Sequence[Any]] = {
        "name": [f"drug {n}" for n in names],
        "inchikey": keys,
        "synonyms": [[f"alias {n}"] for n in names],
    }
    return build_entities("drug", names, annotations, [block])


def make_screen(
    cell_N: npt.ArrayLike,
    drug_NK: npt.ArrayLike,
    dose_NK: npt.ArrayLike | None = None,
    cells: Entities | None = None,
    drugs: Entities | None = None,
    weight_N: npt.ArrayLike | None = None,
) -> ScreenDataset:
    cell, drug = np.asarray(cell_N), np.asarray(drug_NK)
    dose = None if dose_NK is None else np.asarray(dose_NK, dtype=np.float32)
    draw = np.random.default_rng(3)
    responses = Responses(
        cell_N=cell.astype(np.int16),
        drug_NK=drug.astype(np.int16),
        log10_molar_NK=dose,
        response_N=draw.normal(10, 5, len(cell)).astype(np.float32),
        weight_N=None if weight_N is None else np.asarray(weight_N, dtype=np.float32),
    )
    return ScreenDataset(
        path=Path("memory"),
        kind=RESPONSE_KINDS["growth" if dose is not None else "combo_score"],
        cells=cells or make_cells(int(cell.max()) + 1),
        drugs=drugs or make_drugs(int(drug.max()) + 1),
        responses=responses,
        manifest={"tables": {"responses": {"sha256": "0"}}, "sources": [], "made_by": {}},
    )


def full_screen(
    cells: int = 6, drugs: int = 7, slots: int = 2, inchikeys: list[str | None] | None = None
) -> ScreenDataset:
    """All combinations in all lines, some twice in the other order, some with fewer drugs."""
    draw = np.random.default_rng(4)
    sets = [sorted(s) for s in {tuple(sorted(draw.permutation(drugs)[:slots])) for _ in range(60)}]
    rows = [(c, *draw.permutation(s)) for c in range(cells) for s in sets]
    again = [(c, *reversed(s)) for c, *s in rows[::7]]
    fewer = [(c, s[0], *([-1] * (slots - 1))) for c, *s in rows[::11]]
    table = np.array(rows + again + fewer)
    return make_screen(table[:, 0], table[:, 1:], drugs=make_drugs(drugs, inchikeys))
