from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.batches import OrderedBatches, ShuffledBatches
from combo_lightning.parallel.layout import ALONE, Layout, share
from tests.data.screens import full_screen
from tests.data.test_batches import columns_of


@given(st.integers(0, 5000), st.integers(1, 64))
def test_shares_follow_on_each_other_and_differ_by_one_row_at_most(total: int, size: int) -> None:
    shares = [share(total, rank, size) for rank in range(size)]
    assert shares[0][0] == 0
    assert shares[-1][1] == total
    assert all(a[1] == b[0] for a, b in pairwise(shares))
    sizes = {stop - start for start, stop in shares}
    assert max(sizes) - min(sizes) <= 1


COLUMNS = columns_of(full_screen())


@given(st.integers(1, 150), st.integers(1, 40), st.integers(1, 7), st.booleans())
def test_the_shares_of_each_batch_are_the_batch_of_one_process(
    rows: int, batch_size: int, size: int, shuffled: bool
) -> None:
    def loader(rank: int, size: int) -> OrderedBatches:
        numbers = np.arange(rows)
        if shuffled:
            return ShuffledBatches(COLUMNS, numbers, batch_size, 3, (rank, size))
        return OrderedBatches(COLUMNS, numbers, batch_size, (rank, size))

    whole = list(loader(0, 1))
    ranks = [list(loader(rank, size)) for rank in range(size)]
    assert {len(batches) for batches in ranks} == {len(whole)}
    for batch, *shares in zip(whole, *ranks, strict=True):
        assert torch.equal(torch.cat([s.response_B for s in shares]), batch.response_B)
        assert torch.equal(torch.cat([s.drug_BK for s in shares]), batch.drug_BK)
        for mine in shares:
            assert mine.total == batch.total
            if size > 1:
                assert mine.whole is not None
                assert torch.equal(mine.whole.cell_N, batch.cell_B)
                assert mine.whole.weight == batch.total


def test_one_process_alone_has_no_part_and_merges_nothing() -> None:
    assert ALONE.part(torch.arange(3), torch.zeros(3, 2)) is None
    values = torch.rand(5)
    assert ALONE.merge(values, [5]) is values


def test_a_part_knows_its_rows() -> None:
    part = Layout(2, 3).part(torch.arange(10), torch.zeros(10, 2))
    assert part is not None
    assert part.rows == (10, ((6, 10),))
