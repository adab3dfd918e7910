"""Tables of thousands of columns of numbers: opened by content, read into one float32 array.

Shapes: R rows of the file, C of its columns.
"""

import csv
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from combo_lightning.data.blocks import FloatArray
from combo_lightning.data.sources.columns import MISSING, UserTable, is_number, texts
from combo_lightning.data.sources.raw_text import is_gzip, require_file, text_encoding
from combo_lightning.errors import InputError

_PARQUET_MAGIC = b"PAR1"
_DELIMITERS = ",\t;|"
# A header of 20,000 genes takes about 300 kB, a row of them about as much.
_HEAD_BYTES = 1 << 22
_SAMPLE_ROWS = 20
# Columns of a Parquet file that are read at once: 20 MB of 5,000 rows.
_PARQUET_COLUMNS = 1000
# Anything that someone may have meant as a number, also with a decimal comma or a separator of
# thousands: such a column is read as numbers, and refused where it is none.
_NUMBER_LIKE = re.compile(
    r"[-+]?[\d.,'\s  ]*\d[\d.,'\s  ]*(?:e[-+]?\d+)?%?|[-+]?inf(?:inity)?",
    re.IGNORECASE,
)


# Tells from columns of text which rows to keep.
Keep = Callable[[dict[str, list[str | None]]], npt.NDArray[np.bool_]]


class Read(NamedTuple):
    """What was read of a wide table.

    Args:
        texts: The columns of text, missing as None.
        values_RC: The numbers, ``[R, C]``, missing as NaN.
        dropped: Rows that were not to be kept.
    """

    texts: dict[str, list[str | None]]
    values_RC: FloatArray
    dropped: int


@dataclass(frozen=True)
class WideTable:
    """A table of numbers and the first of its rows.

    Args:
        table: The file.
        sample: Its first rows as text, missing as None.
    """

    table: UserTable
    sample: tuple[tuple[str | None, ...], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.table.columns

    def text_columns(self) -> list[str]:
        """Name the columns that hold text, as far as the first rows tell."""
        result = []
        for i, name in enumerate(self.columns):
            known = [row[i] for row in self.sample if row[i] is not None]
            numbers = sum(1 for text in known if text and _NUMBER_LIKE.fullmatch(text))
            if known and 2 * numbers < len(known):
                result.append(name)
        return result

    def read(self, names: Sequence[str], numbers: Sequence[str], keep: Keep | None = None) -> Read:
        """Read some columns as text and some as numbers.

        Beside the result there is never more in memory than the piece that is being read.

        Args:
            names: Columns of text.
            numbers: Columns of numbers.
            keep: Tells from columns of text which rows to keep; None: all.

        Raises:
            InputError: If the file is damaged or a number is none, with its place.
        """
        if not self.table.delimiter:
            return self._read_parquet(names, numbers, keep)
        try:
            return self._read_text(names, numbers, keep, at_once=True)
        except InputError:
            # The careful way takes '+1' too, and says where the first bad value stands.
            return self._read_text(names, numbers, keep, at_once=False)

    def _read_text(
        self, names: Sequence[str], numbers: Sequence[str], keep: Keep | None, *, at_once: bool
    ) -> Read:
        """Read a batch of rows at a time.

        Raises:
            InputError: If there are no rows.
        """
        columns: dict[str, list[str | None]] = {name: [] for name in names}
        whole_RC = np.empty((0, len(numbers)), dtype=np.float32)
        row = 0
        wanted = list(dict.fromkeys([*names, *numbers]))
        for batch in self.table.batches(wanted, numbers if at_once else ()):
            found = {name: texts(batch.column(name)).to_pylist() for name in names}
            values_RC = self._numbers(batch, numbers, row, at_once=at_once)
            row += len(batch)
            if keep is not None:
                kept = keep(found)
                found, values_RC = _kept(found, kept), values_RC[kept]
            for name, values in found.items():
                columns[name] += values
            # Growing in place: the system moves pages, so that there is never a second copy.
            place = len(whole_RC)
            whole_RC.resize((place + len(values_RC), len(numbers)), refcheck=False)
            whole_RC[place:] = values_RC
        if not row:
            raise InputError(f"{self.table.where} has a header but no rows")
        return Read(columns, whole_RC, row - len(whole_RC))

    def _read_parquet(
        self, names: Sequence[str], numbers: Sequence[str], keep: Keep | None
    ) -> Read:
        """Read some columns at a time, as they lie in the file.

        Raises:
            InputError: If there are no rows, or the file is damaged.
        """
        try:
            with pq.ParquetFile(self.table.path) as file:
                rows = file.metadata.num_rows
                whole_RC = np.empty((rows, len(numbers)), dtype=np.float32)
                found = {name: texts(file.read([name]).column(name)).to_pylist() for name in names}
                for start in range(0, len(numbers), _PARQUET_COLUMNS):
                    some = numbers[start : start + _PARQUET_COLUMNS]
                    whole_RC[:, start : start + len(some)] = self._numbers(
                        file.read(list(some), use_threads=False), some, 0, at_once=False
                    )
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{self.table.where} cannot be read: {error}") from error
        if not rows:
            raise InputError(f"{self.table.where} has columns but no rows")
        if keep is None:
            return Read(found, whole_RC, 0)
        kept = keep(found)
        return Read(_kept(found, kept), whole_RC[kept], rows - int(kept.sum()))

    def _numbers(
        self, piece: Any, numbers: Sequence[str], row: int, *, at_once: bool
    ) -> FloatArray:
        if at_once and numbers:
            values_RC = piece.select(list(numbers)).to_tensor(null_to_nan=True).to_numpy()
        else:
            values_RC = np.empty((len(piece), len(numbers)), dtype=np.float32)
            for i, name in enumerate(numbers):
                with np.errstate(over="ignore"):
                    values_RC[:, i] = self.table.numbers(piece.column(name), name, row)
        if np.isinf(values_RC).any():
            i = int(np.argwhere(np.isinf(values_RC))[0][1])
            expected = "it must be a finite number below 3e38, or empty"
            column = piece.column(numbers[i])
            self.table.refuse(np.isinf(values_RC[:, i]), column, numbers[i], row, expected)
        return np.asarray(values_RC, dtype=np.float32)


def _kept(
    columns: dict[str, list[str | None]], kept: npt.NDArray[np.bool_]
) -> dict[str, list[str | None]]:
    return {
        name: [value for value, k in zip(values, kept, strict=True) if k]
        for name, values in columns.items()
    }


def open_wide(path: Path, option: str) -> WideTable:
    """Find out what a table of numbers is, by its content: Parquet, or text of any delimiter.

    Args:
        path: The file; text may be gzip, UTF-8, UTF-16 or cp1252, of any line end.
        option: The option that named it, for messages.

    Raises:
        InputError: If it is missing, damaged, empty or no table, or names two columns alike.
    """
    require_file(path, option)
    with path.open("rb") as file:
        magic = file.read(4)
    wide = _open_parquet(path, option) if magic == _PARQUET_MAGIC else _open_text(path, option)
    twice = [name for name, count in Counter(wide.columns).items() if count > 1]
    if twice:
        raise InputError(
            f"{wide.table.where} has two columns named '{twice[0]}'; rename one of them"
        )
    return wide


def _open_parquet(path: Path, option: str) -> WideTable:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            table = UserTable(path, option, tuple(schema.names))
            # Numbers are told by their type; what a number is does not matter for the sample.
            other = [f.name for f in schema if not is_number(f.type)]
            batch = next(file.iter_batches(_SAMPLE_ROWS, columns=other), None)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{option}: cannot read {path} as Parquet: {error}") from error
    rows = 0 if batch is None else len(batch)
    text = {name: texts(batch.column(name)).to_pylist() for name in other if batch is not None}
    columns = [text.get(name, ["0"] * rows) for name in schema.names]
    return WideTable(table, tuple(zip(*columns, strict=True)))


def read_head(path: Path, option: str) -> tuple[str, str]:
    """Read the beginning of a text file, whole lines only, and its encoding.

    Raises:
        InputError: If it is damaged, no text, or empty.
    """
    try:
        with pa.input_stream(str(path), compression="gzip" if is_gzip(path) else None) as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, zlib.error) as error:
        raise InputError(
            f"{option}: {path} is damaged or truncated ({error}); copy or download it again"
        ) from error
    encoding = text_encoding(head)
    if encoding is None:
        raise InputError(
            f"{option}: {path} is not a text file; save it as CSV, TSV, Parquet or a spreadsheet"
        )
    text = head.decode(encoding, errors="ignore").replace("\r\n", "\n").replace("\r", "\n")
    if len(head) == _HEAD_BYTES and "\n" in text:
        text = text[: text.rindex("\n")]
    if not text.strip("\x1a \n"):
        raise InputError(f"{option}: {path} is empty")
    # Arrow itself leaves out the mark at the beginning of UTF-8, and reads no other as fast.
    return text, "utf8" if encoding == "utf-8-sig" else encoding


def _open_text(path: Path, option: str) -> WideTable:
    text, encoding = read_head(path, option)
    skip = _preamble(text)
    body = text.split("\n", skip)[skip]
    parsed = {d: _parse(body, d) for d in _DELIMITERS}
    # The right delimiter gives every row the same number of fields, and many of them.
    delimiter = max(parsed, key=lambda d: _score(parsed[d][0]))
    rows, header_lines = parsed[delimiter]
    header = [name.strip() for name in rows[0]]
    if len(header) < 2:
        raise InputError(
            f"{option}: {path} has one column in its first line, whether cut at commas, tabs, "
            "semicolons or bars; save it as CSV or TSV, without lines above the header"
        )
    wider = len(rows) > 1 and all(len(row) == len(header) + 1 for row in rows[1:])
    if wider and not any(row[-1].strip() for row in rows[1:]):
        raise InputError(
            f"{option}: {path} ends its rows with a separator, its header without; take it away"
        )
    if wider and delimiter != ",":
        # R writes no name above the row names. Not so at commas, where a column of decimal commas
        # looks alike.
        header = ["", *header]
    table = UserTable(path, option, tuple(header), delimiter, skip + header_lines, encoding)
    sample = tuple(
        tuple(None if (t := field.strip()) in MISSING else t for field in row)
        for row in rows[1:]
        if len(row) == len(header)
    )
    return WideTable(table, sample)


def _preamble(text: str) -> int:
    """Count the lines above the header: blank ones, comments, GCT's version and size."""
    lines = text.split("\n", 60)[:60]
    skip = 0
    while skip < len(lines) - 1:
        line = lines[skip].strip("\x1a \t")
        if line.startswith("#1."):
            skip += 2
        elif not line or line.startswith("#") or line.lower().startswith("sep="):
            skip += 1
        else:
            break
    return skip


def _parse(body: str, delimiter: str) -> tuple[list[list[str]], int]:
    """Parse the first rows: the rows, and how many lines the header takes."""
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    header_lines = 0
    try:
        for row in reader:
            header_lines = header_lines or reader.line_num
            if row and (len(row) > 1 or row[0].strip("\x1a ")):
                rows.append(row)
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error:
        pass  # a field beyond 128 kB: not cut at this delimiter
    return rows, header_lines


def _score(rows: Sequence[Sequence[str]]) -> tuple[bool, int]:
    widths = {len(row) for row in rows[1:]} or {len(row) for row in rows[:1]}
    fields = len(rows[0]) if rows else 0
    return fields > 1 and widths <= {fields, fields + 1} and len(widths) == 1, fields
