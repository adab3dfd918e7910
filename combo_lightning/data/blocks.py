"""Feature blocks of cell lines or drugs, in memory or in a data set's Parquet file.

Shapes: E entities, F features of one block.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from combo_lightning.data.columns import column_numbers, valid_rows
from combo_lightning.errors import InputError

FloatArray = npt.NDArray[np.float32]
# Entities read or transformed at once: 16 MB of 4,000 features.
CHUNK = 1024


@dataclass(frozen=True)
class FeatureBlock:
    """One kind of measured or computed feature, such as expression or Morgan counts.

    Args:
        name: Name of the block; a column of the entity table.
        feature_names: F distinct names, in the order of the columns.
        unit: Unit of every value, such as ``log2 intensity`` or ``count``.
        values_EF: Values, float32 ``[E, F]``; NaN where missing. A row of NaN: the entity was not
            measured at all.
        recipe: How chemistry computed the block (so that new drugs get the same one); empty for
            measured blocks. Plain strings and numbers.
    """

    name: str
    feature_names: tuple[str, ...]
    unit: str
    values_EF: FloatArray
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values_EF.ndim != 2 or self.values_EF.shape[1] != len(self.feature_names):
            raise InputError(
                f"block '{self.name}' has values of shape {list(self.values_EF.shape)} and "
                f"{len(self.feature_names)} feature names; one name a column is needed"
            )
        if len(set(self.feature_names)) != len(self.feature_names):
            seen: set[str] = set()
            twice = next(n for n in self.feature_names if n in seen or seen.add(n))  # type: ignore[func-returns-value]
            raise InputError(f"block '{self.name}' names the feature '{twice}' more than once")
        infinite = np.argwhere(np.isinf(self.values_EF))
        if infinite.size:
            row, column = (int(i) for i in infinite[0])
            raise InputError(
                f"block '{self.name}', entity {row}, feature '{self.feature_names[column]}' is "
                "infinite; give a finite number or leave it empty"
            )

    def __len__(self) -> int:
        return len(self.values_EF)

    def chunks(self) -> Iterator[FloatArray]:
        """Give the values, `CHUNK` entities at a time."""
        for start in range(0, len(self), CHUNK):
            yield self.values_EF[start : start + CHUNK]


@dataclass(frozen=True)
class StoredBlock:
    """A feature block in a data set's Parquet file, read piece by piece whenever it is needed.

    Args:
        name: As in `FeatureBlock`.
        feature_names: As in `FeatureBlock`.
        unit: As in `FeatureBlock`.
        recipe: As in `FeatureBlock`.
        path: The file.
        count: E, its rows.
    """

    name: str
    feature_names: tuple[str, ...]
    unit: str
    recipe: Mapping[str, Any]
    path: Path
    count: int

    def __len__(self) -> int:
        return self.count

    def chunks(self) -> Iterator[FloatArray]:
        """Give the values, at most `CHUNK` entities at a time.

        Raises:
            InputError: If a value is infinite.
        """
        file = pq.ParquetFile(self.path)
        # Not `iter_batches`: it takes the whole column into memory.
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=[self.name], use_threads=False)
            for batch in table.to_batches(CHUNK):
                values_EF = dense(batch.column(0))
                if np.isinf(values_EF).any():
                    raise InputError(
                        f"{self.path}: the block '{self.name}' holds an infinite value"
                    )
                yield values_EF

    @property
    def values_EF(self) -> FloatArray:
        """All values at once."""
        empty = np.empty((0, len(self.feature_names)), dtype=np.float32)
        return np.concatenate([empty, *self.chunks()])


class Block(Protocol):
    """What the blocks have in common; see `FeatureBlock` for the meaning of each."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """F distinct names."""

    @property
    def unit(self) -> str:
        """Unit of every value."""

    @property
    def recipe(self) -> Mapping[str, Any]:
        """How chemistry computed it."""

    @property
    def values_EF(self) -> FloatArray:
        """All values at once."""

    def __len__(self) -> int: ...

    def chunks(self) -> Iterator[FloatArray]:
        """Give the values, some entities at a time."""


def dense(column: Any) -> FloatArray:
    """Turn an Arrow array of fixed-size lists into ``[E, F]``, with NaN for null."""
    width = column.type.list_size
    # `fill_null` does not reach into fixed-size lists: take the flat values and lay NaN over the
    # rows that are null as a whole.
    flat = column.values.slice(column.offset * width, len(column) * width)
    values = np.array(column_numbers(flat, np.nan), dtype=np.float32)
    values_EF = values.reshape(len(column), width)
    if column.null_count:
        values_EF[~valid_rows(column)] = np.nan
    return values_EF
