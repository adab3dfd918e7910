"""One reader for all formats: what it takes a file for, and that no variant is read wrong."""

import gzip
import logging
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from combo_lightning.data.sources.drug_schema import DrugTable
from combo_lightning.data.sources.drugs import drug_format, read_drug_files, read_drugs
from combo_lightning.errors import InputError
from tests.data.sources.drug_fixtures import (
    DRUGS,
    chembl_csv,
    nci_csv,
    nsc_list,
    pubchem_csv,
    pubchem_record,
    smiles_list,
)

SDF = "".join(pubchem_record(drug) for drug in DRUGS)
TEXTS = {
    "pubchem-sdf": SDF,
    "pubchem-csv": pubchem_csv(),
    "pubchem-csv-older": pubchem_csv(newer=False),
    "chembl": chembl_csv(),
    "chembl-tsv": chembl_csv().replace(";", "\t"),
    "smiles": smiles_list(),
    "nsc": nsc_list(),
    "nci": nci_csv(),
}
FORMATS = {
    "pubchem-sdf": ("sdf", None),
    "pubchem-csv": ("delimited", ","),
    "pubchem-csv-older": ("delimited", ","),
    "chembl": ("delimited", ";"),
    "chembl-tsv": ("delimited", "\t"),
    "smiles": ("smiles", None),
    "nsc": ("nsc", None),
    "nci": ("delimited", ","),
}
TABLES = ("pubchem-csv", "pubchem-csv-older", "chembl", "chembl-tsv", "nci")


def facts(table: DrugTable) -> list[tuple[object, ...]]:
    """What a reader must get right: never a wrong identifier, name or structure."""
    columns = ("nsc", "cid", "chembl", "name", "smiles", "inchikey")
    return [tuple(row[c] for c in columns) for row in table.rows.to_pylist()]


def read(path: Path, content: str | bytes) -> DrugTable:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_drugs(path, "--drugs")


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", ["drugs", "drugs.dat", "drugs.csv", "drugs.txt.gz"])
def test_a_format_is_told_by_what_the_file_holds(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    data = TEXTS[kind].encode()
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert drug_format(path, "--drugs") == FORMATS[kind]
    assert facts(read_drugs(path, "--drugs")) == facts(read(tmp_path / "plain", TEXTS[kind]))


def test_what_a_file_was_taken_for_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        read(tmp_path / "a.csv", chembl_csv())
    assert "a.csv: read as ChEMBL table: 3 drugs, 3 with a structure" in caplog.text


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_any_line_end_reads_alike(tmp_path: Path, kind: str, end: str) -> None:
    text = TEXTS[kind]
    assert facts(read(tmp_path / "a", text.replace("\n", end))) == facts(
        read(tmp_path / "b", text)
    )


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_any_encoding_reads_alike_or_is_refused(tmp_path: Path, kind: str, encoding: str) -> None:
    text = TEXTS[kind].replace("spirin", "spirîn").replace("SPIRIN", "SPIRÎN")
    assert "pir" in text.lower()
    expected = facts(read(tmp_path / "a", text))
    if encoding == "utf-16" and kind in TABLES:
        # Delimited tables are read by another reader, which knows no UTF-16.
        with pytest.raises(InputError, match="is not a text file; save it as CSV"):
            read(tmp_path / "b", text.encode(encoding))
    else:
        assert facts(read(tmp_path / "b", text.encode(encoding))) == expected


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("seed", range(4))
def test_columns_in_any_order_and_beside_others_read_alike(
    tmp_path: Path, kind: str, seed: int
) -> None:
    delimiter = FORMATS[kind][1]
    assert delimiter is not None
    rows = [line.split(delimiter) for line in TEXTS[kind].splitlines()]
    rows = [[*row, word] for row, word in zip(rows, ["Remark", "x", "y", "z"], strict=True)]
    order = list(range(len(rows[0])))
    random.Random(seed).shuffle(order)
    shuffled = "\n".join(delimiter.join(row[i] for i in order) for row in rows)
    assert facts(read(tmp_path / "a", shuffled)) == facts(read(tmp_path / "b", TEXTS[kind]))


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("spell", [str.upper, str.lower, lambda name: name.replace(" ", "_")])
def test_columns_spelled_otherwise_read_alike(
    tmp_path: Path, kind: str, spell: Callable[[str], str]
) -> None:
    header, rest = TEXTS[kind].split("\n", 1)
    found = read(tmp_path / "a", spell(header) + "\n" + rest)
    assert facts(found) == facts(read(tmp_path / "b", TEXTS[kind]))


def test_quoted_newlines_and_delimiters_stay_in_their_field(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", 'NSC,NAME,SMILES\n7,"a, or\nb",CCO\n8,c,CO\n')
    assert [(r[0], r[3], r[4]) for r in facts(table)] == [
        ("7", "a, or\nb", "CCO"),
        ("8", "c", "CO"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('NSC,NAME\n"761,431",a\n', "761431"),
        ('NSC,NAME\n"1,234,567",a\n', "1234567"),
        ("NSC;NAME\n740,0;a\n", "740,0"),  # no number: it matches nothing, and is not guessed
        ("NSC,NAME\n740.0,a\n", "740"),
        ("NSC,NAME\n0740,a\n", "740"),
        ("NSC,NAME\nNSC 740,a\n", "740"),
    ],
)
def test_numbers_as_spreadsheets_write_them(tmp_path: Path, text: str, expected: str) -> None:
    assert facts(read(tmp_path / "a.csv", text))[0][0] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.csv is empty"),
        (b"\n\n", "a.csv is empty"),
        (b"PK\x03\x04rest", "is a zip archive or an .xlsx workbook; give a CSV file"),
        (b"\xd0\xcf\x11\xe0rest", "is an .xls workbook"),
        (b"\x00\x01\x02\x03\x04", "is not a text file"),
        (b"\x1f\x8bbroken", "a.csv is damaged or truncated"),
        (gzip.compress(nci_csv().encode())[:-9], "a.csv is damaged or truncated"),
        (gzip.compress(smiles_list().encode())[:-9], "a.csv is damaged or truncated"),
        (b"NSC,NAME,SMILES\n1,a,C\n2,b", "has a row of 2 fields, the header has 3"),
        (b"NSC,NAME\n7.4E+02,a\n", "line 2, column 'NSC' holds '7.4E.02'; a spreadsheet has"),
        (b"NSC,NAME,NAME\n1,a,b\n", "has two columns named 'NAME'"),
        (b"NSC,NAME\n1,a,b\n", "has a row of 3 fields, the header has 2"),
        (b"NSC,NAME\n", "has a header but no rows"),
        (b"one column\nof words\n", "has one column when cut at commas"),
        (b"PAR1broken", "cannot read .* as Parquet"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.csv", content)


def test_several_files_stand_one_below_the_other(tmp_path: Path) -> None:
    paths = []
    for kind in ("nsc", "pubchem-sdf"):
        paths.append(tmp_path / kind)
        paths[-1].write_text(TEXTS[kind])
    table = read_drug_files(paths, "--drugs")
    assert len(table) == 12
    assert [f.format for f in table.files] == ["NSC list", "SDF"]
    assert table.place(0).endswith("nsc, line 1")
    assert table.place(9).endswith("pubchem-sdf, record 1")
