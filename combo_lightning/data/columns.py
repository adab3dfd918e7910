"""Arrow columns from NumPy, and back, without pandas.

`pyarrow.array`, `fill_null` and `to_numpy` import pandas wherever it is installed: 40 MB and 0.3 s
that a fit has a better use for.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def number_column(values: npt.NDArray[Any]) -> pa.Array:
    """Make a column of numbers without nulls."""
    kind = pa.from_numpy_dtype(values.dtype)
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [None, data])


def name_column(codes: npt.NDArray[Any], names: Sequence[str]) -> pa.DictionaryArray:
    """Make a dictionary column of text.

    Args:
        codes: Which of the names each row has; -1: null.
        names: The names.
    """
    valid = np.packbits(codes >= 0, bitorder="little")
    numbers = np.maximum(codes, 0).astype(np.int32)
    buffers = [pa.py_buffer(valid), pa.py_buffer(numbers)]
    indices = pa.Array.from_buffers(pa.int32(), len(codes), buffers)
    encoded = [name.encode() for name in names]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    texts = pa.StringArray.from_buffers(
        len(names), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))
    )
    return pa.DictionaryArray.from_arrays(indices, texts)


def column_numbers(column: pa.Array, missing: float) -> npt.NDArray[Any]:
    """Give a column of numbers as an array.

    Args:
        column: Numbers of one fixed width.
        missing: What stands for null.
    """
    kind = np.dtype(column.type.to_pandas_dtype())
    end = column.offset + len(column)
    values = np.frombuffer(column.buffers()[1] or b"", dtype=kind, count=end)[column.offset :]
    if column.null_count:
        values = np.where(valid_rows(column), values, np.asarray(missing, dtype=kind))
    return values


def valid_rows(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell which rows of a column that has nulls are not null."""
    bits = np.frombuffer(column.buffers()[0], dtype=np.uint8)
    valid = np.unpackbits(bits, bitorder="little")[column.offset : column.offset + len(column)]
    return valid.astype(bool)


def true_rows(column: Any) -> npt.NDArray[np.bool_]:
    """Tell where a column of truth values is true; missing is not."""
    known = column.fill_null(False)  # noqa: FBT003  Arrow's
    return np.asarray(known.to_numpy(zero_copy_only=False), dtype=bool)


def name_codes(column: pa.DictionaryArray) -> npt.NDArray[np.int64]:
    """Give the code of each row of a dictionary column; -1: null."""
    return column_numbers(column.indices, -1).astype(np.int64)
