"""What belongs together is never torn apart, and nothing held out trains."""

import errno
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import compound_of_drug, compound_sets
from combo_lightning.data.splits import (
    PARTS,
    TEST,
    TOURNAMENT,
    TRAIN,
    VALIDATION,
    SplitConfig,
    draw_split,
    write_split,
)
from combo_lightning.errors import InputError
from tests.data.drawn import (
    KINDS,
    KINDS_AND_SLOTS,
    compounds_of,
    draw_if_possible,
    groups_of,
    screen_of,
    screens,
)
from tests.data.screens import make_cells, make_screen


@pytest.mark.parametrize(("kind", "slots"), KINDS_AND_SLOTS)
@settings(max_examples=25)
@given(
    st.data(),
    st.integers(0, 10_000),
    st.floats(0.05, 0.4),
    st.floats(0.05, 0.3),
    st.sampled_from([0.0, 0.01, 0.2]),
)
def test_a_split_keeps_its_rule(
    kind: Any,
    slots: int,
    data: st.DataObject,
    seed: int,
    test: float,
    validation: float,
    tournament: float,
) -> None:
    dataset = data.draw(screens(slots))
    config = SplitConfig(
        kind=kind,
        test_fraction=test,
        validation_fraction=validation,
        tournament_fraction=tournament,
    )
    split = draw_if_possible(dataset, config, seed)
    assert split.part_N.shape == (len(dataset.responses),)
    assert set(split.part_N) == {TRAIN, VALIDATION, TEST} | ({TOURNAMENT} if tournament else set())
    drugs = [set(row) for row in compounds_of(dataset)]
    used = [set().union(*(drugs[i] for i in np.flatnonzero(split.part_N == p))) for p in range(4)]
    assert split.unseen_drugs_N.tolist() == [len(row - used[TRAIN]) for row in drugs]
    if kind == "leave_drug_out":
        for i in split.tournament_rows:
            assert drugs[i] - used[TRAIN], "a tournament row holds no held-out drug"
        for i in split.validation_rows:
            assert drugs[i] - used[TRAIN], "a validation row holds no held-out drug"
        for i in split.test_rows:
            assert drugs[i] - used[TRAIN] - used[VALIDATION], "a test row holds no test drug"
        return
    groups = groups_of(dataset, kind)
    if kind == "leave_pair_out":
        single = (dataset.responses.drug_NK >= 0).sum(axis=1) < 2
        assert (split.part_N[single] == TRAIN).all()
        groups[single] = ""
    for group in np.unique(groups):
        assert len(set(split.part_N[groups == group])) == 1


@pytest.mark.parametrize(("kind", "slots"), KINDS_AND_SLOTS)
@settings(max_examples=15)
@given(st.data(), st.integers(0, 10_000), st.floats(0.01, 0.3), st.sampled_from([0, 3]))
def test_a_tournament_part_is_of_what_trained_and_leaves_test_and_validation_as_they_were(
    kind: Any, slots: int, data: st.DataObject, seed: int, tournament: float, num_folds: int
) -> None:
    dataset = data.draw(screens(slots))
    config = SplitConfig(
        kind=kind, test_fraction=0.2, validation_fraction=0.2, num_folds=num_folds
    )
    before = draw_if_possible(dataset, config, seed)
    after = draw_if_possible(dataset, replace(config, tournament_fraction=tournament), seed)
    np.testing.assert_array_equal(after.test_rows, before.test_rows)
    np.testing.assert_array_equal(after.validation_rows, before.validation_rows)
    assert not np.intersect1d(after.tournament_rows, after.train_rows).size
    np.testing.assert_array_equal(
        np.union1d(after.tournament_rows, after.train_rows), before.train_rows
    )


@pytest.mark.parametrize(
    ("kind", "num_folds", "digest"),
    [
        ("random", 0, "eda4af0bcc7bf515"),
        ("random", 3, "6ad0e122b0c3d37e"),
        ("leave_pair_out", 0, "f63455a2fbe2ac7e"),
        ("leave_pair_out", 3, "c83e391bb4a63da3"),
        ("leave_cell_line_out", 0, "4af7978a14448741"),
        ("leave_cell_line_out", 3, "a56592fc91277869"),
        ("leave_drug_out", 0, "d13146c8fba0aae0"),
        ("leave_drug_out", 3, "b8d617f881f16453"),
        ("leave_tissue_out", 0, "94a397075f99f34b"),
        ("leave_tissue_out", 3, "07f07f95da2a2bad"),
    ],
)
def test_without_tournaments_the_parts_are_those_drawn_before_there_were_any(
    kind: Any, num_folds: int, digest: str
) -> None:
    """The digests are of commit f34945b, which knew no tournament part."""
    config = SplitConfig(kind, test_fraction=0.3, validation_fraction=0.2, num_folds=num_folds)
    names = " ".join(PARTS[p] for p in draw_split(screen_of(2), config, 1).part_N)
    assert hashlib.sha256(names.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "leave_drug_out"])
@settings(max_examples=15)
@given(screens(2), st.integers(0, 10_000), st.integers(2, 4))
def test_every_group_is_tested_in_exactly_one_fold_and_folds_are_about_equal(
    kind: Any, dataset: ScreenDataset, seed: int, num_folds: int
) -> None:
    tested = np.zeros(len(dataset.responses), dtype=int)
    sizes = []
    for fold in range(num_folds):
        config = SplitConfig(kind=kind, num_folds=num_folds, fold=fold, validation_fraction=0.1)
        split = draw_if_possible(dataset, config, seed)
        tested += split.part_N == TEST
        sizes.append(len(split.test_rows))
        assert len(split.validation_rows)
    single = (dataset.responses.drug_NK >= 0).sum(axis=1) < 2
    always = single & (kind == "leave_pair_out")
    np.testing.assert_array_equal(tested, np.where(always, 0, 1))
    rows_of_group = np.unique(groups_of(dataset, kind)[~always], return_counts=True)[1]
    assert max(sizes) - min(sizes) <= rows_of_group.max()


def test_another_seed_makes_other_folds_of_lines_that_all_differ_in_size() -> None:
    cells = np.repeat(np.arange(12), np.arange(10, 22))
    dataset = make_screen(cells, np.tile([[0, 1]], (len(cells), 1)))

    def tested(seed: int) -> list[int]:
        config = SplitConfig(kind="leave_cell_line_out", num_folds=3, validation_fraction=0.1)
        return sorted({int(c) for c in cells[draw_split(dataset, config, seed).test_rows]})

    assert len({tuple(tested(seed)) for seed in range(10)}) > 5
    assert all(len(tested(seed)) == 4 for seed in range(10))


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


@pytest.mark.parametrize(
    ("lines", "test", "validation", "expected"),
    [
        (100, 0.07, 0.14, (7, 14)),  # 0.07 * 100 is 7.000000000000001
        (20, 0.55, 0.1, (11, 2)),
        (60, 0.1, 0.1, (6, 6)),
        (59, 0.1, 0.1, (6, 6)),
        (10, 0.001, 0.001, (1, 1)),
    ],
)
def test_as_many_lines_are_held_out_as_the_fractions_say(
    lines: int, test: float, validation: float, expected: tuple[int, int]
) -> None:
    cells = np.repeat(np.arange(lines), 3)
    dataset = make_screen(cells, np.tile([[0, 1]], (len(cells), 1)))
    config = SplitConfig(
        "leave_cell_line_out",
        test_fraction=test,
        validation_fraction=validation,
        tournament_fraction=validation,
    )
    split = draw_split(dataset, config, 1)
    parts = (split.test_rows, split.validation_rows, split.tournament_rows)
    assert tuple(len(np.unique(cells[rows])) for rows in parts) == (*expected, expected[1])


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


@pytest.mark.parametrize(("kind", "by_rows"), [("leave_pair_out", True), ("random", True),
                                               ("leave_cell_line_out", False)])  # fmt: skip
def test_fractions_are_of_rows_for_pairs_and_of_entities_for_lines(
    kind: Any, by_rows: bool
) -> None:
    """Pair p was measured in line p only: once, or 50 times."""
    sizes = np.where(np.arange(100) < 20, 50, 1)
    number = np.repeat(np.arange(100), sizes)
    dataset = make_screen(number, np.stack([2 * number, 2 * number + 1], axis=1))
    for seed in range(5):
        config = SplitConfig(kind=kind, test_fraction=0.2, validation_fraction=0.2)
        split = draw_split(dataset, config, seed)
        for rows in (split.test_rows, split.validation_rows):
            if by_rows:
                assert 0.2 * 1080 <= len(rows) < 0.2 * 1080 + 50
            else:
                assert len(np.unique(number[rows])) == 20


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SplitConfig(test_fraction=-0.1), "test_fraction is -0.1"),
        (SplitConfig(test_fraction=0.6, validation_fraction=0.5), "leaves nothing to train on"),
        (SplitConfig(tournament_fraction=1.0), "tournament_fraction is 1.0"),
        (SplitConfig(tournament_fraction=0.8), "validation_fraction 0.1, tournament_fraction 0.8"),
        (SplitConfig(num_folds=1), "num_folds is 1"),
        (SplitConfig(num_folds=3, fold=3), "it must be 0 to 2"),
        (SplitConfig(kind="leave_cell_line_out", num_folds=99), "only 8 groups"),
        (SplitConfig(kind="file"), "go together"),
        (SplitConfig(file="parts.csv"), "go together"),
        (SplitConfig(test_fraction=float("nan")), "test_fraction is nan"),
        (SplitConfig(kind="leave_tissue_out", test_fraction=0.99, validation_fraction=0), "train"),
    ],
)
def test_a_split_that_cannot_be_is_refused(config: SplitConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw_split(screen_of(2), config, 1)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(InputError, match="seed of the split is -1"):
        draw_split(screen_of(2), SplitConfig(), -1)


def test_too_few_lines_for_three_parts_are_told_with_the_numbers() -> None:
    dataset = make_screen([0, 0, 1], [[0, 1]] * 3)
    message = (
        r"the train part .* is empty \(rows: train 0, tournament 0, validation [12], test [12], "
        r"unused 0\)"
    )
    with pytest.raises(InputError, match=message):
        draw_split(dataset, SplitConfig(kind="leave_cell_line_out"), 1)


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
    config = SplitConfig(
        kind=kind, test_fraction=0.15, validation_fraction=0.15, tournament_fraction=0.1
    )
    split = draw_split(dataset, config, 1)
    assert len(split.tournament_rows)
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


def test_a_split_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, path = screen_of(2), tmp_path / "split.parquet"
    write_split(draw_split(dataset, SplitConfig(), 1), dataset, path)
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        write_split(draw_split(dataset, SplitConfig(), 2), dataset, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["split.parquet"]


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
