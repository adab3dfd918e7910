"""Trainer groups share split and catalog, and differ in what they train on and in which order."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from combo_lightning.data.batches import Batch
from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.data.splits import SplitConfig
from combo_lightning.errors import InputError
from tests.data.screens import full_screen

JUDGED = SplitConfig(tournament_fraction=0.2)


@pytest.fixture(autouse=True)
def _in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = full_screen(cells=8)
    monkeypatch.setattr("combo_lightning.data.datamodule.read_dataset", lambda _: screen)


def module_of(group: tuple[int, int] = (0, 1), **options: Any) -> ComboDataModule:
    data = ComboDataModule("memory", batch_size=16, eval_batch_size=9, **options)
    data.trainer_group = group
    data.setup()
    return data


def order_of(data: ComboDataModule, epoch: int = 0) -> list[int]:
    order: list[int] = data.train_dataloader().order(epoch).tolist()
    return order


def measured(batches: list[Batch]) -> list[float]:
    return torch.cat([batch.response_B for batch in batches]).tolist()


@pytest.mark.parametrize(("epoch", "digest"), [(0, "4d7b5999998df90b"), (1, "516d40d45e2a531a")])
@pytest.mark.parametrize("group_rows", ["full", "partition", "overlap"])
def test_a_run_of_one_group_trains_in_the_order_that_it_had_before_there_were_groups(
    group_rows: Any, epoch: int, digest: str
) -> None:
    """The digests are of commit f34945b, which knew no trainer groups."""
    order = order_of(module_of(seed=3, group_rows=group_rows), epoch)
    assert hashlib.sha256(" ".join(map(str, order)).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("group_rows", ["full", "partition", "overlap"])
def test_each_group_has_an_order_of_its_own_and_as_many_batches_as_the_others(
    group_rows: Any,
) -> None:
    groups = [module_of((k, 4), group_rows=group_rows) for k in range(4)]
    orders = [order_of(data) for data in groups]
    assert len({tuple(order) for order in orders}) == 4
    assert len({len(order) for order in orders}) == 1
    assert len({len(data.train_dataloader()) for data in groups}) == 1
    if group_rows == "full":
        assert orders[0] == order_of(module_of())
        assert len({tuple(sorted(order)) for order in orders}) == 1
    if group_rows == "partition":
        assert len(set().union(*orders)) == sum(map(len, orders))
    for data, order in zip(groups, orders, strict=True):
        assert set(order) <= set(data.group_rows.train_rows)
        assert order_of(data, 1) != order
        assert not set(order) & set(data.split.tournament_rows)


def test_what_is_exchanged_with_the_weights_is_the_same_in_all_groups() -> None:
    options: dict[str, Any] = {"split": JUDGED, "group_rows": "partition"}
    alone = module_of(**options)
    for k in range(3):
        mine = module_of((k, 3), **options)
        np.testing.assert_equal(mine.catalog.to_plain(), alone.catalog.to_plain())
        np.testing.assert_array_equal(mine.split.part_N, alone.split.part_N)
        assert len(mine.group_rows.train_rows) < len(alone.group_rows.train_rows)


def test_a_shared_tournament_is_scored_on_the_same_batches_in_all_groups() -> None:
    groups = [module_of((k, 3), split=JUDGED) for k in range(3)]
    found = [measured(list(data.tournament_dataloader())) for data in groups]
    assert found[0] == found[1] == found[2]
    rows = groups[0].split.tournament_rows
    columns = groups[0].dataset.responses.response_N[rows]
    expected = groups[0].catalog.response_scale.apply(columns)
    np.testing.assert_array_equal(found[0], expected)


def test_a_tournament_per_group_is_scored_on_parts_of_the_tournament_rows() -> None:
    groups = [module_of((k, 3), split=JUDGED, tournament_rows="per_group") for k in range(3)]
    found = [measured(list(data.tournament_dataloader())) for data in groups]
    together = measured(list(module_of(split=JUDGED).tournament_dataloader()))
    assert sorted(value for part in found for value in part) == sorted(together)


def test_processes_of_a_group_share_each_tournament_batch() -> None:
    data = module_of(split=JUDGED)
    whole = list(data.tournament_dataloader())
    assert {batch.total for batch in whole[:-1]} == {9}
    parts = []
    for rank in range(2):
        data.share = (rank, 2)
        parts.append(list(data.tournament_dataloader()))
    for one, first, second in zip(whole, *parts, strict=True):
        assert measured([one]) == measured([first, second])
        assert first.total == second.total == len(one.cell_B)


def test_a_tournament_without_rows_is_refused(tmp_path: Path) -> None:
    for options in ({}, {"tournament_rows": "per_group"}):
        data = module_of((1, 3), **options)
        with pytest.raises(InputError, match=r"set data\.split\.tournament_fraction above 0"):
            data.tournament_dataloader()
    path = tmp_path / "parts.csv"
    path.write_text("cell_id,part\nC0,train\nC1,train\n")
    data = module_of(split=SplitConfig(kind="file", file=str(path)))
    with pytest.raises(InputError, match=r"put some rows into 'tournament' in .*parts\.csv"):
        data.tournament_dataloader()


def test_the_trainer_group_is_set_before_setup() -> None:
    data = module_of()
    data.trainer_group = (1, 2)
    with pytest.raises(ValueError, match="setup ran for trainer group"):
        data.train_dataloader()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "data.batch_size is 0"),
        ({"eval_batch_size": -1}, "data.eval_batch_size is -1"),
        ({"overlap": 2.0}, "data.overlap is 2.0"),
    ],
)
def test_a_bad_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ComboDataModule("memory", **options)
