"""Any screens, and splits of them, for properties that must hold of all."""

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.splits import Split, SplitConfig, draw_split
from combo_lightning.errors import InputError
from tests.data.screens import full_screen, make_cells, make_drugs, make_screen

KINDS: list[Any] = [
    "random",
    "leave_pair_out",
    "leave_cell_line_out",
    "leave_drug_out",
    "leave_tissue_out",
]
# Drugs 0 and 6 are one compound; drug 2 has no structure.
KEYS: list[str | None] = ["A", "B", None, "D", "E", "F", "A"]
KINDS_AND_SLOTS = [(k, n) for k in KINDS for n in (1, 2, 3) if (k, n) != ("leave_pair_out", 1)]


def screen_of(slots: int) -> ScreenDataset:
    return full_screen(cells=8, drugs=7, slots=slots, inchikeys=KEYS)


@st.composite
def screens(draw: st.DrawFn, slots: int) -> ScreenDataset:
    """Any screen: equal compounds, drugs without structure, both orders, replicates, empty slots.

    Empty slots stand anywhere, and some rows hold one compound twice.
    """
    num_cells, num_drugs = draw(st.integers(6, 10)), draw(st.integers(6, 10))
    keys = draw(
        st.lists(st.sampled_from(["A", "B", "C", None]), min_size=num_drugs, max_size=num_drugs)
    )
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    rows = draw(st.integers(20, 80))
    drug = random.integers(0, num_drugs, (rows, slots))
    drug[random.random((rows, slots)) < draw(st.sampled_from([0, 0.3]))] = -1
    drug[(drug < 0).all(axis=1), 0] = 0
    cell = random.integers(0, num_cells, rows)
    again = random.integers(0, rows, rows // 4)
    return make_screen(
        np.concatenate([cell, cell[again]]),
        np.concatenate([drug, drug[again, ::-1]]),
        cells=make_cells(num_cells),
        drugs=make_drugs(num_drugs, keys),
    )


def compounds_of(dataset: ScreenDataset) -> list[list[str]]:
    """What each row holds, computed another way: as text, in order."""
    keys = dataset.drugs.annotation("inchikey")
    name = [key or f"drug {i}" for i, key in enumerate(keys)]
    return [sorted(name[d] for d in row if d >= 0) for row in dataset.responses.drug_NK]


def groups_of(dataset: ScreenDataset, kind: str) -> np.ndarray:
    """What must stay together under each rule, as text."""
    sets = [",".join(row) for row in compounds_of(dataset)]
    lines = [dataset.cells.ids[c] for c in dataset.responses.cell_N]
    tissues = [str(dataset.cells.annotation("tissue")[c]) for c in dataset.responses.cell_N]
    return np.array(
        {
            "random": [f"{s}|{c}" for s, c in zip(sets, lines, strict=True)],
            "leave_pair_out": sets,
            "leave_cell_line_out": lines,
            "leave_tissue_out": tissues,
        }[kind]
    )


def draw_if_possible(dataset: ScreenDataset, config: SplitConfig, seed: int) -> Split:
    """Draw; an example with too few groups for three parts does not count."""
    try:
        return draw_split(dataset, config, seed)
    except InputError as error:
        assume(not any(text in str(error) for text in ("is empty", "only", "two drugs or more")))
        raise
