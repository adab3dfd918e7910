"""Every format in every way that files are mangled: read right, or refused with a sentence."""

import csv
import gzip
import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.cell_names import KnownLine, KnownLines
from combo_lightning.data.names import cell_key
from combo_lightning.data.sources.profile import Profile, block_for_lines
from combo_lightning.data.sources.profile_file import line_test, read_profile
from combo_lightning.errors import InputError
from tests.data.sources.fixtures import write_cellminer
from tests.data.sources.profile_fixtures import (
    DEPMAP_NEW,
    DEPMAP_OLD,
    GDSC,
    star,
    write_cellminer_xls,
)

CELLMINER = (
    "Probe id c\tGene name d\tStart f\tBR:MCF7\tLC:A549/ATCC\tLE:HL-60(TB)\n"
    "p1\tTP53\t100\t1.5\t-2.5\t-\n"
    "p2\tEGFR\t200\t1.25\t9.5\t0.5\n"
)
MATRIX = "name,MCF7,A549,HL-60\nTP53,1.5,2.5,\nEGFR,0.25,3.5,4.5\n"
TEXTS = {
    "depmap_old": (DEPMAP_OLD, ","),
    "depmap_new": (DEPMAP_NEW, ","),
    "gdsc": (GDSC, "\t"),
    "gdc": (star((3.5, 0.5, 1.5)), "\t"),
    "cellminer": (CELLMINER, "\t"),
    "matrix": (MATRIX, ","),
}
ALL = pytest.mark.parametrize("name", list(TEXTS))
LINES = ["MCF7", "A549/ATCC", "HL-60(TB)", "sample"]


def read(path: Path) -> Profile:
    return read_profile(path, "--expression", is_line=line_test(LINES, None))


def table(name: str) -> list[list[str]]:
    text, delimiter = TEXTS[name]
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def written(name: str, rows: list[list[str]], path: Path, delimiter: str | None = None) -> Path:
    stream = io.StringIO()
    delimiter = delimiter or TEXTS[name][1]
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(rows)
    path.write_text(stream.getvalue())
    return path


def as_frame(profile: Profile) -> pd.DataFrame:
    frame = pd.DataFrame(
        profile.values_EF, index=list(profile.cell_names), columns=list(profile.feature_names)
    )
    return frame.sort_index(axis=0).sort_index(axis=1)


def original(name: str, tmp_path: Path) -> pd.DataFrame:
    (tmp_path / "sample.orig").write_text(TEXTS[name][0])
    return as_frame(read(tmp_path / "sample.orig"))


def header_row(rows: list[list[str]]) -> int:
    return 1 if rows[0][0].startswith("#") else 0


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8 with BOM": lambda t: t.encode("utf-8-sig"),
    "utf-16": lambda t: t.encode("utf-16"),
    "cp1252": lambda t: t.encode("cp1252"),
    "CR": lambda t: t.replace("\n", "\r").encode(),
    "CRLF": lambda t: t.replace("\n", "\r\n").encode(),
    "DOS end": lambda t: t.encode() + b"\x1a",
    "gzip": lambda t: gzip.compress(t.encode(), mtime=0),
    "blank lines": lambda t: t.replace("\n", "\n\n").encode(),
}


@ALL
@pytest.mark.parametrize("way", list(ENCODINGS))
def test_any_encoding_and_line_end_reads_alike(tmp_path: Path, name: str, way: str) -> None:
    text = TEXTS[name][0]
    if way == "cp1252" and name == "gdsc":
        text = text.replace("tetraspanin", "tétraspanin")
    path = tmp_path / "sample.txt"
    path.write_bytes(ENCODINGS[way](text))
    pd.testing.assert_frame_equal(as_frame(read(path)), original(name, tmp_path))


@ALL
@pytest.mark.parametrize("seed", range(4))
def test_shuffled_columns_read_alike(tmp_path: Path, name: str, seed: int) -> None:
    rows = table(name)
    start = header_row(rows)
    order = np.random.default_rng(seed).permutation(len(rows[start]))
    rows = rows[:start] + [[row[i] for i in order] for row in rows[start:]]
    path = written(name, rows, tmp_path / "sample.txt")
    pd.testing.assert_frame_equal(as_frame(read(path)), original(name, tmp_path))


@ALL
def test_another_delimiter_and_file_name_read_alike(tmp_path: Path, name: str) -> None:
    for delimiter, suffix in ((",", "dat"), ("\t", "csv"), (";", "parquet")):
        path = written(name, table(name), tmp_path / f"sample.{suffix}", delimiter)
        pd.testing.assert_frame_equal(as_frame(read(path)), original(name, tmp_path))


@ALL
def test_a_further_column_of_text_changes_nothing(tmp_path: Path, name: str) -> None:
    rows = table(name)
    start = header_row(rows)
    for i, row in enumerate(rows[start:]):
        row.append("remark" if i == 0 else 'some text, with "quotes"\nand a new line')
    path = written(name, rows, tmp_path / "sample.txt")
    pd.testing.assert_frame_equal(as_frame(read(path)), original(name, tmp_path))


@ALL
@pytest.mark.parametrize("mangle", ["comma", "thousands", "text", "infinite", "underscore"])
def test_a_mangled_number_is_refused_with_its_place(
    tmp_path: Path, name: str, mangle: str
) -> None:
    rows = table(name)
    new = {
        "comma": "1,5", "thousands": "1,234.5", "text": "high", "infinite": "inf",
        "underscore": "1_0",
    }[mangle]  # fmt: skip
    changed = 0
    for row in rows:
        for i, field in enumerate(row):
            if "." in field and field.replace(".", "").isdigit() and not changed:
                row[i], changed = new, 1
    assert changed
    path = written(name, rows, tmp_path / "sample.txt")
    with pytest.raises(InputError, match=rf"sample\.txt.*'{new}'.*must be"):
        read(path)


@ALL
def test_a_comma_that_is_not_quoted_is_refused_or_told_by_the_tabs(
    tmp_path: Path, name: str
) -> None:
    text = TEXTS[name][0]
    path = tmp_path / "sample.txt"
    path.write_text(text.replace("1.5", "1,5"))
    if "1.5" not in text:
        path.write_text(text.replace("1.25", "1,25"))
    with pytest.raises(InputError, match=r"(fields, the header|holds '1,2?5')"):
        read(path)


@ALL
@pytest.mark.parametrize("date", ["1-Mar", "Sep-02", "2001-03-01", "3/1/2001", "2001-09-02 00:00"])
def test_genes_that_became_dates_are_dropped_with_a_warning(
    tmp_path: Path, name: str, date: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = TEXTS[name][0].replace("TP53", date)
    path = tmp_path / "sample.txt"
    path.write_text(text)
    wanted = original(name, tmp_path)
    if name == "cellminer":  # a probe keeps its name, its gene is unknown
        profile = read(path)
        assert profile.genes == ("", "EGFR")
        pd.testing.assert_frame_equal(as_frame(profile), wanted)
        return
    with caplog.at_level(logging.WARNING):
        profile = read(path)
    kept = [c for c in wanted.columns if not c.startswith("TP53")]
    pd.testing.assert_frame_equal(as_frame(profile), wanted[kept])
    assert "features whose names a spreadsheet turned into dates" in caplog.text


def test_days_of_a_spreadsheet_are_dates_among_symbols_and_ids_among_ids(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("line,TP53,EGFR,44621\nMCF7,1,2,3\n")
    assert read(path).feature_names == ("TP53", "EGFR")
    path.write_text("line,7157,1956,44621\nMCF7,1,2,3\n")
    assert read(path).feature_names == ("7157", "1956", "44621")


def test_the_workbook_of_cellminer_reads_as_its_text_does(tmp_path: Path) -> None:
    path = write_cellminer_xls(tmp_path / "x.dat")
    profile = read_profile(path, "--protein")
    assert profile.layout == "CellMiner"
    assert profile.feature_names == ("probe_1", "probe_2")
    assert profile.genes == ("TP53 /// TP53B", "")
    assert profile.cell_names == ("BR:MCF7", "LC:A549/ATCC", "LE:HL-60(TB)", "ME:MDA-N")
    wanted = [[1.5, 1], [-2.5, 9], [np.nan, np.nan], [0.5, -9]]
    np.testing.assert_array_equal(profile.values_EF, np.array(wanted, dtype=np.float32))
    assert read_profile(path, "--exome", missing=0.0).values_EF[2].tolist() == [0, 0]


def test_other_workbooks_and_no_text_are_refused(tmp_path: Path) -> None:
    from tests.data.sources.xls import write_xls

    path = write_xls(tmp_path / "x.xls", {"Data": [["a", "b"], ["c", 1.0]]})
    with pytest.raises(InputError, match=r"no sheet with CellMiner's .*sheets Data.* as \.csv"):
        read(path)
    path.write_bytes(b"a\x00b" * 100)
    with pytest.raises(InputError, match="is not a text file"):
        read(path)
    path.write_bytes(gzip.compress(MATRIX.encode() * 1000, mtime=0)[:-20])
    with pytest.raises(InputError, match="damaged or truncated"):
        read(path)
    with pytest.raises(InputError, match="there is no file"):
        read(tmp_path / "nothing.csv")


def test_text_exports_of_cellminer_are_told_below_their_preamble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        profile = read(write_cellminer(tmp_path / "x.csv"))
    assert profile.layout == "CellMiner"
    assert "taken as a CellMiner export" in caplog.text


def test_lines_are_told_by_the_tables_of_names(tmp_path: Path) -> None:
    known = KnownLines({"m": [KnownLine("MCF7", ("ACH-000019",))]}, cell_key)
    path = tmp_path / "x.csv"
    path.write_text("gene,ACH-000019,ACH-000002\nTP53,1,2\n")
    profile = read_profile(path, "--x", is_line=line_test(["MCF7"], known))
    assert profile.cell_names == ("ACH-000019", "ACH-000002")
    block, _ = block_for_lines(profile, ["MCF7"], "expression", "u", known)
    assert block.values_EF.tolist() == [[1]]


@pytest.mark.real_data
@pytest.mark.parametrize(
    "stem", ["Protein__Lysate_Array_log2", "RNA__Agilent_Human_microRNA_(V2)_GeneSpringGX"]
)
def test_the_real_workbooks_equal_their_text_exports(shared_data: Path, stem: str) -> None:
    book = read(shared_data / "cellminer" / f"{stem}.xls")
    text = read(shared_data / "cellminer" / f"{stem}.txt.gz")
    assert book.feature_names == text.feature_names
    assert book.genes == text.genes
    assert book.cell_names == text.cell_names
    np.testing.assert_array_equal(book.values_EF, text.values_EF)
