"""A user's table read in a stream, and finding out which of its columns is what."""

import csv
import io
import logging
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from combo_lightning.data.sources.raw_text import is_gzip, require_file
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)

# Names that a column of each role goes by, in lower case without punctuation; the best first.
GUESSES: dict[str, tuple[str, ...]] = {
    "cell": ("cellid", "cell", "cellline", "celllinename", "cellname", "depmapid", "modelid"),
    "response": (
        "response",
        "comboscore",
        "score",
        "growth",
        "percentgrowth",
        "value",
        "viability",
    ),
    "weight": ("weight",),
    "study": ("study", "studyname", "source"),
    "plate": ("plate", "plateid", "platename", "barcode", "platebarcode"),
    "tissue": ("tissue", "panel", "lineage", "cancertype"),
}
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "\\N")
ANY = "any"
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
# Of numbers alone: names hold blanks.
_NUMBER_SEPARATORS = _SEPARATORS | {" ": "blanks"}
_PARQUET = (".parquet", ".pq")
_TABBED = (".tsv", ".tab", ".txt")
# Numbers that name a thing and measure nothing.
IDENTIFIERS = {
    "", "id", "index", "unnamed0", "indexlevel0", "nsc", "nscid", "cid", "pubchemcid", "cas",
    "casnumber", "cosmicid", "drugid", "cellid",
}  # fmt: skip
# A header of 20,000 genes takes about 200 kB.
_HEAD_BYTES = 1 << 22
_BLOCK_BYTES = 1 << 24
# Of numbers alone: Arrow reads a dozen blocks ahead, and thousands of columns take much room.
_NUMBER_BLOCK_BYTES = 1 << 23
_BATCH_ROWS = 1 << 17


def plain(name: str) -> str:
    """Reduce a column's name to letters and digits in lower case."""
    return "".join(c for c in name.lower() if c.isalnum())


@dataclass(frozen=True)
class UserTable:
    """A table that a user gave: CSV, TSV or Parquet, text gzip or plain.

    Args:
        path: The file.
        option: The option that named it, for messages.
        columns: Names of its columns.
        delimiter: What separates the fields of a text file; empty: Parquet.
        skip: Lines up to and with the header.
        encoding: Of a text file.
    """

    path: Path
    option: str
    columns: tuple[str, ...]
    delimiter: str = ""
    skip: int = 0
    encoding: str = "utf8"

    @classmethod
    def open(cls, path: Path, option: str, delimiter: str | None = None) -> "UserTable":
        """Find out what a file is and which columns it has.

        Args:
            path: The file.
            option: The option that named it, for messages.
            delimiter: Of a text file; None: as its name ends; `ANY`: what cuts its header most.

        Raises:
            InputError: If it is missing, damaged, empty, separated by something else, or names
                two columns alike.
        """
        require_file(path, option)
        stem = path.name.lower().removesuffix(".gz")
        with path.open("rb") as file:
            parquet = stem.endswith(_PARQUET) or file.read(4) == b"PAR1"
        if parquet:
            try:
                table = cls(path, option, tuple(pq.read_schema(path).names))
            except (pa.ArrowInvalid, OSError) as error:
                raise InputError(f"{option}: cannot read {path} as Parquet: {error}") from error
        else:
            line, skip, encoding = _first_line(path, option)
            if delimiter == ANY:
                delimiter = max(_SEPARATORS, key=lambda d: len(_fields(line, d)))
            delimiter = delimiter or ("\t" if stem.endswith(_TABBED) else ",")
            names = _fields(line, delimiter)
            if len(names) < 2:
                other = next((n for d, n in _SEPARATORS.items() if d in line), None)
                raise InputError(
                    f"{option}: {path} has one column when cut at {_SEPARATORS[delimiter]}"
                    + (f"; it looks separated by {other}" if other else "")
                    + ": save it with commas as .csv or with tabs as .tsv"
                )
            table = cls(path, option, names, delimiter, skip + 1, encoding)
        table.refuse_equal_names()
        return table

    def refuse_equal_names(self) -> None:
        """Refuse two columns of one name.

        Raises:
            InputError: If there are two.
        """
        twice = [name for name, count in Counter(self.columns).items() if count > 1]
        if twice:
            raise InputError(f"{self.where} has two columns named '{twice[0]}'; rename one")

    @classmethod
    def open_matrix(cls, path: Path, option: str) -> tuple["UserTable", tuple[str, ...]]:
        """Open a text file of numbers alone, whatever separates them, with or without a header.

        Returns:
            The table, its columns named by their numbers from 0, and the names that its header
            gives them; none: it has no header, its first line is a row.

        Raises:
            InputError: If it is missing, damaged or empty, or its first line is half a header.
        """
        line, skip, encoding = _first_line(require_file(path, option), option)
        delimiter = max(_SEPARATORS, key=lambda d: len(_fields(line, d)))
        if all(reads_as_number(field) for field in _fields(line, " ")):
            delimiter = max(_NUMBER_SEPARATORS, key=lambda d: len(_fields(line, d)))
        fields = _fields(line, delimiter)
        # pandas heads columns that have no names with 0, 1, 2 .., and its index with nothing.
        numbered = [str(i) for i in range(len(fields))]
        known = ((*numbered,), ("", *numbered[:-1])) if len(fields) > 2 else ()
        words = [field for field in fields if not reads_as_number(field)]
        headed = fields in known or bool(words)
        point = next((f for f in fields if "." in f and reads_as_number(f)), None)
        if words and point:
            raise InputError(
                f"{option}: {path}, line {skip + 1} holds both '{point}' and '{words[0]}': a "
                "header names columns, a row holds numbers alone; mend the one or the other"
            )
        columns = tuple(numbered)
        table = cls(path, option, columns, delimiter, skip + 1 if headed else skip, encoding)
        return table, fields if headed else ()

    @property
    def where(self) -> str:
        """The option and the file, for messages."""
        return f"{self.option}: {self.path}"

    def place(self, row: int) -> str:
        """Say where a row stands, counted from 0: the line of a text file."""
        number = f"line {row + 1 + self.skip}" if self.delimiter else f"row {row + 1}"
        return f"{self.where}, {number}"

    def batches(
        self, columns: Sequence[str] | None = None, numbers: Collection[str] = ()
    ) -> Iterator[Any]:
        """Read the rows a batch at a time, as Arrow batches; fields of text files stay text.

        Args:
            columns: What to read; None: all.
            numbers: Columns of a text file to read as float32 at once, missing as null.

        Raises:
            InputError: If the file is damaged, a row has too few or too many fields, or text
                stands among `numbers` (which is said with its place by the method `numbers`).
        """
        names = list(self.columns if columns is None else columns)
        torn: list[Any] = []
        try:
            if self.delimiter:
                yield from self._text_batches(names, numbers, torn)
            else:
                with pq.ParquetFile(self.path) as file:
                    yield from file.iter_batches(_BATCH_ROWS, columns=names)
        except pa.ArrowInvalid as error:
            if torn:
                separator = _NUMBER_SEPARATORS[self.delimiter].removesuffix("s")
                raise InputError(
                    f"{self.where} has a row of {torn[0].actual_columns} fields, the header has "
                    f"{len(self.columns)}: '{torn[0].text[:60]}'; a field that holds a "
                    f"{separator} needs quotes around it (or the file is cut short)"
                ) from error
            raise InputError(f"{self.where} cannot be read: {error}") from error
        except OSError as error:
            raise InputError(
                f"{self.where} is damaged or truncated ({error}); copy or download it again"
            ) from error

    def _text_batches(
        self, names: list[str], numbers: Collection[str], torn: list[Any]
    ) -> Iterator[Any]:
        def judge(row: Any) -> str:
            # Files written under DOS end in a line of one 0x1A.
            if not row.text.strip("\x1a \r\n"):
                return "skip"
            torn.append(row)
            return "error"

        with _open_stream(self.path) as stream:
            yield from pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(
                    column_names=list(self.columns),
                    skip_rows=self.skip,
                    block_size=_NUMBER_BLOCK_BYTES if numbers else _BLOCK_BYTES,
                    encoding=self.encoding,
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=judge
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=names,
                    default_column_type=pa.string(),
                    column_types=dict.fromkeys(numbers, pa.float32()),
                    null_values=MISSING,
                    strings_can_be_null=False,
                ),
            )

    def read(self) -> Any:
        """Read it whole, as an Arrow table.

        Raises:
            InputError: As `batches` does, and if there are no rows.
        """
        batches = list(self.batches())
        if not sum(len(batch) for batch in batches):
            raise InputError(f"{self.where} has a header but no rows")
        return pa.Table.from_batches(batches)

    def require(self, named: str, option: str) -> str:
        """Give a column that the user named.

        Raises:
            InputError: If it is not there, with the nearest name that is.
        """
        if named not in self.columns:
            raise InputError(
                f"{self.where} has no column '{named}' ({option})"
                f"{did_you_mean(named, self.columns)}; it has {', '.join(self.columns[:12])}"
            )
        return named

    def guess(self, names: Sequence[str], role: str) -> str | None:
        """Find the column of a role by its name, and log it; None: there is none."""
        by_plain = {plain(column): column for column in reversed(self.columns)}
        for name in names:
            if name in by_plain:
                logger.info("%s: taking column '%s' as the %s", self.where, by_plain[name], role)
                return by_plain[name]
        return None

    def numbers(self, column: Any, name: str, first_row: int = 0) -> npt.NDArray[np.float64]:
        """Convert a column to numbers; missing is NaN.

        Args:
            column: The column of a batch.
            name: Its name, for messages.
            first_row: Number of the batch's first row.

        Raises:
            InputError: With the first value that is no finite number.
        """
        if not is_number(column.type):
            column = texts(column)
        try:
            array = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
            bad = np.isinf(array)
        except pa.ArrowInvalid:
            # Arrow is stricter than people: it takes no '+1'. pandas is imported where it is
            # needed: a fit reads split files, and has 40 MB and 0.3 s to spare without it.
            import pandas as pd

            array = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(dtype=np.float64)
            bad = np.isinf(array) | (
                np.isnan(array) & column.is_valid().to_numpy(zero_copy_only=False)
            )
        self.refuse(
            bad, column, name, first_row, "it must be a finite number, as in -0.5, or empty"
        )
        return np.array(array, dtype=np.float64)

    def refuse(
        self, bad_R: npt.NDArray[Any], column: Any, name: str, first_row: int, expected: str
    ) -> None:
        """Refuse the first bad value of a column.

        Args:
            bad_R: Which values are bad.
            column: The column of a batch.
            name: Its name.
            first_row: Number of the batch's first row.
            expected: What was expected, and how to mend it.

        Raises:
            InputError: If one is bad, with its place and value.
        """
        if bad_R.any():
            row = int(np.flatnonzero(bad_R)[0])
            shown = " ".join(str(column[row].as_py()).splitlines())
            found = "is empty" if shown in ("None", "") else f"holds '{shown}'"
            raise InputError(f"{self.place(first_row + row)}, column '{name}' {found}; {expected}")


def texts(column: Any) -> Any:
    """Convert a column to text without surrounding blanks; what means missing is null.

    Whole numbers lose their point: an NSC number that Parquet keeps as 740.0 is '740'.
    """
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        array = column.to_numpy(zero_copy_only=False)
        known = array[np.isfinite(array)]
        whole = bool((known == np.rint(known)).all()) and bool((np.abs(known) < 2**53).all())
        column = pa.array(array, mask=np.isnan(array))
        column = column.cast(pa.int64()) if whole and len(known) else column
    column = pc.utf8_trim_whitespace(column.cast(pa.string()))
    missing = pc.is_in(column, value_set=pa.array(MISSING))
    return pc.if_else(missing, pa.scalar(None, pa.string()), column)


def is_number(kind: Any) -> bool:
    """Tell whether an Arrow type holds numbers."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    )


def _open_stream(path: Path) -> Any:
    return pa.input_stream(str(path), compression="gzip" if is_gzip(path) else None)


def _first_line(path: Path, option: str) -> tuple[str, int, str]:
    """Read the first line of a text file that is not blank: it, the lines before it, encoding.

    Raises:
        InputError: If the file is damaged, empty or no text.
    """
    try:
        with _open_stream(path) as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, zlib.error) as error:
        raise InputError(
            f"{option}: {path} is damaged or truncated ({error}); copy or download it again"
        ) from error
    if b"\x00" in head[:4096]:
        raise InputError(f"{option}: {path} is not a text file; save it as CSV, TSV or Parquet")
    encoding = "utf8"
    try:
        # The last bytes may be half a character.
        text = head[:-3].decode("utf-8-sig") + head[-3:].decode("utf-8", errors="ignore")
    except UnicodeDecodeError:
        encoding, text = "cp1252", head.decode("cp1252", errors="replace")
    lines = text.splitlines()
    skip = next((i for i, line in enumerate(lines) if line.strip("\x1a ")), None)
    if skip is None:
        raise InputError(f"{option}: {path} is empty")
    return lines[skip], skip, encoding


def _fields(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        fields = next(csv.reader(io.StringIO(line), delimiter=delimiter))
    except csv.Error:  # a field beyond 128 kB: the line of a wide table, cut at the wrong mark
        fields = line.split(delimiter)
    return tuple(field.strip() for field in fields)


def reads_as_number(field: str) -> bool:
    """Tell whether a field is a number or missing; not 1_000, nor digits of other scripts."""
    try:
        float(field if field.isascii() and "_" not in field else "")
    except ValueError:
        return field in MISSING
    return True
