import gzip
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.sources.columns import UserTable, texts
from combo_lightning.errors import InputError

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path: Path) -> pa.Table:
    return UserTable.open(path, "--x").read()


WANTED = {"cell": ["A", "B,C"], "y": ["1", "2"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'cell,y\nA,1\n"B,C",2\n'),
        ("a.csv", '\ufeffcell , y\r\nA,1\r\n"B,C",2'),
        ("a.csv", 'cell,y\rA,1\r"B,C",2\r'),
        ("a.csv", '\n\ncell,y\nA,1\n\n"B,C",2\n\x1a'),
        ("a.tsv", "cell\ty\nA\t1\nB,C\t2\n"),
        ("a.TXT", "cell\ty\nA\t1\nB,C\t2\n"),
        ("a.csv.gz", gzip.compress(b'cell,y\nA,1\n"B,C",2\n', mtime=0)),
        ("gzip_without_the_name.csv", gzip.compress(b'cell,y\nA,1\n"B,C",2\n', mtime=0)),
    ],
)
def test_any_line_end_separator_and_compression_reads_alike(
    write: Write, name: str, content: str | bytes
) -> None:
    table = read(write(name, content))
    assert {c: texts(table.column(c)).to_pylist() for c in table.column_names} == WANTED


def test_parquet_reads_as_text_does(tmp_path: Path) -> None:
    frame = pd.DataFrame({"cell": pd.Categorical(["A", "B,C"]), "y": [1, 2]})
    frame.to_parquet(tmp_path / "a.parquet")
    table = read(tmp_path / "a.parquet")
    assert {c: texts(table.column(c)).to_pylist() for c in table.column_names} == WANTED


def test_western_letters_of_older_programs_are_read(write: Write) -> None:
    path = write("a.csv", "cell,dose (µM)\nMüller,1\n".encode("cp1252"))
    table = UserTable.open(path, "--x")
    assert table.columns == ("cell", "dose (µM)")
    assert texts(table.read().column("cell")).to_pylist() == ["Müller"]


def test_whole_numbers_of_parquet_lose_their_point_and_others_keep_it() -> None:
    assert texts(pa.array([740.0, None, float("nan")])).to_pylist() == ["740", None, None]
    assert texts(pa.array([740.5, 1.0])).to_pylist() == ["740.5", "1"]
    # Arrow itself would write 1e+15.
    assert texts(pa.array([1e15, 753082.0])).to_pylist() == ["1000000000000000", "753082"]
    assert texts(pa.array([7, None])).to_pylist() == ["7", None]
    assert texts(pa.array([" a ", "NA", "\\N", "", "nan", None])).to_pylist() == ["a"] + [None] * 5


@given(st.lists(st.one_of(st.none(), st.floats(-1e300, 1e300))))
def test_numbers_survive_being_written_as_text(values: list[float | None]) -> None:
    table = UserTable(Path("x.csv"), "--x", ("a",), ",", 1)
    column = pa.array([None if v is None else repr(v) for v in values], pa.string())
    wanted = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    np.testing.assert_array_equal(table.numbers(column, "a"), wanted)


def test_signs_blanks_and_missing_are_numbers_as_people_write_them() -> None:
    table = UserTable(Path("x.csv"), "--x", ("a",), ",", 1)
    column = pa.array(["+1.5", " 2 ", "1e-6", "NA", "", None])
    np.testing.assert_array_equal(
        table.numbers(column, "a"), [1.5, 2, 1e-6, np.nan, np.nan, np.nan]
    )


@pytest.mark.parametrize(
    ("text", "line"), [("abc", 3), ("1,5", 3), ("inf", 3), ("-Infinity", 3), ("1e999", 3)]
)
def test_text_among_numbers_is_named_by_line_and_column(
    write: Write, text: str, line: int
) -> None:
    table = UserTable.open(write("a.csv", f'cell,y\nA,1\nB,"{text}"\n'), "--x")
    message = rf"--x: .*a\.csv, line {line}, column 'y' holds '{text}'; it must be a finite number"
    with pytest.raises(InputError, match=message):
        table.numbers(table.read().column("y"), "y")


def test_an_infinite_value_among_signed_ones_is_refused() -> None:
    table = UserTable(Path("x.csv"), "--x", ("a",), ",", 1)
    with pytest.raises(InputError, match="line 3, column 'a' holds 'inf'"):
        table.numbers(pa.array(["+1", "inf"]), "a")


def test_lines_above_the_header_are_counted(write: Write) -> None:
    table = UserTable.open(write("a.csv", "\n\ncell,y\nA,1\n"), "--x")
    assert table.place(0).endswith("a.csv, line 4")


def test_the_line_is_counted_over_batches(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("combo_lightning.data.sources.columns._BLOCK_BYTES", 64)
    rows = [f"A{i},{i}" for i in range(100)]
    rows[77] = "A77,bad"
    table = UserTable.open(write("a.csv", "cell,y\n" + "\n".join(rows)), "--x")
    first = 0

    def read_all() -> None:
        nonlocal first
        for batch in table.batches(["y"]):
            table.numbers(batch.column("y"), "y", first)
            first += len(batch)

    with pytest.raises(InputError, match="line 79, column 'y' holds 'bad'"):
        read_all()
    assert first > 50  # more than one batch came before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"a\.csv is empty"),
        ("a.csv", "\n\n", r"a\.csv is empty"),
        ("a.csv", "cell,y\n", "has a header but no rows"),
        ("a.csv", "cell;y\nA;1\n", "looks separated by semicolons: save it with commas"),
        ("a.csv", "cell\ty\nA\t1\n", "one column when cut at commas; it looks separated by tabs"),
        ("a.tsv", "cell,y\nA,1\n", "one column when cut at tabs; it looks separated by commas"),
        ("a.csv", "cell,y\nA,1,2\n", r"a row of 3 fields, the header has 2: 'A,1,2'; .* quotes"),
        ("a.csv", "cell,y\nA\n", "a row of 1 fields, the header has 2: 'A'"),
        ("a.csv", "y,y\nA,1\n", "two columns named 'y'; rename one"),
        ("a.csv", b"PK\x03\x04\x00\x00", "is not a text file; save it as CSV"),
        (
            "a.csv",
            gzip.compress(b"cell,y\n" + b"A,1\n" * 99, mtime=0)[:-9],
            r"damaged or truncated",
        ),
        ("a.csv.gz", b"\x1f\x8bjunk", r"damaged or truncated"),
        ("a.parquet", "cell,y\nA,1\n", r"cannot read .*a\.parquet as Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    write: Write, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(InputError, match=rf"--x: .*{message}"):
        read(write(name, content))


def test_a_missing_file_offers_the_nearest_name(write: Write, tmp_path: Path) -> None:
    write("responses.csv", "a,b\n")
    with pytest.raises(InputError, match=r"--x: there is no file .*did you mean 'responses.csv'"):
        UserTable.open(tmp_path / "response.csv", "--x")
    with pytest.raises(InputError, match="is a directory; name a file"):
        UserTable.open(tmp_path, "--x")


def test_a_missing_column_offers_the_nearest_name() -> None:
    table = UserTable(Path("x.csv"), "--x", ("cell_line", "growth"), ",", 1)
    with pytest.raises(InputError, match=r"no column 'cell_lin' \(--cell_column\).*'cell_line'"):
        table.require("cell_lin", "--cell_column")


def test_a_guess_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    table = UserTable(Path("x.csv"), "--x", ("Cell Line", "growth"), ",", 1)
    with caplog.at_level(logging.INFO):
        assert table.guess(("cellid", "cellline"), "cell line") == "Cell Line"
        assert table.guess(("weight",), "weight") is None
    assert caplog.messages == ["--x: x.csv: taking column 'Cell Line' as the cell line"]
