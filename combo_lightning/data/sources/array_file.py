"""An array in a npy or npz file, read a few rows at a time.

Files are read, not mapped: mapped pages would count as this process's memory.

Shapes: N rows of the file, R rows at once, C columns.
"""

import gzip
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from combo_lightning.data.sources.raw_text import is_gzip
from combo_lightning.errors import InputError, did_you_mean

Numbers = npt.NDArray[Any]

# Columns of a Fortran-ordered file are read so many rows at a time: 8 KB of fp32 a read.
_COLUMN_ROWS = 2048


@dataclass(frozen=True)
class ArrayFile:
    """An array in a npy file (plain or gzip), or a member of a npz file.

    Args:
        path: The file.
        option: The option that named it, for messages.
        member: Which array of a npz file; empty: a npy file.
        shape: (N, C).
        dtype: Type of the numbers.
        fortran: Whether it stands column after column.
        start: Bytes before the first number.
    """

    path: Path
    option: str
    member: str
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    fortran: bool
    start: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns: arrays have none."""
        return ()

    @property
    def width(self) -> int:
        """C, its columns."""
        return self.shape[1]

    @property
    def rows(self) -> int | None:
        """N, its rows."""
        return self.shape[0]

    @property
    def can_seek(self) -> bool:
        """Whether single rows can be read without what stands before them."""
        return not (self.member or self.fortran or is_gzip(self.path))

    def place(self, row: int) -> str:
        """Say where a row stands, counted from 0, as NumPy counts."""
        return f"{self.option}: {_named(self.path, self.member)}, row {row}"

    def batches(self, rows: int, skip: Collection[int] = ()) -> Iterator[Numbers]:
        """Read the rows in order; an array is good until the next one is asked for.

        Args:
            rows: The most rows at once.
            skip: Columns that nobody needs; they are read all the same.

        Yields:
            Rows ``[R, C]``.

        Raises:
            InputError: If the file ends too early or is damaged.
        """
        if self.fortran and self.width > 1 and self.shape[0] > 1:
            yield from self._column_by_column(rows)
            return
        bytes_a_row = self.width * self.dtype.itemsize
        buffer = bytearray(rows * bytes_a_row)
        values = np.frombuffer(buffer, self.dtype).reshape(rows, self.width)
        with _open(self.path, self.member) as stream:
            stream.read(self.start)
            for first in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - first)
                self._fill(stream, memoryview(buffer)[: count * bytes_a_row], first, bytes_a_row)
                yield values[:count]

    def _column_by_column(self, rows: int) -> Iterator[Numbers]:
        """Read a Fortran-ordered file, a piece of each column at a time.

        Raises:
            InputError: If it is compressed, and so cannot be read in this order.
        """
        if self.member or is_gzip(self.path):
            raise InputError(
                f"{self.place(0).rpartition(',')[0]} stands column after column (Fortran order) "
                "and compressed, which no stream can read by rows; unpack it, or save it again "
                "with np.save(file, np.ascontiguousarray(array))"
            )
        count, size = self.shape[0], self.dtype.itemsize
        piece_CR = np.empty((self.width, _COLUMN_ROWS), self.dtype)
        with self.path.open("rb", buffering=0) as stream:
            for first in range(0, count, _COLUMN_ROWS):
                here = min(_COLUMN_ROWS, count - first)
                for column in range(self.width):
                    stream.seek(self.start + (column * count + first) * size)
                    view = piece_CR[column, :here].view(np.uint8).data
                    self._fill(stream, view, first, size)
                for start in range(0, here, rows):
                    yield np.ascontiguousarray(piece_CR[:, start : min(start + rows, here)].T)

    def _fill(self, stream: Any, view: memoryview, first: int, bytes_a_row: int) -> None:
        done = 0
        try:
            while done < len(view) and (got := stream.readinto(view[done:])):
                done += got
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise InputError(damaged(self.path, self.option, error)) from error
        if done < len(view):
            raise InputError(
                f"{self.place(first + done // bytes_a_row)} is missing: the file ends there, and "
                f"its header states {self.shape[0]} rows; copy or download it again"
            )

    def take(self, rows: npt.NDArray[np.int64]) -> Iterator[Numbers]:
        """Read single rows ``[C]`` of a file that `can_seek`.

        Args:
            rows: Which.

        Yields:
            The rows.
        """
        bytes_a_row = self.width * self.dtype.itemsize
        with self.path.open("rb", buffering=0) as stream:
            for row in rows.tolist():
                buffer = bytearray(bytes_a_row)
                stream.seek(self.start + row * bytes_a_row)
                self._fill(stream, memoryview(buffer), row, bytes_a_row)
                yield np.frombuffer(buffer, self.dtype)


def open_npz(path: Path, option: str, member: str, *, flat: bool) -> ArrayFile:
    """Choose the array of a npz file: as named, else the only one of the right shape.

    Args:
        path: The file.
        option: The option that named it, for messages.
        member: The array; empty: not named.
        flat: One column is wanted: arrays of one dimension count as such.

    Raises:
        InputError: If there is none or there are several.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(damaged(path, option, error)) from error
    if member and member not in members:
        raise InputError(
            f"{option}: {path} has no array '{member}'{did_you_mean(member, members)}; it has "
            + ", ".join(members)
        )
    chosen = [member] if member else members
    arrays = {name: _array(path, option, name) for name in chosen}
    if not member:
        wanted = {n: a for n, a in arrays.items() if _fits(a[0], flat=flat)}
        if len(wanted) != 1:
            shapes = ", ".join(f"{n} {list(a[0])}" for n, a in arrays.items())
            what = "of one column" if flat else "of two dimensions"
            raise InputError(
                f"{option}: {path} holds {shapes or 'no array'}; name the one {what} that is "
                f"meant: {path}:{members[0] if members else 'NAME'}"
            )
        member = next(iter(wanted))
    return _as_matrix(arrays[member], path, option, member, flat=flat)


def _fits(shape: tuple[int, ...], *, flat: bool) -> bool:
    if flat:
        return len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)
    return len(shape) == 2 and shape[1] > 1


def open_npy(path: Path, option: str, *, flat: bool) -> ArrayFile:
    """Read the header of a npy file, plain or gzip; see `open_npz`."""
    return _as_matrix(_array(path, option, ""), path, option, "", flat=flat)


def _array(
    path: Path, option: str, member: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Read the header of an array: shape, Fortran order, type, bytes before the numbers.

    Raises:
        InputError: If it is damaged.
    """
    try:
        with _open(path, member) as stream:
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            return shape, fortran, dtype, stream.tell()
    except (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise InputError(damaged(path, option, error)) from error


def _as_matrix(
    array: tuple[tuple[int, ...], bool, np.dtype[Any], int],
    path: Path,
    option: str,
    member: str,
    *,
    flat: bool,
) -> ArrayFile:
    """Check that an array holds plain numbers in two dimensions.

    Raises:
        InputError: If it does not.
    """
    shape, fortran, dtype, start = array
    what = f"{option}: {_named(path, member)}"
    if dtype.hasobject:
        raise InputError(
            f"{what} holds pickled Python objects, which may run code when they are read; if you "
            "trust it, load it with np.load(file, allow_pickle=True) and save each array in it "
            "with np.save"
        )
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise InputError(
            f"{what} holds {dtype}; it must hold integers or floats of at most 64 bits"
        )
    if len(shape) == 1 and flat:
        shape = (shape[0], 1)
    if len(shape) != 2 or not shape[0] or not shape[1]:
        raise InputError(
            f"{what} is of shape {list(shape)}; "
            + ("one number a row is needed" if flat else "rows of features are needed")
        )
    return ArrayFile(path, option, member, (shape[0], shape[1]), dtype, fortran, start)


def _open(path: Path, member: str) -> Any:
    if member:
        stack = ExitStack()
        archive = stack.enter_context(zipfile.ZipFile(path))
        stream: Any = stack.enter_context(archive.open(f"{member}.npy"))
        return _Closing(stream, stack)
    return gzip.open(path, "rb") if is_gzip(path) else path.open("rb", buffering=0)


class _Closing:
    """A stream that closes its archive with itself."""

    def __init__(self, stream: Any, stack: ExitStack) -> None:
        self._stream, self._stack = stream, stack

    def __enter__(self) -> Any:
        return self._stream

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _named(path: Path, member: str) -> str:
    return f"{path}:{member}" if member else str(path)


def damaged(path: Path, option: str, error: Exception) -> str:
    """Say that a file cannot be read to its end."""
    return f"{option}: {path} is damaged or truncated ({error}); copy or download it again"
