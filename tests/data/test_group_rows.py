"""No group trains on what judges any group, and every group draws the same shares."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.group_rows import GroupRows, GroupRowsConfig, draw_group_rows
from combo_lightning.data.splits import Split, SplitConfig, draw_split
from combo_lightning.errors import InputError
from tests.data.drawn import KINDS_AND_SLOTS, draw_if_possible, groups_of, screen_of, screens
from tests.data.screens import make_screen

PARTITION = GroupRowsConfig("partition", tournament="per_group")


def all_groups(
    dataset: ScreenDataset, split: Split, config: GroupRowsConfig, count: int, seed: int = 1
) -> list[GroupRows]:
    return [draw_group_rows(dataset, split, config, (k, count), seed) for k in range(count)]


def sharing_of(
    dataset: ScreenDataset, split: Split, config: GroupRowsConfig, count: int, seed: int
) -> list[GroupRows]:
    """Draw the rows of all groups; an example with fewer combinations than groups is none."""
    try:
        return all_groups(dataset, split, config, count, seed)
    except InputError as error:
        assume("holds too few" not in str(error))
        raise


def largest(combination_N: np.ndarray, rows: np.ndarray) -> int:
    return int(np.unique(combination_N[rows], return_counts=True)[1].max())


@pytest.mark.parametrize(("kind", "slots"), KINDS_AND_SLOTS)
@settings(max_examples=40)
@given(st.data(), st.integers(0, 10_000), st.integers(1, 8))
def test_no_group_trains_on_what_judges_any_group_and_shares_are_as_asked_for(
    kind: Any, slots: int, data: st.DataObject, seed: int, count: int
) -> None:
    dataset = data.draw(screens(slots))
    split = draw_if_possible(dataset, SplitConfig(kind, tournament_fraction=0.15), seed)
    config = GroupRowsConfig(
        data.draw(st.sampled_from(["full", "partition", "overlap"])),
        data.draw(st.sampled_from([0.0, 0.3, 1.0])),
        data.draw(st.sampled_from(["shared", "per_group"])),
    )
    groups = sharing_of(dataset, split, config, count, seed)
    train, judges = [g.train_rows for g in groups], [g.tournament_rows for g in groups]
    held = np.concatenate([split.tournament_rows, split.validation_rows, split.test_rows])
    combination_N = groups_of(dataset, "random")
    for rows in train:
        assert not np.intersect1d(rows, held).size
        assert not set(combination_N[rows]) & set(combination_N[held])
        assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(np.unique(np.concatenate(train)), split.train_rows)
    np.testing.assert_array_equal(np.unique(np.concatenate(judges)), split.tournament_rows)
    sizes = [len(rows) for rows in train]
    assert {g.epoch_rows for g in groups} == {min(sizes)}
    assert min(sizes) > 0
    if config.training == "full":
        assert sizes == [len(split.train_rows)] * count
    if config.training == "partition":
        assert sum(sizes) == len(split.train_rows)
        assert max(sizes) - min(sizes) <= largest(combination_N, split.train_rows)
    whole_parts = [train] if config.training == "partition" else []
    if config.tournament == "shared":
        assert [len(rows) for rows in judges] == [len(split.tournament_rows)] * count
    else:
        assert sum(map(len, judges)) == len(split.tournament_rows)
        whole_parts.append(judges)
    for parts in whole_parts:
        for k, rows in enumerate(parts):
            others = [combination_N[r] for j, r in enumerate(parts) if j != k]
            assert not set(combination_N[rows]) & set(np.concatenate([[], *others]))


@settings(max_examples=30)
@given(screens(2), st.integers(0, 10_000), st.integers(2, 8), st.floats(0, 1))
def test_overlap_is_the_groups_own_part_and_that_share_of_the_others_rows(
    dataset: ScreenDataset, seed: int, count: int, overlap: float
) -> None:
    split = draw_if_possible(dataset, SplitConfig(), seed)
    own = sharing_of(dataset, split, GroupRowsConfig("partition"), count, seed)
    more = sharing_of(dataset, split, GroupRowsConfig("overlap", overlap), count, seed)
    unit = largest(groups_of(dataset, "random"), split.train_rows)
    for mine, both in zip(own, more, strict=True):
        assert set(mine.train_rows) <= set(both.train_rows)
        others = len(split.train_rows) - len(mine.train_rows)
        added = len(both.train_rows) - len(mine.train_rows)
        assert overlap * others <= added + 1e-9
        assert added < overlap * others + 1 + unit


def test_groups_add_different_rows_of_the_others() -> None:
    dataset = screen_of(2)
    split = draw_split(dataset, SplitConfig(), 1)
    groups = all_groups(dataset, split, GroupRowsConfig("overlap", 0.5), 3)
    alone = all_groups(dataset, split, GroupRowsConfig("partition"), 3)
    # Of the rows of group 2, groups 0 and 1 have drawn each its own.
    first, second = (set(g.train_rows) & set(alone[2].train_rows) for g in groups[:2])
    assert first
    assert first != second


def test_shares_follow_the_seed_and_not_the_order_of_the_rows() -> None:
    dataset = screen_of(2)
    responses = dataset.responses
    order = np.random.default_rng(0).permutation(len(responses))
    moved = make_screen(
        responses.cell_N[order],
        responses.drug_NK[order],
        cells=dataset.cells,
        drugs=dataset.drugs,
    )
    config = SplitConfig(tournament_fraction=0.2)
    split, split_moved = draw_split(dataset, config, 5), draw_split(moved, config, 5)
    groups = all_groups(dataset, split, PARTITION, 3, seed=5)
    for mine, there in zip(groups, all_groups(moved, split_moved, PARTITION, 3, 5), strict=True):
        np.testing.assert_array_equal(np.sort(order[there.train_rows]), mine.train_rows)
        np.testing.assert_array_equal(np.sort(order[there.tournament_rows]), mine.tournament_rows)
    other = all_groups(dataset, split, PARTITION, 3, seed=6)
    assert not np.array_equal(other[0].train_rows, groups[0].train_rows)


def test_one_group_has_everything_in_order_however_rows_are_shared_out() -> None:
    dataset = screen_of(2)
    split = draw_split(dataset, SplitConfig(tournament_fraction=0.2), 1)
    for config in (PARTITION, GroupRowsConfig("overlap", 0.0), GroupRowsConfig()):
        (alone,) = all_groups(dataset, split, config, 1)
        np.testing.assert_array_equal(alone.train_rows, split.train_rows)
        np.testing.assert_array_equal(alone.tournament_rows, split.tournament_rows)
        assert alone.epoch_rows == len(split.train_rows)


def test_more_groups_than_combinations_are_refused_in_every_group() -> None:
    # Two combinations in ten rows; then ten combinations, one of which judges.
    few = make_screen([0, 0, 1, 1, 0] * 2, [[0, 1]] * 10)
    split = draw_split(few, SplitConfig(test_fraction=0, validation_fraction=0), 1)
    lines = make_screen(range(10), [[0, 1]] * 10)
    judged = SplitConfig(test_fraction=0, validation_fraction=0, tournament_fraction=0.1)
    for k in range(3):
        for training in ("partition", "overlap"):
            with pytest.raises(InputError, match=r"the training part .* \(2\) .* to full"):
                draw_group_rows(few, split, GroupRowsConfig(training), (k, 3), 1)
        with pytest.raises(InputError, match=r"the tournament part .* \(1\) .* to shared"):
            draw_group_rows(lines, draw_split(lines, judged, 1), PARTITION, (k, 3), 1)
    assert len(draw_group_rows(few, split, GroupRowsConfig(), (2, 3), 1).train_rows) == 10


@pytest.mark.parametrize("group", [(-1, 2), (2, 2), (0, 0)])
def test_a_group_that_cannot_be_is_refused(group: tuple[int, int]) -> None:
    dataset = screen_of(2)
    split = draw_split(dataset, SplitConfig(), 1)
    with pytest.raises(ValueError, match="there is no trainer group"):
        draw_group_rows(dataset, split, GroupRowsConfig(), group, 1)


@pytest.mark.parametrize("overlap", [-0.1, 1.5, float("nan")])
def test_an_overlap_is_a_share(overlap: float) -> None:
    with pytest.raises(InputError, match=r"data\.overlap is"):
        GroupRowsConfig("overlap", overlap)
