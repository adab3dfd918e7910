"""What belongs together is never torn apart, and nothing held out trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import compound_of_drug, compound_sets
from combo_lightning.data.splits import (
    PARTS,
    TEST,
    TRAIN,
    VALIDATION,
    Split,
    SplitConfig,
    draw_split,
    write_split,
)
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


def screen_of(slots: int) -> ScreenDataset:
    return full_screen(cells=8, drugs=7, slots=slots, inchikeys=KEYS)


def groups_of(dataset: ScreenDataset, kind: str) -> np.ndarray:
    """What must stay together under each rule, computed another way: as text."""
    responses, compound = dataset.responses, compound_of_drug(dataset)
    sets = [
        ",".join(str(d) for d in sorted(compound[d] for d in row if d >= 0))
        for row in responses.drug_NK
    ]
    lines = [dataset.cells.ids[c] for c in responses.cell_N]
    tissues = [str(dataset.cells.annotation("tissue")[c]) for c in responses.cell_N]
    return np.array(
        {
            "random": [f"{s}|{c}" for s, c in zip(sets, lines, strict=True)],
            "leave_pair_out": sets,
            "leave_cell_line_out": lines,
            "leave_tissue_out": tissues,
        }[kind]
    )


@pytest.mark.parametrize("slots", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10_000), test=st.floats(0.05, 0.4), validation=st.floats(0.05, 0.3))
def test_a_split_keeps_its_rule(
    kind: Any, slots: int, seed: int, test: float, validation: float
) -> None:
    if kind == "leave_pair_out" and slots == 1:
        return
    dataset = screen_of(slots)
    config = SplitConfig(kind=kind, test_fraction=test, validation_fraction=validation)
    try:
        split = draw_split(dataset, config, seed)
    except InputError as error:  # too few groups for three parts
        if "part of the" not in str(error):
            raise
        return
    assert split.part_N.shape == (len(dataset.responses),)
    assert set(split.part_N) == {TRAIN, VALIDATION, TEST}
    if kind == "leave_drug_out":
        _check_drugs_held_out(dataset, split)
        return
    groups = groups_of(dataset, kind)
    single = (dataset.responses.drug_NK >= 0).sum(axis=1) < 2
    if kind == "leave_pair_out":
        assert (split.part_N[single] == TRAIN).all()
        groups, parts = groups[~single], split.part_N[~single]
    else:
        parts = split.part_N
    for group in np.unique(groups):
        assert len(set(parts[groups == group])) == 1


def _check_drugs_held_out(dataset: ScreenDataset, split: Split) -> None:
    compound = compound_of_drug(dataset)
    drugs = [{compound[d] for d in row if d >= 0} for row in dataset.responses.drug_NK]
    used = [set().union(*(drugs[i] for i in np.flatnonzero(split.part_N == p))) for p in range(3)]
    trained = used[TRAIN]
    for part in (VALIDATION, TEST):
        for i in np.flatnonzero(split.part_N == part):
            assert drugs[i] - trained, "a held-out row holds no held-out drug"
    # A drug that only test rows brought in is in no validation row.
    test_only = used[TEST] - trained - used[VALIDATION]
    assert test_only or used[VALIDATION] - trained
    assert split.unseen_drugs_N.tolist() == [len(row - trained) for row in drugs]


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "leave_drug_out"])
@pytest.mark.parametrize("num_folds", [2, 3, 4])
def test_every_group_is_tested_in_exactly_one_fold(kind: Any, num_folds: int) -> None:
    dataset = screen_of(2)
    tested = np.zeros(len(dataset.responses), dtype=int)
    sizes = []
    for fold in range(num_folds):
        config = SplitConfig(kind=kind, num_folds=num_folds, fold=fold, validation_fraction=0.1)
        split = draw_split(dataset, config, 3)
        tested += split.part_N == TEST
        sizes.append(len(split.test_rows))
        assert len(split.validation_rows)
    single = (dataset.responses.drug_NK >= 0).sum(axis=1) < 2
    expected = np.where(single & (kind == "leave_pair_out"), 0, 1)
    np.testing.assert_array_equal(tested, expected)
    if kind == "random":
        assert max(sizes) - min(sizes) <= 4


def test_folds_of_drugs_hold_each_drug_out_once() -> None:
    dataset = screen_of(2)
    compound = compound_of_drug(dataset)
    held: list[int] = []
    for fold in range(3):
        config = SplitConfig(
            kind="leave_drug_out", num_folds=3, fold=fold, validation_fraction=0.0
        )
        split = draw_split(dataset, config, 1)
        train = dataset.responses.drug_NK[split.train_rows]
        held += sorted(set(compound) - set(compound[train[train >= 0]]))
    assert sorted(held) == sorted(set(compound))


@pytest.mark.parametrize("kind", KINDS)
def test_equal_arguments_give_equal_parts_and_another_seed_others(kind: Any) -> None:
    dataset = screen_of(2)
    config = SplitConfig(kind=kind, test_fraction=0.3, validation_fraction=0.2)
    first = draw_split(dataset, config, 1).part_N
    np.testing.assert_array_equal(draw_split(dataset, config, 1).part_N, first)
    others = [draw_split(dataset, config, seed).part_N for seed in range(2, 8)]
    assert any((other != first).any() for other in others)


def test_the_order_of_the_rows_does_not_matter() -> None:
    dataset = screen_of(2)
    responses = dataset.responses
    order = np.random.default_rng(0).permutation(len(responses))
    moved = make_screen(
        responses.cell_N[order],
        responses.drug_NK[order],
        cells=dataset.cells,
        drugs=dataset.drugs,
    )
    for kind in KINDS:
        config = SplitConfig(kind=kind, test_fraction=0.3, validation_fraction=0.2)
        parts = draw_split(dataset, config, 5).part_N
        np.testing.assert_array_equal(draw_split(moved, config, 5).part_N, parts[order])


def test_fractions_come_out_in_rows() -> None:
    dataset = screen_of(2)
    split = draw_split(dataset, SplitConfig(test_fraction=0.2, validation_fraction=0.1), 1)
    total = len(dataset.responses)
    assert abs(len(split.test_rows) / total - 0.2) < 0.02
    assert abs(len(split.validation_rows) / total - 0.1) < 0.02


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SplitConfig(test_fraction=-0.1), "test_fraction is -0.1"),
        (SplitConfig(test_fraction=0.6, validation_fraction=0.5), "leave nothing to train on"),
        (SplitConfig(num_folds=1), "num_folds is 1"),
        (SplitConfig(num_folds=3, fold=3), "it must be 0 to 2"),
        (SplitConfig(kind="leave_cell_line_out", num_folds=99), "only 8 groups"),
        (SplitConfig(kind="file"), "go together"),
        (SplitConfig(kind="leave_tissue_out", test_fraction=0.99, validation_fraction=0), "train"),
    ],
)
def test_a_split_that_cannot_be_is_refused(config: SplitConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw_split(screen_of(2), config, 1)


def test_lines_without_tissue_are_named() -> None:
    cells = make_cells(3)
    cells.annotations["tissue"] = ["T", None, "U"]
    dataset = make_screen([0, 1, 2], [[0, 1]] * 3, cells=cells)
    with pytest.raises(InputError, match="1 have none: C1"):
        draw_split(dataset, SplitConfig(kind="leave_tissue_out"), 1)


def test_pairs_cannot_be_left_out_of_single_drugs() -> None:
    with pytest.raises(InputError, match="use leave_drug_out"):
        draw_split(screen_of(1), SplitConfig(kind="leave_pair_out"), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_written_split_is_read_back_the_same(tmp_path: Path, kind: Any) -> None:
    dataset = screen_of(2)
    config = SplitConfig(kind=kind, test_fraction=0.3, validation_fraction=0.2)
    split = draw_split(dataset, config, 1)
    write_split(split, dataset, tmp_path / "split.parquet")
    again = SplitConfig(kind="file", file=str(tmp_path / "split.parquet"))
    read = draw_split(dataset, again, 99)
    np.testing.assert_array_equal(read.part_N, split.part_N)
    np.testing.assert_array_equal(read.unseen_drugs_N, split.unseen_drugs_N)
    frame = pd.read_parquet(tmp_path / "split.parquet")
    assert frame["cell_id"].astype(str).tolist() == [
        dataset.cells.ids[c] for c in dataset.responses.cell_N
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["split.parquet"]


@pytest.fixture
def by_file(tmp_path: Path) -> Callable[[str], Split]:
    """Split two pairs in two lines, one of them measured in both orders, by a file's text."""
    dataset = make_screen(
        [0, 0, 1, 1, 0], [[0, 1], [1, 2], [0, 1], [1, 2], [1, 0]], drugs=make_drugs(3)
    )

    def split(text: str) -> Split:
        path = tmp_path / "parts.csv"
        path.write_text(text)
        return draw_split(dataset, SplitConfig(kind="file", file=str(path)), 1)

    return split


def test_a_file_may_name_lines_pairs_in_any_order_or_rows(
    by_file: Callable[[str], Split],
) -> None:
    def parts(text: str) -> list[str]:
        return [PARTS[p] for p in by_file(text).part_N]

    assert parts("cell_id,part\nC0,train\nC1,test\n") == ["train"] * 2 + ["test"] * 2 + ["train"]
    assert parts("drug_1,drug_2,part\n101,100,test\n101,102,train\n") == [
        "test", "train", "test", "train", "test",
    ]  # fmt: skip
    assert parts("row,part\n1,train\n3,test\n") == [
        "unused", "train", "unused", "test", "unused",
    ]  # fmt: skip
    assert parts("tissue,part\nT0,train\n") == ["train"] * 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell_id,prt\nC0,train\n", "no column 'part'; did you mean 'prt'"),
        ("cell_id,part\nC0,trian\n", "did you mean 'train'"),
        ("cell_id,part\nC9,train\n", "'C9' is not in the data set"),
        ("drug_1,part\n100,train\n", "a split file needs"),
        ("row,part\n0,train\n4,test\n", "rows 0 and 4 into different parts"),
        ("row,part\n9,train\n", "it must be a whole number from 0 to 4"),
        ("row,part\n1,train\n1,test\n", "names row 1 twice"),
        ("cell_id,part\nC0,train\nC0,test\n", "into a different part"),
        ("cell_id,part\nC0,test\n", "train part"),
    ],
)
def test_a_bad_split_file_is_refused(
    by_file: Callable[[str], Split], text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        by_file(text)


def test_a_missing_split_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"there is no file nowhere\.csv"):
        draw_split(screen_of(2), SplitConfig(kind="file", file="nowhere.csv"), 1)


def test_doses_of_one_combination_in_a_line_stay_together() -> None:
    draw = np.random.default_rng(1)
    pairs = [(a, b) for a in range(6) for b in range(a)]
    rows = [(c, *p, x, y) for c in range(4) for p in pairs for x in (-7, -6) for y in (-7, -6)]
    table = np.array(rows)[draw.permutation(len(rows))]
    dataset = make_screen(table[:, 0], table[:, 1:3], table[:, 3:])
    split = draw_split(dataset, SplitConfig(test_fraction=0.3), 2)
    block = compound_sets(dataset.responses, compound_of_drug(dataset)) * 4 + table[:, 0]
    for group in np.unique(block):
        assert len(set(split.part_N[block == group])) == 1
