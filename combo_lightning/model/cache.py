"""Entities encoded when rows first ask for them, for an evaluation or many predictions.

Shapes: E entities of a table, B rows, K drug slots.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from combo_lightning.model.combo import ENTITIES_AT_ONCE, ComboModel, Encoded
from combo_lightning.model.encoder import EntityTable
from combo_lightning.model.part import BatchPart, entity_bounds


class EncodedCache:
    """Both tables of a network, each entity encoded at most once.

    A table of up to `ENTITIES_AT_ONCE` entities is encoded whole at first use. Of a larger one
    only what rows point to is encoded, and only that takes memory; where its features are spread
    over processes, each encodes those that it holds.

    Args:
        network: The network, in eval mode; its weights stay as they are.
        cells: The cell lines.
        drugs: The drugs.
    """

    def __init__(self, network: ComboModel, cells: EntityTable, drugs: EntityTable) -> None:
        self._network = network
        self._cells, self._drugs = cells, drugs
        self._cell_rows = _Rows(cells, network.encode_cells, 0)
        self._drug_rows = _Rows(drugs, network.encode_drugs, 1)
        self._encoded: Encoded | None = None

    def covering(self, cell_B: Tensor, drug_BK: Tensor, part: BatchPart | None = None) -> Encoded:
        """Give encoded tables that hold at least what these rows point to; no gradient.

        Args:
            cell_B: Cell line of each row, int64.
            drug_BK: Drugs of each row, int64; -1: empty slot.
            part: Where these rows stand in a batch that several processes share, which then all
                encode the same, together; None: they are the batch.
        """
        if part is not None:
            cell_B, drug_BK = part.cell_N, part.drug_NK
        changed = self._cell_rows.cover(cell_B, part), self._drug_rows.cover(drug_BK, part)
        if self._encoded is None or any(changed):
            (cell_EX,), drug_KEX = self._cell_rows.tensors, self._drug_rows.tensors
            self._encoded = self._network.gather_encoded(
                self._cells.id_E, self._drugs.id_E, cell_EX, drug_KEX
            )
        return self._encoded


class _Rows:
    """The encoded rows of one table.

    Args:
        table: E entities.
        encode: Gives one tensor ``[E, X]`` or more.
        empty_rows: Rows of zeros at the end.
    """

    def __init__(
        self,
        table: EntityTable,
        encode: Callable[[EntityTable], list[Tensor]],
        empty_rows: int,
    ) -> None:
        self.tensors: list[Tensor] = []
        self._table = table
        self._encode = encode
        self._empty_rows = empty_rows
        self._done_E = torch.zeros(len(table.id_E), dtype=torch.bool, device=table.id_E.device)
        self._spread = len(table.features_EF) < len(table.id_E)
        self._whole = len(table.id_E) <= ENTITIES_AT_ONCE and not self._spread

    @torch.no_grad()
    def cover(self, index: Tensor, part: BatchPart | None) -> bool:
        """Encode what is asked for and not there yet; tell whether the tensors are new ones."""
        if self._whole and self.tensors:
            return False
        if self._whole:
            parts = self._encode(self._table)
            self.tensors = [torch.nn.functional.pad(x, (0, 0, 0, self._empty_rows)) for x in parts]
            return True
        asked = torch.unique(index[index >= 0])
        missing = asked[~self._done_E[asked]]
        first = not self.tensors
        if not first and not len(missing):
            return False
        for rows in missing.split(ENTITIES_AT_ONCE):
            parts = self._encode_rows(rows, part)
            if not self.tensors:
                # Not set to zero: what nobody asks for is never touched, and takes no memory.
                count = len(self._done_E) + self._empty_rows
                self.tensors = [x.new_empty(count, x.shape[1]) for x in parts]
                for x in self.tensors:
                    x[len(self._done_E) :] = 0
            for whole, piece in zip(self.tensors, parts, strict=True):
                whole[rows] = piece
        self._done_E[missing] = True
        return first

    def _encode_rows(self, rows: Tensor, part: BatchPart | None) -> list[Tensor]:
        if not self._spread or part is None:
            return self._encode(self._table.select(rows))
        bounds = torch.tensor(entity_bounds(len(self._done_E), part.size), device=rows.device)
        cuts = torch.searchsorted(rows, bounds).tolist()
        own = rows[cuts[part.rank] : cuts[part.rank + 1]]
        counts = [b - a for a, b in pairwise(cuts)]
        return [part.gather(x, counts) for x in self._encode(self._table.select(own))]
