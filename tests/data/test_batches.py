import numpy as np
import pytest
import torch

from combo_lightning.data.batches import Batch, Columns, OrderedBatches, ShuffledBatches
from combo_lightning.data.catalog import Catalog
from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.splits import SplitConfig, draw_split
from combo_lightning.data.transforms import TransformConfig
from tests.data.screens import full_screen, make_screen


def columns_of(dataset: ScreenDataset) -> Columns:
    split = draw_split(dataset, SplitConfig(), 1)
    return Columns(dataset.responses, Catalog.fit(dataset, split, TransformConfig()))


def drugs_seen(batches: list[Batch]) -> list[tuple[int, ...]]:
    return [
        (int(c), *map(int, d)) for b in batches for c, d in zip(b.cell_B, b.drug_BK, strict=True)
    ]


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_every_row_comes_once_an_epoch_in_a_new_order(batch_size: int) -> None:
    dataset = full_screen()
    rows = np.arange(5, 155)
    batches = ShuffledBatches(columns_of(dataset), rows, batch_size, seed=1)
    epochs = []
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        taken = list(batches)
        assert len(taken) == len(batches) == -(-150 // batch_size)
        epochs.append(drugs_seen(taken))
    responses = dataset.responses
    expected = sorted((int(responses.cell_N[r]), *map(int, responses.drug_NK[r])) for r in rows)
    assert sorted(epochs[0]) == sorted(epochs[1]) == expected
    assert epochs[0] != epochs[1]


def test_the_order_of_a_seed_and_an_epoch_never_changes() -> None:
    columns, rows = columns_of(full_screen()), np.arange(5, 17)
    batches = ShuffledBatches(columns, rows, 4, seed=3)
    assert batches.order(0).tolist() == [16, 12, 7, 15, 5, 6, 9, 11, 14, 10, 8, 13]
    assert batches.order(1).tolist() == [5, 9, 16, 6, 7, 10, 15, 12, 14, 13, 11, 8]
    groups = [ShuffledBatches(columns, rows, 4, seed=3, group=k) for k in range(8)]
    assert torch.equal(groups[0].order(1), batches.order(1))
    orders = {tuple(b.order(epoch).tolist()) for b in groups for epoch in range(8)}
    assert len(orders) == 64


def test_an_epoch_of_fewer_rows_leaves_out_others_each_time_and_repeats_none() -> None:
    columns, rows = columns_of(full_screen()), np.arange(50)
    batches = ShuffledBatches(columns, rows, 7, seed=3, group=2, epoch_rows=43)
    left = []
    for epoch in range(20):
        batches.set_epoch(epoch)
        assert [batch.total for batch in batches] == [7, 7, 7, 7, 7, 7, 1]
        taken = batches.order(epoch).tolist()
        assert len(set(taken)) == 43
        left.append(frozenset(rows) - frozenset(taken))
    assert len(batches) == 7
    assert batches.state_dict() == {"position": 0}
    assert len(set(left)) == 20
    assert len(frozenset.union(*left)) > 45


def test_an_epoch_resumes_where_it_stopped() -> None:
    columns, rows = columns_of(full_screen()), np.arange(100)
    whole = ShuffledBatches(columns, rows, 7, seed=3)
    whole.set_epoch(4)
    expected = drugs_seen(list(whole))
    for stop in range(len(whole)):
        first = ShuffledBatches(columns, rows, 7, seed=3)
        first.set_epoch(4)
        taken = [batch for batch, _ in zip(first, range(stop), strict=False)]
        again = ShuffledBatches(columns, rows, 7, seed=3)
        again.load_state_dict({"position": stop})
        again.set_epoch(4)
        assert drugs_seen(taken + list(again)) == expected


def test_after_the_last_batch_the_position_is_the_start_of_the_next_epoch() -> None:
    batches = ShuffledBatches(columns_of(full_screen()), np.arange(20), 7, seed=3)
    iterator = iter(batches)
    for _ in range(3):  # Lightning stops asking once it has the last batch
        next(iterator)
    assert batches.state_dict() == {"position": 0}
    assert len(list(batches)) == 3


def test_ordered_batches_keep_the_order() -> None:
    dataset = full_screen()
    batches = OrderedBatches(columns_of(dataset), np.array([4, 2, 9]), 2)
    cells = torch.cat([b.cell_B for b in batches])
    assert cells.tolist() == dataset.responses.cell_N[[4, 2, 9]].tolist()


def test_empty_slots_have_a_finite_dose() -> None:
    pairs = [[a, b] for a in range(5) for b in (-1, *range(a))]
    dose_NK = [[-6.0, np.nan if b < 0 else -5.0] for _, b in pairs]
    dataset = make_screen([i % 3 for i in range(len(pairs))], pairs, dose_NK)
    (batch,) = OrderedBatches(columns_of(dataset), np.arange(len(pairs)), 99)
    assert batch.dose_BK is not None
    assert torch.isfinite(batch.dose_BK).all()
    assert (batch.dose_BK[batch.drug_BK < 0] == 0).all()
    assert batch.drug_BK.dtype == batch.cell_B.dtype == torch.int64
