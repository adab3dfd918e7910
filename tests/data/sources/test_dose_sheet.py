from pathlib import Path

import numpy as np
import pytest

from combo_lightning.data.sources.dose_sheet import is_dose_sheet, read_dose_sheet
from combo_lightning.errors import InputError
from tests.data.sources.combination_fixtures import dose_sheet
from tests.data.sources.xlsx import workbook


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_sheet_is_read_however_it_is_cut(tmp_path: Path, mark: str, end: str) -> None:
    path = tmp_path / "s.txt"
    path.write_bytes(b"\xef\xbb\xbf" + dose_sheet().replace(",", mark).replace("\n", end).encode())
    assert is_dose_sheet(path, "--x")
    (block,) = read_dose_sheet(path, "--x")
    assert (block.cell, block.drugs) == ("OCUBM", ("MK-1775", "Niraparib"))
    wells = {(round(10 ** (a + 9), 3), round(10 ** (b + 9), 3)): y
             for (a, b), y in zip(block.log10_molar, block.percent, strict=True)}  # fmt: skip
    assert len(wells) == 16
    assert wells[1000, 1.5] == 75
    assert wells[1.5, 1000] == 66.5
    assert wells[0, 0] == -1.25


def test_an_empty_field_is_a_well_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text(dose_sheet().replace("10,30,38,55,80", "10,30,,55,"))
    (block,) = read_dose_sheet(path, "--x")
    assert np.isnan(block.percent).sum() == 2


def test_each_sheet_of_a_workbook_has_its_blocks(tmp_path: Path) -> None:
    path = tmp_path / "s.xlsx"
    rows: list[list[str | float | None]] = [
        ["Drug1:", "A", None], ["Drug2:", "B", None], ["ConcUnit:", "uM", None],
        [None, 0.0, 1.0], [0.0, 2.0, 30.0], [1.0, 40.0, None],
        ["Drug1:", "C", None], ["Drug2:", "B", None], ["ConcUnit:", "uM", None],
        [None, 0.0, 1.0], [0.0, 2.0, 30.0], [1.0, 40.0, 60.0],
    ]  # fmt: skip
    path.write_bytes(workbook(rows))
    first, second = read_dose_sheet(path, "--x")
    assert (first.cell, first.drugs, second.drugs) == ("s", ("A", "B"), ("C", "B"))
    np.testing.assert_array_equal(first.percent, [2, 30, 40, np.nan])


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "Drug1\nDrug2\n", "Drug1,A,B,C\n1,2,3,4\n"])
def test_what_is_no_sheet_is_not_taken_for_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    assert not is_dose_sheet(path, "--x")
    path.write_bytes(b"PK\x03\x04 broken")
    assert not is_dose_sheet(path, "--x")
    assert not is_dose_sheet(tmp_path, "--x")


def test_a_sheet_without_a_matrix_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("Drug1,A\nDrug2,B\nConcUnit,uM\n0,1,2\n")
    with pytest.raises(InputError, match=r"s\.csv, block 1 has no matrix below its lines"):
        read_dose_sheet(path, "--x")
