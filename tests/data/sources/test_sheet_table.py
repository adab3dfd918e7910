from pathlib import Path

import pytest

from combo_lightning.data.sources.sheet_table import SheetTable
from combo_lightning.errors import InputError
from tests.data.sources.xls import write_xls
from tests.data.sources.xlsx import workbook


def test_rows_are_read_as_text_below_the_first_row_that_is_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    path.write_bytes(
        workbook([[None], ["name", "value", "note"], ["a", 1.5, None], [], ["b", 2.0, "x"]])
    )
    table = SheetTable.open_sheet(path, "--x")
    assert table.columns == ("name", "value", "note")
    (batch,) = table.batches(["value", "name"])
    assert batch.to_pydict() == {"value": ["1.5", "", "2"], "name": ["a", "", "b"]}
    assert table.place(0) == f"--x: {path}, sheet 'Sheet 1', row 3"
    assert table.numbers(batch.column("value"), "value")[0] == 1.5
    assert table.read().num_rows == 3


def test_numbers_keep_all_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    path.write_bytes(workbook([["a", "b"], [0.1 + 0.2, -1.463887e-300]]))
    (batch,) = SheetTable.open_sheet(path, "--x").batches()
    assert [float(batch.column(i)[0].as_py()) for i in (0, 1)] == [0.1 + 0.2, -1.463887e-300]


def test_the_sheet_of_most_columns_is_read(tmp_path: Path) -> None:
    path = write_xls(
        tmp_path / "x.xls", {"About": [["released today"]], "Data": [["a", "b", "c"], [1, 2, 3]]}
    )
    table = SheetTable.open_sheet(path, "--x")
    assert (table.sheet, table.columns) == ("Data", ("a", "b", "c"))


def test_what_holds_no_table_is_refused(tmp_path: Path) -> None:
    path = write_xls(tmp_path / "x.xls", {"About": [["released today"]], "Empty": []})
    with pytest.raises(InputError, match=r"no sheet with a table.*its sheets are About, Empty"):
        SheetTable.open_sheet(path, "--x")
    path = write_xls(tmp_path / "y.xls", {"Data": [["a", "b", "a"], [1, 2, 3]]})
    with pytest.raises(InputError, match="has two columns named 'a'"):
        SheetTable.open_sheet(path, "--x")
