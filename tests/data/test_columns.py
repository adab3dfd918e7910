from typing import Any

import numpy as np
import numpy.typing
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.columns import (
    column_numbers,
    name_codes,
    name_column,
    number_column,
    valid_rows,
)

CODES = st.lists(st.integers(-1, 3), max_size=40)
NAMES = ["a", "ü", "", "a long name"]


@given(CODES, st.integers(0, 5))
def test_names_go_to_a_dictionary_column_and_back(codes: list[int], start: int) -> None:
    column = name_column(np.array(codes, dtype=np.int16), NAMES)
    column.validate(full=True)
    assert column.to_pylist() == [None if code < 0 else NAMES[code] for code in codes]
    assert name_codes(column.slice(start)).tolist() == codes[start:]


@given(
    st.lists(st.none() | st.floats(-9, 9, width=32), max_size=40),
    st.integers(0, 10),
    st.integers(0, 10),
)
def test_numbers_and_nulls_are_those_of_arrow(
    values: list[float | None], start: int, length: int
) -> None:
    column = pa.array(values, pa.float32()).slice(start, length)
    found = column_numbers(column, np.nan)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, column.to_numpy(zero_copy_only=False))
    if column.null_count:
        assert valid_rows(column).tolist() == column.is_valid().to_pylist()


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32])
def test_numbers_go_to_a_column_and_back(dtype: type) -> None:
    values: np.typing.NDArray[Any] = np.arange(7, dtype=dtype)[::2]
    column = number_column(values)
    column.validate(full=True)
    assert column.to_pylist() == [0, 2, 4, 6]
    assert column_numbers(column, 0).dtype == dtype
