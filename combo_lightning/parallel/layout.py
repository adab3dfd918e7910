"""Where a process stands among those that train one model, and what follows for its rows.

Shapes: B rows that are here, N rows of the whole batch or part, K drug slots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from combo_lightning.model.layers import Rows
from combo_lightning.model.part import BatchPart
from combo_lightning.parallel.collectives import gather_rows


def share(total: int, rank: int, size: int) -> tuple[int, int]:
    """Cut `total` rows into one range a process, sizes differing by one at most.

    Returns:
        Start and stop of a rank's range; the ranges of all ranks follow on each other.
    """
    return total * rank // size, total * (rank + 1) // size


@dataclass(frozen=True)
class Layout:
    """One process's place: its data-parallel and its tensor-parallel rank.

    Processes of one data-parallel rank see the same rows; those of one tensor-parallel rank hold
    the same parts of each layer.

    Args:
        data_rank: Which share of each batch is here.
        data_size: Shares of a batch.
        data_group: Processes that together hold a whole batch; None: there is one share.
        tensor_rank: Which part of each cut layer is here.
        tensor_size: Parts of a cut layer.
        tensor_group: Processes that together hold a whole layer; None: layers are whole.
    """

    data_rank: int = 0
    data_size: int = 1
    data_group: Any = None
    tensor_rank: int = 0
    tensor_size: int = 1
    tensor_group: Any = None

    def part(self, cell_N: Tensor, drug_NK: Tensor) -> BatchPart | None:
        """Describe this process's part of a batch to the network; None: it is the batch.

        Args:
            cell_N: Cell line of each row of the whole batch.
            drug_NK: Drugs of each row of the whole batch.
        """
        if self.data_size == 1:
            return None
        total = len(cell_N)
        rows = Rows(total, (share(total, self.data_rank, self.data_size),))
        return BatchPart(self.data_rank, self.data_size, rows, cell_N, drug_NK, self._gather)

    def _gather(self, x: Tensor, counts: Sequence[int]) -> Tensor:
        return gather_rows(x, counts, self.data_group)

    def merge(self, value_B: Tensor, totals: Sequence[int]) -> Tensor:
        """Put the values of all rows together, in the rows' own order.

        Args:
            value_B: Values of the rows that were here, batch after batch, of which each process
                had its share.
            totals: Rows of each whole batch.

        Returns:
            Values of all rows, ``[N]``, equal on all processes.
        """
        if self.data_size == 1:
            return value_B
        ranges = [
            [share(t, rank, self.data_size) for t in totals] for rank in range(self.data_size)
        ]
        counts = [sum(stop - start for start, stop in mine) for mine in ranges]
        gathered = gather_rows(value_B.unsqueeze(1), counts, self.data_group).squeeze(1)
        merged = torch.empty_like(gathered)
        at = 0
        for mine in ranges:
            offset = 0
            for total, (start, stop) in zip(totals, mine, strict=True):
                merged[offset + start : offset + stop] = gathered[at : at + stop - start]
                offset += total
                at += stop - start
        return merged


ALONE = Layout()


def data_parallel_layout() -> Layout:
    """Give the layout where every process of the world takes a share of each batch."""
    size = dist.get_world_size()
    return Layout(dist.get_rank(), size, dist.group.WORLD) if size > 1 else ALONE
