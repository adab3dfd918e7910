from pathlib import Path

import numpy as np
import pytest

from combo_lightning.errors import InputError
from tests.data.sources.combination_fixtures import (
    PAIR_HEADER,
    SINGLE_HEADER,
    oneil_rows,
    plain_rows,
    prepare,
    rows_of,
    write_oneil,
)
from tests.data.sources.fuzz import Table, Variant, judge, variants
from tests.data.sources.xlsx import workbook

SINGLES, PAIRS = oneil_rows()
SINGLE = Table(
    SINGLE_HEADER, SINGLES[:4],
    [SINGLE_HEADER[3], *SINGLE_HEADER[4:10]], ["cell_line", "drug_name", "viability1"],
)  # fmt: skip
PAIR = Table(
    PAIR_HEADER, [[*row[:3], "1234.5", *row[4:]] for row in PAIRS[:3]],
    ["drugA Conc (µM)", "viability1", "viability2"],
    ["cell_line", "drugA_name", "drugB_name", "drugA Conc (µM)", "drugB Conc (µM)", "viability1"],
)  # fmt: skip


def folder(tmp_path: Path) -> Path:
    """Both tables, beside something else."""
    path = write_oneil(tmp_path / "oneil")
    (path / "readme.txt").write_text("from the journal\n")
    return path


def test_every_replicate_is_a_row_alone_and_together(tmp_path: Path) -> None:
    dataset = prepare(folder(tmp_path), "viability")
    rows = rows_of(dataset)
    assert len(rows) == 12 * 4 + 16 * 4
    together = ("A2058", "5-FU", "MK-8669", round(np.log10(2e-6), 3), round(np.log10(0.2e-6), 3))
    assert rows.count((*together, 23.809)) == 4
    assert rows.count(("A2058", "5-FU", None, -6.0, None, 50.0)) == 4
    assert dataset.manifest["made_by"]["dropped"] == {"missing response": 24}
    assert dataset.responses.studies == ("O'Neil 2016",)
    assert len(dataset.manifest["sources"]) == 3


def test_one_table_alone_gives_what_it_holds(tmp_path: Path) -> None:
    path = folder(tmp_path)
    single = prepare(path / "single.csv", "viability")
    assert single.responses.drug_NK.shape == (48, 1)
    assert len(prepare(path / "combination.csv", "viability").responses) == 64
    with pytest.raises(InputError, match=r"needs the .*table of combinations, .*name a folder"):
        prepare(path / "single.csv", "zip")
    with pytest.raises(InputError, match=r"needs the .*table of single agents"):
        prepare(path / "combination.csv", "ic50")


def test_single_agents_have_their_ic50_and_area(tmp_path: Path) -> None:
    path = folder(tmp_path)
    assert rows_of(prepare(path, "ic50")) == [
        ("A2058", "5-FU", -6.0), ("A2058", "MK-8669", round(np.log10(0.5e-6), 3)),
    ]  # fmt: skip
    x = np.linspace(np.log10(0.03), 1, 2001)
    areas = {row[1]: row[2] for row in rows_of(prepare(path / "single.csv", "auc"))}
    assert areas["5-FU"] == pytest.approx(np.mean(1 / (1 + 10**x)), abs=2e-3)


@pytest.mark.parametrize("score", ["bliss", "zip"])
def test_drugs_that_do_not_interact_score_zero_by_their_curves(tmp_path: Path, score: str) -> None:
    ((*names, value),) = rows_of(prepare(folder(tmp_path), score))
    assert names == ["A2058", "5-FU", "MK-8669"]
    assert value == pytest.approx(0, abs=0.05)


def test_a_pair_that_kills_more_is_synergy(tmp_path: Path) -> None:
    path = folder(tmp_path)
    pairs = [[*row[:7], *["0.02"] * 4, *row[11:]] for row in PAIRS]
    text = "\n".join(",".join(row) for row in [PAIR_HEADER, *pairs]) + "\n"
    (path / "combination.csv").write_text(text, encoding="utf-8")
    left = np.array(
        [1 / (1 + a) / (1 + 2 * b) for a in (0.2, 0.7, 2, 7) for b in (0.2, 0.7, 2, 7)]
    )
    ((*_, value),) = rows_of(prepare(path, "bliss"))
    assert value == pytest.approx(float((100 * left - 2).mean()), abs=0.05)


def test_a_pair_without_its_single_drug_has_no_score(tmp_path: Path) -> None:
    path = folder(tmp_path)
    rows = [row for row in SINGLES if row[2] != "MK-8669"]
    text = "\n".join(",".join(row) for row in [SINGLE_HEADER, *rows]) + "\n"
    (path / "single.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="no row that can be used"):
        prepare(path, "bliss")


@pytest.mark.parametrize("header", ["drugA Conc (uM)", "drugA Conc (?M)", "drugA Conc (ÂµM)"])
def test_the_micro_sign_may_have_been_lost(tmp_path: Path, header: str) -> None:
    path = folder(tmp_path) / "combination.csv"
    path.write_text(path.read_text().replace("drugA Conc (µM)", header), encoding="utf-8")
    assert len(prepare(path, "viability").responses) == 64


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("drugA Conc (µM)", "drugA Conc (nM)", "has no column 'drugA Conc"),
        (",0.2,MK", ",0,MK", "column 'drugA Conc .*holds '0'; a dose must be more than 0"),
        ("1,A2058,5-FU,0.2,", "1,,5-FU,0.2,", "'cell_line' is empty"),
        ("0.595238", "59.5", None),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    path = folder(tmp_path) / "combination.csv"
    text = path.read_text()
    assert old in text
    if message is None:
        # Percents, all of them.
        rows = [
            [*row[:7], *(f"{100 * float(v):g}" for v in row[7:11]), *row[11:]] for row in PAIRS
        ]
        text = "\n".join(",".join(row) for row in [PAIR_HEADER, *rows]) + "\n"
        message = "states fractions of untreated wells: divide it by 100"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        prepare(path, "viability")


@pytest.mark.parametrize(
    ("table", "variant"),
    [
        pytest.param(table, variant, id=f"{name}-{variant.name}")
        for name, table in (("single", SINGLE), ("pair", PAIR))
        for variant in variants(table)
    ],
)
def test_no_way_of_writing_the_tables_is_read_wrong(
    table: Table, variant: Variant, tmp_path: Path
) -> None:
    truth = plain_rows(table.content(), "viability")
    judge(variant, tmp_path, lambda path: rows_of(prepare(path, "viability")), truth)


@pytest.mark.parametrize("response", ["viability", "ic50", "zip"])
def test_the_workbooks_of_the_journal_are_read(tmp_path: Path, response: str) -> None:
    """As published: both are .xlsx, one is called .xls, and missing replicates say NULL."""
    expected = rows_of(prepare(folder(tmp_path), response))
    books = tmp_path / "books"
    books.mkdir()
    for name, header, rows in (
        ("156849_1_supp_0_w2lh45.xlsx", SINGLE_HEADER, SINGLES),
        ("156849_1_supp_1_w2lrww.xls", PAIR_HEADER, PAIRS),
    ):
        typed: list[list[str | float | None]] = [list(header)]
        for row in rows:
            numbers = [f for f in row if f.replace(".", "", 1).isdigit()]
            typed.append([float(f) if f in numbers else f for f in row])
        (books / name).write_bytes(workbook(typed))
    assert rows_of(prepare(books, response)) == expected
