"""What of a batch one process computes: which rows, and which of the entities that they name.

Shapes: N rows of a whole batch, B rows that are here, K drug slots, E entities of a table.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from combo_lightning.model.encoder import EntityTable
from combo_lightning.model.layers import Rows


class BatchPart(NamedTuple):
    """A process's place in a batch that several of them share.

    Args:
        rank: Number of this process.
        size: Number of processes.
        rows: Where this process's rows stand in the whole batch.
        cell_N: Cell line of each row of the whole batch, int64.
        drug_NK: Drugs of each row of the whole batch, int64; -1: empty slot.
        gather: Puts the rows that each process made one after the other, given how many each
            made; the gradient is summed over the processes. All processes call it together.
    """

    rank: int
    size: int
    rows: Rows
    cell_N: Tensor
    drug_NK: Tensor
    gather: Callable[[Tensor, Sequence[int]], Tensor]


class UsedEntities(NamedTuple):
    """The entities of a table that a batch uses.

    Args:
        id_E: Row of each in the learned tables.
        points: What the batch's rows point to, among these entities; -1: empty slot.
        table: Those that this process encodes.
        rows: Where they stand among all; None: they are all.
        counts: How many each process encodes.
    """

    id_E: Tensor
    points: Tensor
    table: EntityTable
    rows: Rows | None
    counts: Sequence[int]


def entity_bounds(count: int, size: int) -> list[int]:
    """Cut a table of entities into one range a process; `size` + 1 ascending numbers."""
    return [count * rank // size for rank in range(size + 1)]


def select_used(table: EntityTable, index: Tensor, part: BatchPart | None) -> UsedEntities:
    """Choose the entities that a batch needs encoded: the table, or the distinct ones.

    A table of up to half of the batch's slots is taken whole: nearly all of it is used, and shapes
    stay the same from batch to batch. Measured at 512 slots: whole tables of 128, 256, 384 and 512
    drugs take 0.97, 1.00, 1.12 and 1.19 times as long as the distinct drugs
    (docs/performance.md). Each process encodes what lies in its range of the table: features need
    not be anywhere else.

    Args:
        table: The table.
        index: What the rows that are here point to; -1: empty slot.
        part: This process's place; None: there is no other.
    """
    count = len(table.id_E)
    whole = index
    if part is not None:
        whole = part.cell_N if index.dim() == 1 else part.drug_NK
    used: Tensor | None = None
    if 2 * count > whole.numel():
        used = torch.unique(whole.clamp(min=0))
        inverse = torch.searchsorted(used, index.clamp(min=0))
        index = torch.where(index >= 0, inverse, -1)
    id_E = table.id_E if used is None else table.id_E[used]
    if part is None:
        own = table if used is None else table.select(used)
        return UsedEntities(id_E, index, own, None, [len(id_E)])
    bounds = entity_bounds(count, part.size)
    if used is not None:
        bounds = torch.searchsorted(used, torch.tensor(bounds, device=used.device)).tolist()
    start, stop = bounds[part.rank : part.rank + 2]
    if used is None:
        here = slice(start - table.start, stop - table.start)
        own = EntityTable(table.features_EF[here], table.id_E[start:stop])
    else:
        own = table.select(used[start:stop])
    counts = [b - a for a, b in pairwise(bounds)]
    return UsedEntities(id_E, index, own, Rows(len(id_E), ((start, stop),)), counts)
