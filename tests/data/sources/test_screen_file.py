import gzip
from pathlib import Path

import pytest

from combo_lightning.data.sources.screen_file import (
    find_column,
    header_of,
    needed_columns,
    open_table,
)
from combo_lightning.errors import InputError
from tests.data.sources.xlsx import workbook


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_whatever_separates_most_separates(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "x.LST"
    path.write_text(separator.join(["a", "b", '"c"']) + "\n" + separator.join("123") + "\n")
    assert open_table(path, "--x").columns == ("a", "b", "c")
    assert open_table(path, "--x").read().to_pylist() == [{"a": "1", "b": "2", "c": "3"}]


def test_a_header_is_told_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    assert header_of(path, "--x") == ("a", "b")
    path.write_bytes(gzip.compress(b"a,b,c\n1,2,3\n"))
    assert header_of(path, "--x") == ("a", "b", "c")
    path.write_bytes(workbook([["d", "e"], [1.0, 2.0]]))
    assert header_of(path, "--x") == ("d", "e")
    path.write_text("one\n")
    assert header_of(path, "--x") == ()
    assert header_of(tmp_path, "--x") == ()


def test_columns_are_found_whatever_their_case_and_punctuation(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("Cell Line,LN_IC50\nx,1\n")
    table = open_table(path, "--x")
    assert find_column(table, ("line", "cell_line")) == "Cell Line"
    assert needed_columns(table, ["ln ic50", "CELLLINE"]) == ["LN_IC50", "Cell Line"]
    with pytest.raises(InputError, match=r"has no column 'LN_IC5'; did you mean 'LN_IC50'"):
        needed_columns(table, ["LN_IC5"])


def test_a_header_of_many_thousand_columns_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    names = [f"BRD-K{number:08d}-001-01-1::2.5::HTS" for number in range(5000)]
    path.write_text(",".join(["", *names]) + "\n" + ",".join(["ACH-000019"] + ["0"] * 5000) + "\n")
    assert len(header_of(path, "--x")) == 5001
