"""Equal rows of a matrix folded into entities, by a hash of their bits.

BLAKE2b of 128 bits: among a million different rows two share one with a chance of 1 in 10^27.

Shapes: N rows of the file, R rows at once, C columns, F columns of one slice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from combo_lightning.data.sources.dense_cut import Counts, Cut
from combo_lightning.data.sources.matrix_file import FloatArray, JoinedMatrix
from combo_lightning.errors import InputError

Codes = npt.NDArray[np.int32]
_DIGEST_BYTES = 16


class Fold:
    """The distinct rows that came up so far, numbered in order of appearance.

    All missing values are one value; else rows are one if their bits are.

    Args:
        slots: In how many slices such rows stand.
        keep: Whether to keep the rows, and not only to count them.
    """

    def __init__(self, slots: int, *, keep: bool) -> None:
        self.index: dict[bytes, int] = {}
        self.rows: list[FloatArray] = []
        self.constant: set[int] = set()
        self._seen: list[set[int]] = [set() for _ in range(slots)]
        self._keep = keep
        self._aliases: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.index)

    @property
    def shared(self) -> int:
        """How often one stands in a further slot; one value repeated, as in zeros, is no sign."""
        slots = [seen - self.constant for seen in self._seen]
        return sum(map(len, slots)) - len(set().union(*slots))

    def encode(
        self, chunk_RC: FloatArray, columns: tuple[int, int], slot: int, place: Callable[..., str]
    ) -> Codes:
        """Number the rows of a slice, ``[R]``.

        Args:
            chunk_RC: Rows of the whole matrix, in C order.
            columns: Where the slice begins and ends.
            slot: Which of the slots it is, from 0.
            place: Says where a row (of the chunk) and a column stand.

        Raises:
            InputError: If a value is infinite.
        """
        view = chunk_RC.data.cast("B")
        stride, start, end = 4 * chunk_RC.shape[1], 4 * columns[0], 4 * columns[1]
        codes = np.empty(len(chunk_RC), dtype=np.int32)
        index, aliases = self.index, self._aliases
        for row in range(len(chunk_RC)):
            base = row * stride
            digest = blake2b(view[base + start : base + end], digest_size=_DIGEST_BYTES).digest()
            code = index.get(digest)
            if code is None:
                code = aliases.get(digest)
            if code is None:
                code = self._add(chunk_RC[row, columns[0] : columns[1]], digest)
                if code < 0:
                    raise InputError(_infinite(chunk_RC, row, columns, place))
            codes[row] = code
        self._seen[slot].update(np.unique(codes).tolist())
        return codes

    def _add(self, row_F: FloatArray, digest: bytes) -> int:
        """Number a row that is new; -1: a value is infinite."""
        missing_F = np.isnan(row_F)
        if missing_F.any():
            row_F = np.where(missing_F, np.float32(np.nan), row_F)
            plain = blake2b(row_F.tobytes(), digest_size=_DIGEST_BYTES).digest()
            if plain != digest and plain in self.index:
                self._aliases[digest] = self.index[plain]
                return self.index[plain]
            if plain != digest:
                self._aliases[digest] = len(self.index)
            digest = plain
        if np.isinf(row_F).any():
            return -1
        code = self.index[digest] = len(self.index)
        if missing_F.all() or (row_F == row_F[0]).all():
            self.constant.add(code)
        if self._keep:
            self.rows.append(row_F.copy())
        return code


def _infinite(
    chunk_RC: FloatArray, row: int, columns: tuple[int, int], place: Callable[..., str]
) -> str:
    column = columns[0] + int(np.flatnonzero(np.isinf(chunk_RC[row, slice(*columns)]))[0])
    return (
        f"{place(row, column)} is infinite, or too large for fp32 (3.4e38); give a finite number, "
        "or leave it empty (NaN)"
    )


@dataclass
class Folds:
    """Cell lines and drugs, as far as they are folded.

    Args:
        cells: Cell lines.
        drugs: Drugs.
    """

    cells: Fold
    drugs: Fold

    @classmethod
    def empty(cls, slots: int, *, keep: bool) -> "Folds":
        """Begin."""
        return cls(Fold(1, keep=keep), Fold(slots, keep=keep))

    def counts(self) -> Counts:
        """Count them."""
        return Counts(len(self.cells), len(self.drugs), self.drugs.shared)


def fold(
    matrix: JoinedMatrix, cut: Cut, folds: Folds
) -> Iterator[tuple[Codes, list[Codes], FloatArray]]:
    """Number the cell line and the drugs of every row.

    Args:
        matrix: The matrix.
        cut: Which columns are whose.
        folds: What came up so far; added to.

    Yields:
        Cell line ``[R]``, the drugs of each slot ``[R]``, and the rows themselves, which are good
        until the next ones are asked for.
    """
    first = 0

    def place(row: int, column: int) -> str:
        return matrix.place(first + row, column)

    for chunk_RC in matrix.chunks(cut.ignored_columns):
        cell = folds.cells.encode(chunk_RC, cut.cell, 0, place)
        drugs = [
            folds.drugs.encode(chunk_RC, columns, slot, place)
            for slot, columns in enumerate(cut.drugs)
        ]
        yield cell, drugs, chunk_RC
        first += len(chunk_RC)
