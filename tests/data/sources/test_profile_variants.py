"""Every layout of a profile, and tables of drugs, in a hundred ways: none may be read wrong."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from combo_lightning.data.sources.drugs import read_drugs
from tests.data.sources import test_drugs, test_profile_file
from tests.data.sources.fuzz import Table, judge, variants

# Numbers whose spelling is varied, and columns without which there is nothing to read.
PROFILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "depmap_old": (("TSPAN6 (7105)", "TP53 (7157)"), ()),
    "depmap_new": (("TSPAN6 (7105)", "TP53 (7157)"), ()),
    "gdsc": (("DATA.905946", "DATA.905949"), ("GENE_SYMBOLS",)),
    "cellminer": (("BR:MCF7", "LC:A549/ATCC"), ()),
    "matrix": (("MCF7", "A549"), ("name",)),
}
DRUGS = ("pubchem-csv", "pubchem-csv-older", "chembl", "chembl-tsv", "nci")
# What these readers take for something else, or name after the column's own spelling.
OTHERWISE = {
    # Features and lines are named as the columns are spelled.
    "names in lower case", "names in upper case", "underscores for blanks and points",
    # A matrix is named by the column of text that stands first.
    "a column of text first", "a line break in quotes, column 0", "a CR LF in quotes, column 0",
    "the separator in quotes, column 0", "quotes in quotes, column 0",
    # DepMap's older files have such a column themselves.
    "pandas' unnamed index first",
    # Another column can name the features, and a second one of its name is a further one.
    "name renamed", "without name",
}  # fmt: skip


def table(text: str, delimiter: str, *columns: tuple[str, ...]) -> Table:
    header, *rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    numbers, required = columns or ((), ())
    suffix = ".txt" if delimiter == "\t" else ".csv"
    return Table(header, rows, numbers, required, delimiter, suffix)


def profile(path: Path) -> dict[tuple[str, str], float | None]:
    read = test_profile_file.read(path)
    return {
        (line, feature): None if np.isnan(value) else float(value)
        for line, values in zip(read.cell_names, read.values_EF, strict=True)
        for feature, value in zip(read.feature_names, values, strict=True)
    }


def drugs(path: Path) -> list[tuple[object, ...]]:
    return test_drugs.facts(read_drugs(path, "--drugs"))


def outcomes(plain: Table, folder: Path, read: Callable[[Path], Any]) -> list[str]:
    path = folder / f"plain{plain.suffix}"
    path.write_bytes(plain.content())
    truth = read(path)
    ways = [v for v in variants(plain) if v.name not in OTHERWISE]
    return [judge(way, folder, read, truth) for way in ways]


@pytest.mark.parametrize("layout", PROFILES)
def test_each_variant_of_a_profile_is_read_right_or_refused(layout: str, tmp_path: Path) -> None:
    text, delimiter = test_profile_file.TEXTS[layout]
    plain = table(text.replace("2.5", "1234.5"), delimiter, *PROFILES[layout])
    found = outcomes(plain, tmp_path, profile)
    assert found.count("read") >= 34
    assert all(o == "read" or o.startswith("--expression: ") for o in found)


@pytest.mark.parametrize("kind", DRUGS)
def test_each_variant_of_a_table_of_drugs_is_read_right_or_refused(
    kind: str, tmp_path: Path
) -> None:
    delimiter = test_drugs.FORMATS[kind][1]
    assert delimiter is not None
    plain = table(test_drugs.TEXTS[kind], delimiter)
    # It has no numbers that are measurements.
    path = tmp_path / f"plain{plain.suffix}"
    path.write_bytes(plain.content())
    truth = drugs(path)
    ways = [v for v in variants(plain) if not v.name.startswith("a number with")]
    found = [judge(way, tmp_path, drugs, truth) for way in ways]
    assert found.count("read") >= 38
    assert all(o == "read" or o.startswith("--drugs: ") for o in found)
