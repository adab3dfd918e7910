from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from combo_lightning.data.sources.wide_table import open_wide
from combo_lightning.errors import InputError


def test_text_and_numbers_are_told_by_the_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b,c,d,e\nx,1,"1,000",NA,-\ny,,"2,5",,x\nz,1e-3,50%,,x\n')
    wide = open_wide(path, "--x")
    assert wide.text_columns() == ["a", "e"]
    found = wide.read(["a"], ["b"])
    assert found.texts == {"a": ["x", "y", "z"]}
    np.testing.assert_array_equal(found.values_RC[:, 0], np.array([1, np.nan, 1e-3], "float32"))


def test_rows_may_be_dropped_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{'yn'[i % 2]},{i}\n" for i in range(5)))
    wide = open_wide(path, "--x")
    found = wide.read(["a"], ["b"], lambda t: np.array([v == "y" for v in t["a"]]))
    assert found.values_RC[:, 0].tolist() == [0, 2, 4]
    assert found.dropped == 2


@pytest.mark.parametrize("kind", ["float64", "float32", "int32", "float16", "bool"])
def test_parquet_of_any_number_becomes_float32(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame(np.eye(3, 600).astype(kind), columns=[f"c{i}" for i in range(600)])
    frame.insert(0, "name", ["a", "b", "c"])
    frame.to_parquet(tmp_path / "x")
    wide = open_wide(tmp_path / "x", "--x")
    assert wide.text_columns() == ["name"]
    found = wide.read(["name"], wide.columns[1:])
    assert found.values_RC.dtype == np.float32
    np.testing.assert_array_equal(found.values_RC, np.eye(3, 600))
    assert found.texts["name"] == ["a", "b", "c"]


def test_a_value_beyond_float32_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x", "y"], "b": [1.0, 1e39]}), tmp_path / "x")
    with pytest.raises(InputError, match=r"row 2, column 'b' holds '1e\+39'; it must be a finite"):
        open_wide(tmp_path / "x", "--x").read([], ["b"])


def test_a_header_with_a_new_line_in_a_name_is_one_header(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,"b\n(unit)"\nx,1\n')
    wide = open_wide(path, "--x")
    assert wide.columns == ("a", "b\n(unit)")
    assert wide.read(["a"], ["b\n(unit)"]).values_RC.tolist() == [[1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b,a\n1,2,3\n", "two columns named 'a'"), ("a,b\n1,2\n3\n", "row of 1 fields"),
     ("\n\n", "is empty"), ("a\nb\n", "has one column")],
)  # fmt: skip
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        open_wide(tmp_path / "x.csv", "--x").read([], ["a"])
