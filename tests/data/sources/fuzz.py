"""One small table written in every way that people, Excel and lab software write tables.

`variants` yields the table's bytes with what a reader must make of them: read them as the plain
file reads, or refuse them with a sentence. `judge` tells whether it did.
"""

import codecs
import csv
import gzip
import io
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from combo_lightning.errors import InputError
from tests.data.sources.xlsx import workbook

# "read": as the plain file reads; "either": so, or refused; "refused": with an InputError.
Expected = Literal["read", "either", "refused"]

_LONG_NOTE = 'says "no", Göttingen'


@dataclass(frozen=True)
class Variant:
    """One way to write the table.

    Args:
        name: What is done to it.
        content: The file's bytes.
        expected: What a reader must do.
        suffix: How the file's name ends.
    """

    name: str
    content: bytes
    expected: Expected
    suffix: str = ".csv"

    def write(self, folder: Path) -> Path:
        path = folder / f"table{self.suffix}"
        path.write_bytes(self.content)
        return path


@dataclass(frozen=True)
class Table:
    """The plain table.

    Args:
        header: Names of the columns.
        rows: Their fields, as text.
        numbers: Columns of numbers that a reader uses; at least one value should be no whole
            number and one be 1,000 or more, else those variants are left out.
        required: Columns without which the table must be refused.
        delimiter: What separates the fields.
        suffix: How the file's name ends.
        quoting: Of `csv`: which fields stand in quotes in the official file.
        any_case: The reader takes column names in whatever case.
        extra_columns: The reader takes columns that it does not know.
        missing: How the official file writes a value that is missing; never quoted.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[str]
    required: Sequence[str]
    delimiter: str = ","
    suffix: str = ".csv"
    quoting: Literal[0, 1, 2, 3] = csv.QUOTE_MINIMAL
    any_case: bool = True
    extra_columns: bool = True
    missing: str = ""

    def text(self, line_end: str = "\n") -> str:
        """Write it as text."""
        lines = []
        for row in (self.header, *self.rows):
            stream = io.StringIO()
            csv.writer(stream, delimiter=self.delimiter, quoting=self.quoting).writerow(row)
            line = stream.getvalue().removesuffix("\r\n")
            if self.missing:
                line = line.replace(f'"{self.missing}"', self.missing)
            lines.append(line + line_end)
        return "".join(lines)

    def content(self) -> bytes:
        """Write it as UTF-8, each line ended by a newline."""
        return self.text().encode()

    def select(self, order: Sequence[int]) -> "Table":
        """Take some of its columns, in an order."""
        return replace(
            self,
            header=[self.header[i] for i in order],
            rows=[[row[i] for i in order] for row in self.rows],
        )

    def with_column(self, place: int, name: str, fields: Sequence[str]) -> "Table":
        """Insert a column; its fields are repeated down the rows."""
        rows = [
            [*row[:place], fields[i % len(fields)], *row[place:]]
            for i, row in enumerate(self.rows)
        ]
        return replace(self, header=[*self.header[:place], name, *self.header[place:]], rows=rows)

    def rename(self, new: Callable[[str], str]) -> "Table":
        """Give its columns other names."""
        return replace(self, header=[new(name) for name in self.header])

    def rewrite(self, new: Callable[[str], str], rows: Sequence[int] | None = None) -> "Table":
        """Write numbers another way; missing ones stay.

        Args:
            new: Of the text of a number.
            rows: Which rows; None: all.
        """
        columns = [i for i, name in enumerate(self.header) if name in self.numbers]

        def field(r: int, c: int, text: str) -> str:
            touched = c in columns and (rows is None or r in rows) and _is_number(text)
            return new(text) if touched else text

        changed = [[field(r, c, t) for c, t in enumerate(row)] for r, row in enumerate(self.rows)]
        return replace(self, rows=changed)


def variants(table: Table) -> Iterator[Variant]:
    """Write the table in every way; each differs from the plain one in one thing.

    Args:
        table: The plain table; at least two rows, all numbers plain (``1234.5``).
    """
    for make in (_columns, _names, _encodings, _line_ends, _containers, _numbers, _damage):
        for variant in make(table):
            yield replace(variant, suffix=variant.suffix or table.suffix)


def judge(variant: Variant, folder: Path, read: Callable[[Path], Any], truth: Any) -> str:
    """Read a variant and say what came of it, which must be what is expected.

    Args:
        variant: The variant.
        folder: Where to write it.
        read: The reader; what it gives must compare by ``==``.
        truth: What it gives for the plain file.

    Returns:
        "read", or the sentence of the refusal.

    Raises:
        AssertionError: If it was read wrong, or refused or read against what is expected.
    """
    try:
        found = read(variant.write(folder))
    except InputError as error:
        sentence = str(error)
        assert variant.expected != "read", f"{variant.name} was refused: {sentence}"
        assert sentence.strip(), f"{variant.name} was refused without a word"
        assert "\n" not in sentence, f"{variant.name}: more than one line: {sentence}"
        return sentence
    assert variant.expected != "refused", f"{variant.name} was read: {found!r}"
    assert found == truth, f"{variant.name} was read WRONG: {found!r}, not {truth!r}"
    return "read"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _columns(table: Table) -> Iterator[Variant]:
    """Columns in another order, one more, one less, one twice."""
    width = len(table.header)
    yield Variant("columns reversed", table.select(range(width)[::-1]).content(), "read", "")
    for seed in range(3):
        order = random.Random(seed).sample(range(width), width)
        yield Variant(f"columns shuffled {seed}", table.select(order).content(), "read", "")
    more: Expected = "read" if table.extra_columns else "either"
    for place, where in ((0, "first"), (width // 2, "in between"), (width, "last")):
        noted = table.with_column(place, "note", ["x", "", "y"])
        yield Variant(f"a column of text {where}", noted.content(), more, "")
    counted = table.with_column(0, "", [str(i) for i in range(len(table.rows))])
    yield Variant("pandas' unnamed index first", counted.content(), more, "")
    named = table.with_column(0, "Unnamed: 0", [str(i) for i in range(len(table.rows))])
    yield Variant("pandas' index read and written again", named.content(), more, "")
    for name in table.required:
        at = table.header.index(name)
        less = table.select([i for i in range(width) if i != at])
        yield Variant(f"without {name}", less.content(), "refused", "")
        twice = table.with_column(width, name, [row[at] for row in table.rows])
        yield Variant(f"{name} twice", twice.content(), "either", "")
        other = table.with_column(width, name, ["7", "8", "9"])
        yield Variant(f"{name} twice, with other values", other.content(), "refused", "")


def _names(table: Table) -> Iterator[Variant]:
    """Columns renamed."""
    cased: Expected = "read" if table.any_case else "either"
    yield Variant("names in upper case", table.rename(str.upper).content(), cased, "")
    yield Variant("names in lower case", table.rename(str.lower).content(), cased, "")
    spaced = table.rename(lambda name: f" {name} ")
    yield Variant("blanks around names", spaced.content(), "either", "")
    parted = table.rename(lambda name: name.replace("_", " "))
    yield Variant("blanks for underscores", parted.content(), "either", "")
    joined = table.rename(lambda name: name.replace(" ", "_").replace(".", "_"))
    yield Variant("underscores for blanks and points", joined.content(), "either", "")
    for wanted in table.required:
        # Not a word that a reader could take for the right one.
        renamed = table.rename(lambda name, wanted=wanted: "qqq" if name == wanted else name)  # type: ignore[misc]
        yield Variant(f"{wanted} renamed", renamed.content(), "refused", "")


def _encodings(table: Table) -> Iterator[Variant]:
    noted = table.with_column(len(table.header), "note", ["Göttingen", "5 µM", ""])
    more: Expected = "read" if table.extra_columns else "either"
    text = noted.text()
    yield Variant("UTF-8 with BOM", codecs.BOM_UTF8 + table.content(), "read", "")
    yield Variant("UTF-8", text.encode(), more, "")
    yield Variant("cp1252", text.encode("cp1252"), more, "")
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        yield Variant(f"{name} as Python writes it", text.encode(name), "either", "")
    big = codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    yield Variant("UTF-16, big end first, with BOM", big, "either", "")


def _line_ends(table: Table) -> Iterator[Variant]:
    for name, end in (("CR", "\r"), ("CR LF", "\r\n")):
        yield Variant(f"lines end in {name}", table.text(end).encode(), "read", "")
    yield Variant("no last line end", table.content().rstrip(b"\n"), "read", "")
    yield Variant("blank lines at the end", table.content() + b"\n\n", "read", "")
    yield Variant("a blank line first", b"\n" + table.content(), "either", "")
    yield Variant("DOS end mark", table.text("\r\n").encode() + b"\x1a", "either", "")
    lines = table.content().splitlines(keepends=True)
    middle = b"".join([*lines[:2], b"\n", *lines[2:]])
    yield Variant("a blank line in between", middle, "either", "")
    again = b"".join([*lines[:2], lines[0], *lines[2:]])
    yield Variant("the header again in between", again, "either", "")
    commented = b"# written by a program\n" + table.content()
    yield Variant("a comment first", commented, "either", "")
    more: Expected = "read" if table.extra_columns else "either"
    for name, note in (
        ("a line break", "two\nlines"),
        ("a CR LF", "two\r\nlines"),
        ("the separator", f"a{table.delimiter}b"),
        ("quotes", _LONG_NOTE),
    ):
        for place in (0, len(table.header)):
            noted = table.with_column(place, "note", ["", note])
            yield Variant(f"{name} in quotes, column {place}", noted.content(), more, "")
    everywhere = replace(table, quoting=csv.QUOTE_ALL)
    yield Variant("all fields in quotes", everywhere.content(), "read", "")


def _containers(table: Table) -> Iterator[Variant]:
    """Other separators, compressed, spreadsheets, and what only looks like the file."""
    content = table.content()
    yield Variant("gzip", gzip.compress(content), "read", f"{table.suffix}.gz")
    yield Variant("gzip without the name", gzip.compress(content), "read", "")
    yield Variant("half a gzip", gzip.compress(content)[:-12], "refused", f"{table.suffix}.gz")
    for name, delimiter in (("commas", ","), ("tabs", "\t"), ("semicolons", ";"), ("bars", "|")):
        if delimiter != table.delimiter:
            other = replace(table, delimiter=delimiter)
            yield Variant(f"separated by {name}", other.content(), "either", "")
    rows = [list(table.header), *table.rows]
    typed: list[list[str | float | None]] = [
        [float(f) if r and _is_number(f) else (f or None) for f in row]
        for r, row in enumerate(rows)
    ]
    yield Variant("a workbook", workbook(typed), "either", ".xlsx")
    yield Variant("a workbook of text", workbook(rows), "either", ".xlsx")
    yield Variant("a workbook, named as text", workbook(typed), "either", "")
    yield Variant(
        "a page of the web", b"<!DOCTYPE html>\n<html><body>404</body></html>", "refused"
    )
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12\n"
    yield Variant("a pointer of Git LFS", pointer, "refused", "")
    yield Variant("nothing", b"", "refused", "")
    yield Variant("a header alone", table.text().split("\n")[0].encode() + b"\n", "refused", "")
    yield Variant("zeros", b"\0" * 512, "refused", "")


def _numbers(table: Table) -> Iterator[Variant]:
    """The same numbers as others write them: never may one be read as another number."""
    german = table.rewrite(lambda text: text.replace(".", ","))
    if german.rows != table.rows:
        yield Variant("decimal comma", german.content(), "either", "")
        excel = replace(german, delimiter=";")
        yield Variant("decimal comma and semicolons", excel.content(), "either", "")
        tabbed = replace(german, delimiter="\t")
        yield Variant("decimal comma and tabs", tabbed.content(), "either", ".tsv")
    for name, mark in (
        ("comma", ","), ("blank", " "), ("apostrophe", "'"), ("narrow blank", "\u202f"),
    ):  # fmt: skip
        grouped = table.rewrite(lambda text, mark=mark: _grouped(text, mark))  # type: ignore[misc]
        if grouped.rows != table.rows:
            yield Variant(f"thousands parted by a {name}", grouped.content(), "either", "")
    pointed = table.rewrite(lambda text: _grouped(text.replace(".", ","), "."))
    if pointed.rows != table.rows:
        both = replace(pointed, delimiter=";")
        yield Variant("thousands parted by points, decimal comma", both.content(), "either", "")
    same: list[tuple[str, Callable[[str], str], Expected]] = [
        ("in quotes", lambda text: f'"{text}"', "either"),
        ("with blanks around", lambda text: f" {text} ", "read"),
        ("with a plus", lambda text: text if text.startswith("-") else f"+{text}", "read"),
        (
            "with an exponent",
            lambda text: text if "e" in text.lower() else f"{text}e0",
            "read",
        ),
        ("with the exponent E+00", lambda text: f"{Decimal(text):E}", "read"),
        ("as Excel guards text", lambda text: f'="{text}"', "either"),
        ("with the sign of typesetters", lambda text: text.replace("-", "\u2212"), "either"),
    ]
    for name, new, expected in same:
        content = table.rewrite(new).content()
        if content != table.content():
            yield Variant(f"numbers {name}", content, expected, "")
    for name, new in (
        ("a star", lambda text: f"{text}*"),
        ("a bound", lambda text: f">{text}"),
        ("a unit", lambda text: f"{text} uM"),
        ("two points", lambda text: f"{text}.1.2"),
        ("infinity", lambda _: "inf"),
        ("Excel's error", lambda _: "#VALUE!"),
        ("a date", lambda _: "01-Mar"),
        ("hexadecimal", lambda _: "0x1F"),
        ("true", lambda _: "TRUE"),
        ("an underscore", lambda _: "1_000"),
        ("Arabic digits", lambda _: "\u0661\u0662"),
    ):
        content = table.rewrite(new, rows=[len(table.rows) - 1]).content()
        yield Variant(f"a number with {name}", content, "refused", "")


def _damage(table: Table) -> Iterator[Variant]:
    lines = table.content().splitlines(keepends=True)
    last = lines[-1].rstrip(b"\n")
    mark = table.delimiter.encode()
    short = b"".join(lines[:-1]) + last[: last.rindex(mark)] + b"\n"
    yield Variant("a field too few", short, "refused", "")
    yield Variant("a field too many", b"".join(lines[:-1]) + last + mark + b"7\n", "refused", "")
    trailing = b"".join(line.rstrip(b"\n") + mark + b"\n" for line in lines)
    yield Variant("a separator at each line's end", trailing, "either", "")
    ragged = lines[0] + b"".join(line.rstrip(b"\n") + mark + b"\n" for line in lines[1:])
    yield Variant("a separator at each row's end", ragged, "either", "")
    yield Variant("a quote that is never closed", b"".join(lines) + b'"', "either", "")
    zero = b"".join(lines[:-1]) + b"\0" + lines[-1]
    yield Variant("a zero byte", zero, "either", "")


def _grouped(text: str, mark: str) -> str:
    """Part the thousands of a number, as 1,234.5; its decimal mark stays."""
    whole, point, rest = text.partition("." if mark != "." else ",")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    if not digits.isdigit() or len(digits) < 4:
        return text
    parts = []
    while digits:
        parts.append(digits[-3:])
        digits = digits[:-3]
    return sign + mark.join(reversed(parts)) + point + rest
