"""A matrix of numbers in a file - npy, npz, text or Parquet - read a few rows at a time.

Shapes: N rows of the file, R rows at once, C columns.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from combo_lightning.data.sources.array_file import (
    ArrayFile,
    Numbers,
    damaged,
    open_npy,
    open_npz,
)
from combo_lightning.data.sources.columns import UserTable, is_number
from combo_lightning.data.sources.raw_text import is_gzip, require_file
from combo_lightning.errors import InputError

_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_PARQUET = (".parquet", ".pq")
# Features are read so many bytes of fp32 at a time.
_CHUNK_BYTES = 8 << 20
# And looked at, before they are read, in so many rows, or fewer where these take more bytes.
_SAMPLE_ROWS, _SAMPLE_BYTES = 2048, 64 << 20
_NO_FEATURE = "columns that are no features are left out with --slice ignore=START:END"

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TableFile:
    """A text file (gzip or plain) or a Parquet file of numbers.

    Args:
        path: The file.
        option: The option that named it, for messages.
        names: Names of the columns; none: the file has no header.
        width: C, its columns.
        rows: N, its rows; None: not known before they are read.
        text: The text file; None: a Parquet file.
    """

    path: Path
    option: str
    names: tuple[str, ...]
    width: int
    rows: int | None
    text: UserTable | None
    can_seek = False
    dtype = np.dtype(np.float32)

    def place(self, row: int) -> str:
        """Say where a row stands, counted from 0."""
        return self.text.place(row) if self.text else f"{self.option}: {self.path}, row {row}"

    def batches(self, rows: int, skip: Collection[int] = ()) -> Iterator[Numbers]:
        """Read the rows in order; see `ArrayFile.batches`.

        Args:
            rows: The most rows at once, of a Parquet file.
            skip: Columns that nobody needs: they are not read, and may hold text.

        Yields:
            Rows ``[R, C]``, with 0 in what was skipped.

        Raises:
            InputError: If a value is no number or the file is damaged.
        """
        kept = [i for i in range(self.width) if i not in skip]
        done = 0
        try:
            for batch in self._arrow(rows, kept):
                yield self._numbers(batch, kept)
                done += len(batch)
        except InputError:
            if self.text is None:
                raise
            # Read again as text from there: slower, but it names the place, or reads '+1'.
            yield from self._as_people_write(self.text, kept, done)

    def _arrow(self, rows: int, kept: list[int]) -> Iterator[Any]:
        if self.text is not None:
            names = [str(i) for i in kept]
            yield from self.text.batches(names, names)
            return
        try:
            with pq.ParquetFile(self.path, pre_buffer=False) as file:
                names = [self.names[i] for i in kept]
                yield from file.iter_batches(rows, columns=names, use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(damaged(self.path, self.option, error)) from error

    def _numbers(self, batch: Any, kept: list[int]) -> Numbers:
        columns = list(batch.columns)
        for place, (i, column) in enumerate(zip(kept, columns, strict=True)):
            if not is_number(column.type):
                raise InputError(
                    f"{self.option}: {self.path}, column '{self.names[i]}' holds {column.type}, "
                    f"and features are numbers ({_NO_FEATURE})"
                )
            if pa.types.is_boolean(column.type):
                columns[place] = column.cast(pa.float32())
        numbers = pa.RecordBatch.from_arrays(columns, [str(i) for i in kept])
        values: Numbers = numbers.to_tensor(null_to_nan=True).to_numpy()
        if len(kept) == self.width:
            return values
        whole = np.zeros((len(batch), self.width), dtype=values.dtype)
        whole[:, kept] = values
        return whole

    def _as_people_write(self, text: UserTable, kept: list[int], done: int) -> Iterator[Numbers]:
        first = 0
        for batch in text.batches([str(i) for i in kept]):
            start = max(0, done - first)
            if start < len(batch):
                rest = batch.slice(start)
                values = np.zeros((len(rest), self.width), dtype=np.float32)
                for i, column in zip(kept, rest.columns, strict=True):
                    name = self.names[i] if self.names else str(i)
                    try:
                        values[:, i] = text.numbers(column, name, first + start)
                    except InputError as error:
                        raise InputError(f"{error} ({_NO_FEATURE})") from error
                yield values
            first += len(batch)


Matrix = ArrayFile | TableFile


def open_matrix(path: Path, option: str, *, flat: bool = False) -> Matrix:
    """Find out what a file is, and its shape.

    Args:
        path: The file; ``FILE.npz:NAME`` names one array of several.
        option: The option that named it, for messages.
        flat: One column is wanted: arrays of one dimension count as such.

    Raises:
        InputError: If it is missing, damaged, or no matrix of numbers.
    """
    member = ""
    if not path.exists() and ".npz:" in path.name:
        name, _, member = path.name.rpartition(":")
        path = path.with_name(name)
    require_file(path, option)
    with path.open("rb") as file:
        magic = file.read(6)
    if magic[:4] == _ZIP:
        return open_npz(path, option, member, flat=flat)
    stem = path.name.lower().removesuffix(".gz")
    if magic == _NPY or (is_gzip(path) and stem.endswith(".npy")):
        return open_npy(path, option, flat=flat)
    if stem.endswith(_PARQUET):
        try:
            with pq.ParquetFile(path) as parquet:
                names, rows = tuple(parquet.schema_arrow.names), parquet.metadata.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{option}: cannot read {path} as Parquet: {error}") from error
        UserTable.open(path, option)  # refuses two columns of one name
        return TableFile(path, option, names, len(names), rows, None)
    if stem.endswith((".npy", ".npz")):
        raise InputError(f"{option}: {path} is named as NumPy's, and is not; save it again")
    text, names = UserTable.open_matrix(path, option)
    return TableFile(path, option, names, len(text.columns), None, text)


@dataclass(frozen=True)
class JoinedMatrix:
    """Files that stand beside one another: row by row the features of one measurement.

    Args:
        files: The files, from the left.
    """

    files: tuple[Matrix, ...]

    def __post_init__(self) -> None:
        known = {file.rows: file for file in self.files if file.rows is not None}
        if len(known) > 1:
            shown = ", ".join(f"{file.path} has {rows} rows" for rows, file in known.items())
            raise InputError(
                f"{self.files[0].option}: {shown}; files that stand beside one another need "
                "equally many (rows for the test part go into --test_features)"
            )

    @cached_property
    def edges(self) -> list[int]:
        """The first column of each file, and after them C."""
        return [0, *np.cumsum([file.width for file in self.files]).tolist()]

    @property
    def width(self) -> int:
        """C, the columns of all files."""
        return self.edges[-1]

    @property
    def rows(self) -> int | None:
        """N; None: not known before they are read."""
        return next((file.rows for file in self.files if file.rows is not None), None)

    @property
    def names(self) -> list[str]:
        """Names of the columns; without a header they are numbered from 0."""
        given = [n for file in self.files for n in (file.names or [None] * file.width)]
        return [str(i) if n is None else n or f"unnamed {i}" for i, n in enumerate(given)]

    def place(self, row: int, column: int) -> str:
        """Say where a value stands, rows and columns counted from 0."""
        k = int(np.searchsorted(self.edges, column, side="right")) - 1
        file, local = self.files[k], column - self.edges[k]
        name = f" '{file.names[local]}'" if file.names else ""
        return f"{file.place(row)}, column {local}{name}"

    def chunks(self, skip: Collection[int] = ()) -> Iterator[FloatArray]:
        """Read the rows in order; a chunk is good until the next one is asked for.

        Args:
            skip: Columns that nobody needs.

        Yields:
            Rows ``[R, C]``, fp32.

        Raises:
            InputError: If a file cannot be read, or one has fewer rows than another.
        """
        rows = max(1, _CHUNK_BYTES // (4 * self.width))
        parts = [
            _evenly(file, rows, {c - start for c in skip})
            for file, start in zip(self.files, self.edges[:-1], strict=True)
        ]
        if len(parts) == 1:
            yield from parts[0]
            return
        chunk_RC = np.empty((rows, self.width), dtype=np.float32)
        nothing = [np.empty((0, file.width), dtype=np.float32) for file in self.files]
        first = 0
        while True:
            pieces = [next(*pair) for pair in zip(parts, nothing, strict=True)]
            counts = [len(piece) for piece in pieces]
            if not any(counts):
                return
            if len(set(counts)) > 1:
                fewest = self.files[int(np.argmin(counts))]
                raise InputError(
                    f"{fewest.option}: {fewest.path} has {first + min(counts)} rows, and a file "
                    "beside it has more; files that stand beside one another need equally many"
                )
            for piece, start in zip(pieces, self.edges[:-1], strict=True):
                chunk_RC[: counts[0], start : start + piece.shape[1]] = piece
            yield chunk_RC[: counts[0]]
            first += counts[0]

    def sample(self, skip: Collection[int] = ()) -> FloatArray:
        """Read some rows, turned: from all over the files where these can be sought, else first.

        Args:
            skip: Columns that nobody needs.

        Returns:
            ``[C, S]``, S at most 2,048.
        """
        count = max(1, min(_SAMPLE_ROWS, _SAMPLE_BYTES // (4 * self.width)))
        if self.rows is not None and all(file.can_seek for file in self.files):
            # Not at even distances, which may fall in step with the order of the lines.
            draw = np.random.default_rng(0)
            chosen = draw.choice(self.rows, size=min(count, self.rows), replace=False)
            chosen.sort()
            sample_CS = np.empty((self.width, len(chosen)), dtype=np.float32)
            for file, start in zip(self.files, self.edges[:-1], strict=True):
                assert isinstance(file, ArrayFile)
                for i, row in enumerate(file.take(chosen)):
                    with np.errstate(over="ignore"):
                        sample_CS[start : start + file.width, i] = row
            return sample_CS
        sample_CS = np.empty((self.width, count), dtype=np.float32)
        done = 0
        for chunk_RC in self.chunks(skip):
            here = min(len(chunk_RC), count - done)
            sample_CS[:, done : done + here] = chunk_RC[:here].T
            done += here
            if done == count:
                break
        return sample_CS[:, :done]


def _evenly(file: Matrix, rows: int, skip: Collection[int]) -> Iterator[FloatArray]:
    """Read a file as fp32, the same number of rows at a time; only the last chunk is shorter."""
    held_RC = np.empty((rows, file.width), dtype=np.float32)
    filled = 0
    for batch in file.batches(rows, skip):
        start = 0
        while start < len(batch):
            here = min(rows - filled, len(batch) - start)
            # What is too large for fp32 becomes infinite, and is refused as such.
            with np.errstate(over="ignore"):
                held_RC[filled : filled + here] = batch[start : start + here]
            start, filled = start + here, filled + here
            if filled == rows:
                yield held_RC
                filled = 0
    if filled:
        yield held_RC[:filled]
