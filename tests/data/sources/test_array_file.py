import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from combo_lightning.data.sources.array_file import ArrayFile, open_npy
from combo_lightning.data.sources.matrix_file import open_matrix
from combo_lightning.errors import InputError

VALUES = np.random.default_rng(0).normal(size=(5000, 7))


def read(file: ArrayFile, rows: int) -> np.ndarray:
    return np.concatenate([batch.copy() for batch in file.batches(rows)])


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", ">i4", "i8", "u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [1000, 999, 6000])
def test_any_plain_number_is_read_in_pieces(
    tmp_path: Path, kind: str, order: Any, rows: int
) -> None:
    values = np.asarray(VALUES * 50, order=order).astype(kind, order=order)
    np.save(tmp_path / "x.npy", values)
    file = open_npy(tmp_path / "x.npy", "--x", flat=False)
    np.testing.assert_array_equal(read(file, rows), values)
    assert file.can_seek == (order == "C")
    if file.can_seek:
        some = np.array([3, 77, 4999])
        np.testing.assert_array_equal(list(file.take(some)), values[some])


def test_the_array_of_an_npz_is_the_only_one_that_fits_or_named(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, X_train=VALUES[:4000], y_train=VALUES[:4000, 0])
    features, responses = open_matrix(path, "--x"), open_matrix(path, "--y", flat=True)
    assert (features.rows, features.width, responses.width) == (4000, 7, 1)
    np.savez_compressed(path, X_train=VALUES[:4000], X_val=VALUES[4000:])
    with pytest.raises(
        InputError, match=r"holds X_train \[4000, 7\], X_val.*meant: .*npz:X_train"
    ):
        open_matrix(path, "--x")
    file = open_matrix(Path(f"{path}:X_val"), "--x")
    assert isinstance(file, ArrayFile)
    np.testing.assert_array_equal(read(file, 300), VALUES[4000:])
    with pytest.raises(InputError, match=r"has no array 'X_vla'; did you mean 'X_val'"):
        open_matrix(Path(f"{path}:X_vla"), "--x")


def test_an_array_by_columns_in_a_compressed_file_says_how_to_unpack(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", np.asfortranarray(VALUES))
    file = open_matrix(tmp_path / "x.npz", "--x")
    assert isinstance(file, ArrayFile)
    with pytest.raises(InputError, match=r"x\.npz:arr_0 stands column after column .* unpack it"):
        read(file, 100)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_that_ends_too_early_is_refused(tmp_path: Path, order: Any) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.asarray(VALUES, order=order))
    path.write_bytes(path.read_bytes()[:-7000])
    with pytest.raises(InputError, match=r"row \d+ is missing: the file ends there, and its head"):
        read(open_npy(path, "--x", flat=False), 100)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match="is damaged or truncated"):
        open_matrix(path, "--x")


def test_damaged_compressed_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy.gz"
    with gzip.open(path, "wb") as stream:
        np.save(stream, VALUES)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="is damaged or truncated"):
        read(open_npy(path, "--x", flat=False), 100)
    path = tmp_path / "x.npz"
    np.savez_compressed(path, VALUES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    file = open_matrix(path, "--x")
    assert isinstance(file, ArrayFile)
    with pytest.raises(InputError, match="is damaged or truncated"):
        read(file, 100)
    path.write_bytes(content[:-100])
    with pytest.raises(InputError, match="is damaged or truncated"):
        open_matrix(path, "--x")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array({"X": [1], "y": [2]}, dtype=object), "pickled Python objects, which may run"),
        (np.array([["a"]]), "holds <U1; it must hold integers or floats"),
        (np.array([[1j]]), "holds complex128"),
        (np.ones(5), r"is of shape \[5\]; rows of features are needed"),
        (np.ones((2, 2, 2)), r"is of shape \[2, 2, 2\]"),
        (np.ones((0, 4)), r"is of shape \[0, 4\]"),
        (np.ones(2, dtype=[("a", "f4")]), "it must hold integers or floats"),
    ],
)
def test_arrays_that_are_no_matrix_say_what_they_are(
    tmp_path: Path, array: Any, message: str
) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        open_matrix(tmp_path / "x.npy", "--x")
