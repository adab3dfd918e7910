from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import compound_of_drug, compound_sets
from combo_lightning.data.splits import (
    TEST,
    TOURNAMENT,
    TRAIN,
    VALIDATION,
    SplitConfig,
    draw_split,
    write_split,
)
from combo_lightning.data.study_split import measured_elsewhere
from combo_lightning.errors import InputError
from tests.data.screens import full_screen, make_screen


def with_studies(count: int, *, nameless: bool = False) -> ScreenDataset:
    screen = full_screen()
    study_N = (np.arange(len(screen.responses)) % count).astype(np.int16)
    names = tuple(f"study {s}" for s in range(count - nameless)) + ("",) * nameless
    return replace(screen, responses=replace(screen.responses, study_N=study_N, studies=names))


def parts_by_study(screen: ScreenDataset, config: SplitConfig) -> list[set[int]]:
    part_N = draw_split(screen, config, 1).part_N
    study_N = screen.responses.study_N
    assert study_N is not None
    return [set(part_N[study_N == s].tolist()) for s in range(len(screen.responses.studies))]


LEAVE = SplitConfig(kind="leave_study_out")


def test_whole_studies_are_tested_and_of_four_one_is_validated() -> None:
    parts = parts_by_study(with_studies(4), LEAVE)
    assert sorted(map(sorted, parts)) == [[TRAIN], [TRAIN], [VALIDATION], [TEST]]


def test_of_three_studies_validation_has_pairs_of_the_two_that_train() -> None:
    screen = with_studies(3)
    assert sorted(map(sorted, parts_by_study(screen, LEAVE))) == [
        [TRAIN, VALIDATION], [TRAIN, VALIDATION], [TEST],
    ]  # fmt: skip
    split = draw_split(screen, LEAVE, 1)
    sets = compound_sets(screen.responses, compound_of_drug(screen))
    assert not set(sets[split.validation_rows]) & set(sets[split.train_rows])


def test_named_studies_are_tested() -> None:
    config = replace(LEAVE, test_studies=["study 2", "study 0"])
    assert [part == {TEST} for part in parts_by_study(with_studies(4), config)] == [
        True, False, True, False,
    ]  # fmt: skip


def test_each_study_is_tested_in_one_fold() -> None:
    screen = with_studies(4)
    tested = np.zeros(4)
    for fold in range(4):
        config = replace(LEAVE, num_folds=4, fold=fold)
        tested += [part == {TEST} for part in parts_by_study(screen, config)]
    assert tested.tolist() == [1, 1, 1, 1]


def test_rows_without_a_study_train_and_tournaments_leave_the_test_part_as_it_is() -> None:
    screen = with_studies(4, nameless=True)
    assert TEST not in parts_by_study(screen, LEAVE)[3]
    without = draw_split(screen, LEAVE, 1)
    judged = draw_split(screen, replace(LEAVE, tournament_fraction=0.2), 1)
    np.testing.assert_array_equal(judged.test_rows, without.test_rows)
    np.testing.assert_array_equal(judged.validation_rows, without.validation_rows)
    assert (judged.part_N == TOURNAMENT).any()


def test_the_order_of_the_rows_plays_no_part() -> None:
    screen = with_studies(3)
    part_N = draw_split(screen, LEAVE, 1).part_N
    r = screen.responses
    assert r.study_N is not None
    # The same rows backwards, where the studies are met in another order.
    back = replace(
        r, cell_N=r.cell_N[::-1], drug_NK=r.drug_NK[::-1], response_N=r.response_N[::-1],
        study_N=(len(r.studies) - 1 - r.study_N[::-1]).astype(np.int16), studies=r.studies[::-1],
    )  # fmt: skip
    turned = draw_split(replace(screen, responses=back), LEAVE, 1).part_N[::-1]
    np.testing.assert_array_equal(turned == TEST, part_N == TEST)
    np.testing.assert_array_equal(turned == VALIDATION, part_N == VALIDATION)


def test_single_drugs_are_validated_by_drug_and_line() -> None:
    screen = make_screen(np.repeat(np.arange(6), 12), np.tile(np.arange(12), 6)[:, None] % 4)
    study_N = (np.arange(72) % 3).astype(np.int16)
    responses = replace(screen.responses, study_N=study_N, studies=("a", "b", "c"))
    split = draw_split(replace(screen, responses=responses), LEAVE, 1)
    assert len(split.validation_rows)


def test_rows_that_other_studies_measured_too_are_told() -> None:
    screen = make_screen([0, 0, 1, 1, 0], [[0, 1], [1, 0], [0, 1], [0, 2], [2, 1]])
    study_N = np.array([0, 1, 1, 1, 1], dtype=np.int16)
    screen = replace(
        screen, responses=replace(screen.responses, study_N=study_N, studies=("a", "b"))
    )  # fmt: skip
    config = replace(LEAVE, test_studies=["b"], validation_fraction=0.0)
    assert measured_elsewhere(screen, draw_split(screen, config, 1)).tolist() == [
        True, False, False, False,
    ]  # fmt: skip


def test_the_file_of_such_a_split_can_be_given_back(tmp_path: Path) -> None:
    screen = with_studies(3)
    split = draw_split(screen, LEAVE, 1)
    write_split(split, screen, tmp_path / "split.parquet")
    config = SplitConfig(kind="file", file=str(tmp_path / "split.parquet"))
    np.testing.assert_array_equal(draw_split(screen, config, 1).part_N, split.part_N)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(LEAVE, test_studies=["study 9"]), "'study 9'; did you mean"),
        (replace(LEAVE, test_studies=[]), "one study or more"),
        (SplitConfig(test_studies=["study 0"]), "with data.split.kind 'leave_study_out'"),
        (replace(LEAVE, num_folds=5), "only 3 studies"),
    ],
)
def test_what_cannot_be_is_refused(config: SplitConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw_split(with_studies(3), config, 1)


def test_a_data_set_of_one_study_is_refused() -> None:
    with pytest.raises(InputError, match=r"two studies or more.*combo-lightning merge"):
        draw_split(full_screen(), LEAVE, 1)
