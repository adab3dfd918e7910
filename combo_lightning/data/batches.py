"""Batches of indices: slices of a permuted index array, gathered from columns in memory.

Shapes: N measurements, B rows of a batch, K drug slots.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from combo_lightning.data.catalog import Catalog
from combo_lightning.data.dataset import Responses
from combo_lightning.data.studies import study_codes


class WholeBatch(NamedTuple):
    """The batch of which several processes each have a share.

    Args:
        cell_N: Cell line of each of its rows.
        drug_NK: Drugs of each of its rows.
        weight: Sum of its rows' weights.
    """

    cell_N: Tensor
    drug_NK: Tensor
    weight: float


class Batch(NamedTuple):
    """Rows of a screen: which cell line, which drugs, at which doses, and what was measured.

    Args:
        cell_B: Index into the cell lines, int64.
        drug_BK: Indices into the drugs, int64; -1: empty slot.
        dose_BK: Standardised log10 molar doses, 0 in an empty slot; None: not per dose.
        response_B: Standardised response.
        weight_B: Weight of each row; None: all 1.
        whole: The batch that these rows are a share of; None: they are the batch.
        study_B: Index of each row's study, int64; -1: it has no name. None: there is one study.
    """

    cell_B: Tensor
    drug_BK: Tensor
    dose_BK: Tensor | None
    response_B: Tensor
    weight_B: Tensor | None
    whole: WholeBatch | None = None
    study_B: Tensor | None = None

    @property
    def total(self) -> int:
        """Rows of the whole batch."""
        return len(self.cell_B) if self.whole is None else len(self.whole.cell_N)


class Columns:
    """The measurements as compact tensors, about 20 bytes a row.

    Args:
        responses: The measurements; indices keep their small integer types.
        catalog: Standardisation of responses and doses.
    """

    def __init__(self, responses: Responses, catalog: Catalog) -> None:
        self._cell_N = torch.from_numpy(responses.cell_N)
        self._drug_NK = torch.from_numpy(responses.drug_NK)
        self._response_N = torch.from_numpy(catalog.standardize(responses))
        self._weight_N = (
            None if responses.weight_N is None else torch.from_numpy(responses.weight_N)
        )
        self._study_N: Tensor | None = None
        if responses.study_N is not None:
            self._study_N = torch.from_numpy(study_codes(responses))
        self._dose_NK: Tensor | None = None
        if responses.log10_molar_NK is not None:
            dose_NK = catalog.dose_scale.apply(responses.log10_molar_NK)
            self._dose_NK = torch.from_numpy(np.nan_to_num(dose_NK, copy=False))

    def gather(self, row_N: Tensor, rank: int = 0, size: int = 1) -> Batch:
        """Take the rows of one batch, or a share of them.

        Args:
            row_N: The rows of the whole batch, int64.
            rank: Which share.
            size: Of how many, of sizes that differ by one at most.
        """
        cell_N, drug_NK = self._cell_N[row_N].long(), self._drug_NK[row_N].long()
        mine = slice(len(row_N) * rank // size, len(row_N) * (rank + 1) // size)
        row_B = row_N[mine]
        whole = None
        if size > 1:
            weight = len(row_N) if self._weight_N is None else self._weight_N[row_N].double().sum()
            whole = WholeBatch(cell_N, drug_NK, float(weight))
        return Batch(
            cell_B=cell_N[mine],
            drug_BK=drug_NK[mine],
            dose_BK=None if self._dose_NK is None else self._dose_NK[row_B],
            response_B=self._response_N[row_B],
            weight_B=None if self._weight_N is None else self._weight_N[row_B],
            whole=whole,
            study_B=None if self._study_N is None else self._study_N[row_B].long(),
        )


class OrderedBatches:
    """All rows of a part once, in their order; for validation and test.

    Args:
        columns: The measurements.
        rows: Which of them, int64.
        batch_size: Rows of a batch of all processes; the last one may be smaller.
        share: This process's share of each batch, and of how many. All have equally many batches.
    """

    def __init__(
        self,
        columns: Columns,
        rows: npt.NDArray[np.int64],
        batch_size: int,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._columns = columns
        self._share = share
        # int32 holds any row number up to 2 * 10^9 in half the memory.
        self._rows = torch.from_numpy(rows.astype(np.int32))
        self._batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self._rows), self._batch_size):
            row_N = self._rows[start : start + self._batch_size].long()
            yield self._columns.gather(row_N, *self._share)


class ShuffledBatches(OrderedBatches):
    """All training rows once an epoch, in an order drawn from (seed, epoch, trainer group).

    It resumes in the middle of an epoch: Lightning keeps `state_dict` in checkpoints and sets the
    epoch through `sampler`. A last batch that is not full is used too.

    Args:
        columns: The measurements.
        rows: The training rows, int64.
        batch_size: Rows of a step of all processes.
        seed: The run's seed; equal on all ranks of a trainer group.
        share: This process's share of each batch, and of how many.
        group: The trainer group; 0 has the order of a run of one group.
        epoch_rows: Rows of an epoch: the first so many of its order; None: all.
    """

    def __init__(
        self,
        columns: Columns,
        rows: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        share: tuple[int, int] = (0, 1),
        group: int = 0,
        epoch_rows: int | None = None,
    ) -> None:
        super().__init__(columns, rows, batch_size, share)
        self._seed = seed
        self._group = group
        self._epoch_rows = len(rows) if epoch_rows is None else epoch_rows
        self._epoch = 0
        self._position = 0

    @property
    def sampler(self) -> "ShuffledBatches":
        """What Lightning calls `set_epoch` of."""
        return self

    def __len__(self) -> int:
        return -(-self._epoch_rows // self._batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration takes."""
        self._epoch = epoch

    def order(self, epoch: int) -> Tensor:
        """Draw the order of an epoch: training rows, each at most once, int32."""
        key = [self._seed, epoch, self._group] if self._group else [self._seed, epoch]
        place = np.random.default_rng(key).permutation(len(self._rows))[: self._epoch_rows]
        return self._rows[torch.from_numpy(place)]

    def __iter__(self) -> Iterator[Batch]:
        # Runs at the first `next`, after Lightning has set epoch and position.
        order = self.order(self._epoch)
        # Lightning takes the last batch and does not ask for more: the position stays at the end.
        for index in range(self._position % len(self), len(self)):
            self._position = index + 1
            start = index * self._batch_size
            row_N = order[start : start + self._batch_size].long()
            yield self._columns.gather(row_N, *self._share)

    def state_dict(self) -> dict[str, Any]:
        """Give the position: batches taken in this epoch; 0 after its last one."""
        return {"position": self._position % len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at a position in the epoch."""
        self._position = int(state["position"])
