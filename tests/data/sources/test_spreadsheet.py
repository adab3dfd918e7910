from pathlib import Path

import pytest

from combo_lightning.data.sources.spreadsheet import is_spreadsheet, read_sheets
from combo_lightning.errors import InputError
from tests.data.sources.xls import write_xls


def test_sheets_are_read_as_rows_of_text(tmp_path: Path) -> None:
    path = write_xls(tmp_path / "x", {"A": [[" a ", 1.5], [], [2.0, "µ"]], "B": []})
    assert is_spreadsheet(path)
    assert read_sheets(path, "--x") == {"A": [["a", "1.5"], ["2", "µ"]], "B": []}


def test_what_is_no_spreadsheet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(InputError, match=r"--x: .*x\.zip cannot be read as a spreadsheet"):
        read_sheets(path, "--x")
    path.write_bytes(b"\xd0\xcf\x11\xe0" + b"\0" * 2000)
    with pytest.raises(InputError, match="cannot be read as a spreadsheet"):
        read_sheets(path, "--x")
    with pytest.raises(InputError, match="there is no file"):
        read_sheets(tmp_path / "y.xls", "--x")
