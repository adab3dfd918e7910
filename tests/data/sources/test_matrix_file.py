"""Matrices in text and Parquet, as tidy and as untidy as people save them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.sources.matrix_file import JoinedMatrix, TableFile, open_matrix
from combo_lightning.errors import InputError

WANTED = np.array([[1.5, -2, 0], [3, 4e-3, 5]], dtype=np.float32)


def read(path: Path, skip: set[int] | None = None) -> np.ndarray:
    matrix = JoinedMatrix((open_matrix(path, "--features"),))
    return np.concatenate([chunk.copy() for chunk in matrix.chunks(skip or ())])


def write(tmp_path: Path, content: bytes | str, name: str = "x.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


TIDY = "a,b,c\n1.5,-2,0\n3,4e-3,5\n"


@pytest.mark.parametrize(
    "content",
    [
        TIDY,
        TIDY.removeprefix("a,b,c\n"),
        TIDY.replace("a,b,c", "0,1,2"),
        TIDY.replace("a,b,c", "MW,MW,MW"),  # both drugs' columns under one name
        TIDY + "\x1a",
        "\n" + TIDY + "\n",
        TIDY.replace("a,b", "dose (µM),b").encode("cp1252"),
        TIDY.replace(",", "\t"),
        TIDY.replace(",", ";"),
        TIDY.removeprefix("a,b,c\n").replace(",", " "),  # as np.savetxt writes it
        TIDY.replace(",", "|"),
        TIDY.replace("a,", '"a, quoted",'),
        TIDY.replace("1.5", "+1.5").replace(",5", ", 5 "),
        TIDY.replace("1.5", '"1.5"'),
    ],
)
def test_untidy_text_reads_as_the_same_numbers(tmp_path: Path, content: bytes | str) -> None:
    np.testing.assert_array_equal(read(write(tmp_path, content)), WANTED)


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "nan", "null", "\\N"])
def test_what_means_missing_is_missing(tmp_path: Path, missing: str) -> None:
    values = read(write(tmp_path, TIDY.replace("-2", missing)))
    np.testing.assert_array_equal(np.isnan(values), [[False, True, False], [False] * 3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TIDY.replace("4e-3", "x"), r"x\.csv, line 3, column 'b' holds 'x'; it must be a finite"),
        ("1.5,x,0\n3,0.4,5\n", "line 1 holds both '1.5' and 'x': a header names columns, a row"),
        (TIDY.replace("4e-3", '"1,000"'), "line 3, column 'b' holds '1,000'"),
        (TIDY.replace("4e-3", '"0,004"'), "line 3, column 'b' holds '0,004'"),
        (TIDY.replace("4e-3", "1-Mar"), "line 3, column 'b' holds '1-Mar'"),
        ("1,5;-2;0\n3;0,4;5\n", "line 2, column '-2' holds '0,4'"),
        ("1.5,-2,0\n3,x,5\n", "line 2, column '1' holds 'x'"),
        (TIDY + "1,2\n", "has a row of 2 fields, the header has 3"),
        (TIDY.encode("utf-16"), "is not a text file; save it as CSV, TSV or Parquet"),
        ("", "is empty"),
    ],
)
def test_what_is_no_matrix_is_refused_by_its_place(
    tmp_path: Path, content: bytes | str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, content))


def test_skipped_columns_may_hold_text(tmp_path: Path) -> None:
    path = write(tmp_path, "name,a,b\nMCF7,1,2\nA549,3,4\n")
    with pytest.raises(InputError, match="line 2, column 'name' holds 'MCF7'"):
        read(path)
    assert read(path, {0}).tolist() == [[0, 1, 2], [0, 3, 4]]
    frame = pd.DataFrame({"name": ["MCF7", "A549"], "a": [1, 3], "b": [2.5, None]})
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"column 'name' holds .*string.*--slice ignore=START"):
        read(tmp_path / "x.parquet")
    np.testing.assert_array_equal(read(tmp_path / "x.parquet", {0}), [[0, 1, 2.5], [0, 3, np.nan]])


def test_parquet_columns_of_mixed_types_are_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": [True, False], "b": [7, 8], "c": np.array([0.1, 0.2], dtype=np.float32)}
    )
    frame.to_parquet(tmp_path / "x.parquet")
    np.testing.assert_array_equal(
        read(tmp_path / "x.parquet"), np.array([[1, 7, 0.1], [0, 8, 0.2]], dtype=np.float32)
    )


def test_many_blocks_are_one_matrix_and_places_count_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("combo_lightning.data.sources.columns._NUMBER_BLOCK_BYTES", 256)
    monkeypatch.setattr("combo_lightning.data.sources.matrix_file._CHUNK_BYTES", 12 * 7)
    rows = [f"{i},{i + 0.5},{-i}" for i in range(300)]
    path = write(tmp_path, "\n".join(["a,b,c", *rows]))
    values = read(path)
    np.testing.assert_array_equal(values[:, 1], np.arange(300) + 0.5)
    rows[250] = "1,+2,3"  # from here on read as people write
    values = read(write(tmp_path, "\n".join(["a,b,c", *rows])))
    assert values[250].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(values[251:, 2], -np.arange(251, 300))
    rows[280] = "1,two,3"
    with pytest.raises(InputError, match="line 282, column 'b' holds 'two'"):
        read(write(tmp_path, "\n".join(["a,b,c", *rows])))


def test_the_sample_of_a_stream_is_its_first_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "\n".join(f"{i},{i}" for i in range(3000)))
    sample = JoinedMatrix((open_matrix(path, "--x"),)).sample()
    np.testing.assert_array_equal(sample[0], np.arange(2048))
    np.save(tmp_path / "x.npy", np.stack([np.arange(3000)] * 2, axis=1))
    sample = JoinedMatrix((open_matrix(tmp_path / "x.npy", "--x"),)).sample()
    assert sample.shape == (2, 2048)
    assert sample[0].max() > 2900
    assert (np.diff(sample[0]) > 0).all()


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is named as NumPy's, and is not"):
        open_matrix(write(tmp_path, TIDY, "x.npy"), "--features")
    with pytest.raises(InputError, match=r"cannot read .* as Parquet"):
        open_matrix(write(tmp_path, TIDY, "x.parquet"), "--features")
    with pytest.raises(InputError, match=r"there is no file .*y\.csv; did you mean"):
        write(tmp_path, TIDY) and open_matrix(tmp_path / "y.csv", "--features")
    assert isinstance(open_matrix(write(tmp_path, TIDY, "x.dat"), "--features"), TableFile)


@pytest.mark.parametrize(
    "content", ["1.5\n2\n", "growth percent\n1.5\n2\n", "1.5\n2", "y\n1.5\n2"]
)
def test_one_column_is_a_matrix_too(tmp_path: Path, content: str) -> None:
    assert read(write(tmp_path, content)).tolist() == [[1.5], [2]]
