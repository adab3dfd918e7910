import logging
from pathlib import Path

import numpy as np
import pytest

from combo_lightning.data.sources.well_units import WellMeasure
from combo_lightning.errors import InputError
from tests.data.sources.combination_fixtures import (
    dose_sheet,
    dose_table,
    drugcomb_table,
    plain_rows,
    prepare,
    rows_of,
)
from tests.data.sources.fuzz import Variant, judge, variants
from tests.data.sources.xlsx import workbook

TABLE = dose_table()
EXCESS = {
    # By hand: measured minus (a + b - ab / 100), and minus the larger of both.
    "bliss": [
        12 - (4 + 5.5 - 0.22), 30 - (4 + 20 - 0.8), 66.5 - (4 + 60 - 2.4),
        38 - (30 + 5.5 - 1.65), 55 - (30 + 20 - 6), 80 - (30 + 60 - 18),
        75 - (70 + 5.5 - 3.85), 81 - (70 + 20 - 14), 92.125 - (70 + 60 - 42),
    ],
    "hsa": [6.5, 10, 6.5, 8, 25, 20, 5, 11, 22.125],
}  # fmt: skip


def write(tmp_path: Path, text: str, name: str = "m.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_well_with_a_drug_is_a_row_of_viability(tmp_path: Path) -> None:
    dataset = prepare(write(tmp_path, TABLE.text()), "viability")
    rows = rows_of(dataset)
    assert len(rows) == 15
    assert ("OCUBM", "MK-1775", "Niraparib", -6.0, -6.0, 7.875) in rows
    assert ("OCUBM", None, "Niraparib", None, -8.0, 80.0) in rows
    assert ("OCUBM", "MK-1775", None, round(np.log10(1.5e-9), 3), None, 96.0) in rows
    assert dataset.manifest["made_by"]["dropped"] == {"untreated well": 1}


@pytest.mark.parametrize("score", ["bliss", "hsa"])
def test_a_block_is_a_row_with_the_mean_of_its_excess(tmp_path: Path, score: str) -> None:
    dataset = prepare(write(tmp_path, TABLE.text()), score)
    expected = round(float(np.mean(EXCESS[score])), 3)
    assert rows_of(dataset) == [("OCUBM", "MK-1775", "Niraparib", expected)]


@pytest.mark.parametrize("response", ["bliss", "loewe", "zip", "ic50", "auc", "viability"])
@pytest.mark.parametrize("corner", ["", "none"])
def test_a_sheet_is_the_long_table(tmp_path: Path, response: str, corner: str) -> None:
    long = rows_of(prepare(write(tmp_path, TABLE.text()), response))
    assert long
    assert rows_of(prepare(write(tmp_path, dose_sheet(corner), "s.csv"), response)) == long
    rows: list[list[str | float | None]] = [
        [float(c) if c[-1:].isdigit() and "-1775" not in c else c or None for c in line.split(",")]
        for line in dose_sheet(corner).splitlines()
    ]
    (tmp_path / "s.xlsx").write_bytes(workbook(rows))
    assert rows_of(prepare(tmp_path / "s.xlsx", response)) == long


def test_single_drugs_of_a_block_have_ic50s_and_aucs(tmp_path: Path) -> None:
    ic50 = prepare(write(tmp_path, TABLE.text()), "ic50")
    rows = {row[1]: row[2] for row in rows_of(ic50)}
    # MK-1775 halves the cells between 10 nM (30 % inhibition) and 1000 nM (70 %).
    assert -8 < rows["MK-1775"] < -6
    assert -8 < rows["Niraparib"] < -6
    auc = {row[1]: row[2] for row in rows_of(prepare(write(tmp_path, TABLE.text()), "auc"))}
    assert 0.5 < auc["MK-1775"] < 0.9


def test_curves_that_never_reach_half_are_dropped_and_counted(tmp_path: Path) -> None:
    weak = TABLE.text().replace(",60,nM", ",25,nM")
    dataset = prepare(write(tmp_path, weak), "ic50")
    assert [row[1] for row in rows_of(dataset)] == ["MK-1775"]
    (reason,) = dataset.manifest["made_by"]["dropped"].items()
    assert reason == ("half the cells are left at no dose up to ten times the tested ones", 1)


def test_viability_is_told_from_untreated_wells(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    as_viability = TABLE.rewrite(lambda text: text)
    place = as_viability.header.index("response")
    rows = [
        [*row[:place], f"{100 - float(row[place]):g}", *row[place + 1 :]] for row in TABLE.rows
    ]
    text = "\n".join(",".join(row) for row in [TABLE.header, *rows]) + "\n"
    truth = rows_of(prepare(write(tmp_path, TABLE.text()), "viability"))
    with caplog.at_level(logging.INFO):
        found = rows_of(prepare(write(tmp_path, text, "v.csv"), "viability"))
    assert found == truth
    assert "taking responses as percent viability" in caplog.text
    # A column that says it counts as said.
    named = write(tmp_path, text.replace("response", "Viability"), "n.csv")
    assert rows_of(prepare(named, "viability")) == truth


@pytest.mark.parametrize(
    ("text", "wells", "message"),
    [
        (TABLE.text(), "viability", r"untreated wells read -1\.25 .*say --wells inhibition"),
        (TABLE.text().replace("response", "inhibition"), "viability", "has a column 'inhibition'"),
        (TABLE.text().replace(",0,0,-1.25", ",0,0,40"), None, "untreated wells read 40 .*--wells"),
        (TABLE.text().replace(",0,0,-1.25", ",0,0,"), None, "no untreated wells that would tell"),
        (
            TABLE.rewrite(lambda t: f"{float(t) / 1e4:.6f}").text(),
            "inhibition",
            "look like fractions; multiply them by 100",
        ),
    ],
)
def test_what_the_wells_state_is_refused_where_it_cannot_be(
    tmp_path: Path, text: str, wells: WellMeasure | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        prepare(write(tmp_path, text), "viability", wells)


def test_replicates_are_averaged_for_a_score_and_rows_of_viability(tmp_path: Path) -> None:
    again = TABLE.text() + "1,MK-1775,Niraparib,OCUBM,1000,1000,82.125,nM\n"
    assert len(rows_of(prepare(write(tmp_path, again), "viability"))) == 16
    (row,) = rows_of(prepare(write(tmp_path, again), "hsa"))
    assert row[-1] == pytest.approx(np.mean([*EXCESS["hsa"][:-1], 17.125]), abs=1e-3)


def test_the_matrix_of_another_line_or_unit_is_a_block_of_its_own(tmp_path: Path) -> None:
    text = dose_sheet() + "\n" + dose_sheet(Cell="A375", ConcUnit="uM")
    rows = rows_of(prepare(write(tmp_path, text), "viability"))
    assert ("A375", "MK-1775", "Niraparib", -3.0, -3.0, 7.875) in rows
    assert ("OCUBM", "MK-1775", "Niraparib", -6.0, -6.0, 7.875) in rows
    (row, _) = rows_of(prepare(write(tmp_path, dose_sheet(Cell="") * 2, "plate7.csv"), "hsa"))
    assert row[0] == "plate7"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("10,30,38,55,80", "10,30,38,80", "block 1, row of dose '10' has 4 fields; under 4 doses"),
        ("10,30,38,55,80", "10,30,38,x,80", "row of dose '10' holds 'x'; it must be a number"),
        ("10,30,38,55,80", "10,30,38,55,80,9", "row of dose '10' has 6 fields"),
        ("10,30,38,55,80", '10,30,"38,5",55,80', "holds '38,5'"),
        (",0,1.5,10,1000", ",0,1.5,10,", "has 5 fields; under 3 doses"),
        (",0,1.5,10,1000", ",0,1.5,10,10", "a dose at the top is negative or stands twice"),
        ("ConcUnit:,nM\n", "", "block 1 has no line 'ConcUnit'"),
        ("ConcUnit:,nM\n", "ConcUnit:,ug/ml\n", "by mass"),
        ("ConcUnit:,nM\n", "ConcUnit:,log10M\n", "not their logarithms"),
        ("Drug2:,Niraparib\n", "Drug2:,\n", "its line 'Drug2' holds 0 values"),
    ],
)
def test_a_torn_sheet_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in dose_sheet()
    with pytest.raises(InputError, match=message):
        prepare(write(tmp_path, dose_sheet().replace(old, new)), "bliss")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1,MK-1775,Niraparib,OCUBM,10,10", "1,MK-1775,Other,OCUBM,10,10", "a second drug2 there"),
        ("1,MK-1775,Niraparib,OCUBM,10,10", "1,MK-1775,Niraparib,A375,10,10", "cell_line_name"),
        ("OCUBM,10,10,", "OCUBM,-10,10,", "line 12, column 'conc1' holds '-10'; a dose must be 0"),
        ("OCUBM,10,10,", "OCUBM,,10,", "column 'conc1' is empty"),
        ("MK-1775,Niraparib,OCUBM,10,10,", ",Niraparib,OCUBM,10,10,", "drug1' names no drug"),
        (
            "1,MK-1775,Niraparib,OCUBM,10,10",
            ",MK-1775,Niraparib,OCUBM,10,10",
            "block_id' is empty",
        ),
        ("55,nM", "55,mg/ml", "by mass; convert it"),
        ("55,nM", "55,ln nM", "says lnnM; give doses, not logarithms"),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in TABLE.text()
    with pytest.raises(InputError, match=message):
        prepare(write(tmp_path, TABLE.text().replace(old, new)), "bliss")


def test_what_wells_state_is_no_option_of_other_formats(tmp_path: Path) -> None:
    path = write(tmp_path, drugcomb_table().text())
    assert len(prepare(path, "zip").responses) == 2
    with pytest.raises(InputError, match=r"would be dose matrices if|of no format"):
        prepare(path, "zip", "viability")


def test_three_drugs_are_not_read_as_two(tmp_path: Path) -> None:
    more = TABLE.with_column(3, "drug3", ["x"]).with_column(4, "conc3", ["1"])
    with pytest.raises(InputError, match="combines three drugs or more; only pairs"):
        prepare(write(tmp_path, more.text()), "bliss")


@pytest.mark.parametrize("variant", list(variants(TABLE)), ids=lambda variant: variant.name)
def test_no_way_of_writing_the_table_is_read_wrong(variant: Variant, tmp_path: Path) -> None:
    truth = plain_rows(TABLE.content(), "viability")
    judge(variant, tmp_path, lambda path: rows_of(prepare(path, "viability")), truth)


GROWTH = ((100, 80, -20), (60, 50, -30), (10, 5, -40.4))


def growth_text() -> str:
    rows = [
        f"1,A,B,X,{a},{b},{GROWTH[i][j]},uM"
        for i, a in enumerate((0, 1, 10))
        for j, b in enumerate((0, 1, 10))
    ]
    return "\n".join([",".join(TABLE.header), *rows]) + "\n"


def test_wells_of_growth_give_growth_and_the_combo_score(tmp_path: Path) -> None:
    path = write(tmp_path, growth_text())
    assert ("X", "A", "B", -5.0, -5.0, -40.4) in rows_of(prepare(path, "growth", "growth"))
    # Expected by modified Bliss: 48, -20, 8, -20; minus measured: -2, 10, 3, 20.4.
    assert rows_of(prepare(path, "combo_score", "growth")) == [("X", "A", "B", 31.0)]
    # A: 100, 60, 10 at none, 1, 10 uM; B: 80, -20: GI50 between 1 and 10 uM.
    assert rows_of(prepare(path, "gi50", "growth")) == [
        ("X", "A", round(-6 + 10 / 50, 3)), ("X", "B", round(-6 + 30 / 100, 3)),
    ]  # fmt: skip
    lethal = prepare(path, "lc50", "growth")
    assert rows_of(lethal) == [("X", "A", -5.0), ("X", "B", -5.0)]
    assert list(lethal.manifest["made_by"]["notes"].values()) == [2]
    torn = write(tmp_path, growth_text().replace("1,A,B,X,10,10,-40.4,uM\n", ""), "torn.csv")
    with pytest.raises(InputError, match="no row that can be used"):
        prepare(torn, "combo_score", "growth")


def test_growth_follows_from_viability_where_time_zero_is_there(tmp_path: Path) -> None:
    place = TABLE.header.index("response")
    # Viability 100 - inhibition; a quarter of the untreated cells was there at the start.
    counted = TABLE.with_column(place, "time_zero", ["25"])
    path = write(tmp_path, counted.text())
    rows = rows_of(prepare(path, "growth"))
    assert ("OCUBM", "MK-1775", None, -6.0, None, round(100 * 5 / 75, 3)) in rows  # 30 left
    assert ("OCUBM", "MK-1775", "Niraparib", -6.0, -6.0, -68.5) in rows  # 7.875 left
    assert len(rows_of(prepare(path, "gi50"))) == 2
    assert rows_of(prepare(path, "hsa")) == rows_of(
        prepare(write(tmp_path, TABLE.text(), "m2.csv"), "hsa")
    )
    wrong = write(tmp_path, TABLE.with_column(place, "time_zero", ["25", "130"]).text(), "w.csv")
    with pytest.raises(InputError, match="line 3, column 'time_zero' holds '130'; it must be the"):
        prepare(wrong, "growth")


def test_growth_is_not_made_of_viability_nor_viability_of_growth(tmp_path: Path) -> None:
    path = write(tmp_path, growth_text())
    with pytest.raises(InputError, match=r"viability cannot be converted to growth.*\(T0\)"):
        prepare(path, "growth")
    with pytest.raises(InputError, match="growth cannot be converted to viability"):
        prepare(path, "bliss", "growth")


def test_a_workbook_of_the_long_table_is_read(tmp_path: Path) -> None:
    expected = rows_of(prepare(write(tmp_path, TABLE.text()), "zip"))
    place = TABLE.header.index("conc1")
    rows: list[list[str | float | None]] = [
        [*row[:place], *(float(f) for f in row[place : place + 3]), *row[place + 3 :]]
        for row in TABLE.rows
    ]
    (tmp_path / "m.xlsx").write_bytes(workbook([list(TABLE.header), *rows]))
    assert rows_of(prepare(tmp_path / "m.xlsx", "zip")) == expected
