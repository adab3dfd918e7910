"""Opening the text files that public sources ship: gzip or plain, any line end, BOM or not."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from combo_lightning.errors import InputError, did_you_mean

_GZIP_MAGIC = b"\x1f\x8b"
# Ctrl-Z ended files in DOS; NCI's growth file still carries it.
_DOS_END = "\x1a"
# So much is looked at to tell the encoding.
_HEAD_BYTES = 1 << 20


def require_file(path: Path, option: str) -> Path:
    """Give the path back if a file is there.

    Raises:
        InputError: If none is, with the option that named it.
    """
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{option}: there is no file {path}{did_you_mean(path.name, siblings)}")
    if not path.is_file():
        raise InputError(f"{option}: {path} is a directory; name a file")
    return path


def is_gzip(path: Path) -> bool:
    """Tell from the first bytes, whatever the name says."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def text_encoding(content: bytes) -> str | None:
    """Tell the encoding of a text from its bytes; None: it is no text.

    Args:
        content: The text or its beginning, where the last character may be cut.
    """
    utf_32 = content.startswith(codecs.BOM_UTF32_LE)  # which begins as UTF-16 does
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not utf_32:
        return "utf-16"
    if b"\x00" in content[:4096]:
        return None
    try:
        codecs.getincrementaldecoder("utf-8-sig")().decode(content)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


@contextmanager
def open_bytes(path: Path, option: str) -> Iterator[BinaryIO]:
    """Open a file for reading in a stream, gzip or plain; what goes wrong meanwhile is told.

    Args:
        path: The file.
        option: The option that named it, for messages.

    Yields:
        Its bytes.

    Raises:
        InputError: If it is missing, damaged, or text of mixed encodings.
    """
    require_file(path, option)
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            yield cast(BinaryIO, file)
    except UnicodeError as error:
        raise InputError(
            f"{option}: {path} begins as UTF-8 and goes on as something else ({error}); save it "
            "as UTF-8"
        ) from error
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"{option}: {path} is damaged or truncated ({error}); copy or download it again"
        ) from error


@contextmanager
def open_text(path: Path, option: str) -> Iterator[TextIO]:
    """Open a text file for reading in a stream; gzip or plain, any line end, BOM or not.

    It is UTF-8, UTF-16 with a BOM, or else cp1252.

    Args:
        path: The file.
        option: The option that named it, for messages.

    Yields:
        The stream; every line end is a newline.

    Raises:
        InputError: If it is missing, damaged or no text.
    """
    with open_bytes(path, option) as file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        encoding = text_encoding(head)
        if encoding is None:
            raise InputError(f"{option}: {path} is not a text file; save it as text")
        errors = "replace" if encoding == "cp1252" else "strict"
        with io.TextIOWrapper(file, encoding, errors) as stream:
            yield stream


def read_text(path: Path, option: str) -> str:
    """Read a whole text file; line ends become newlines, BOM and DOS end mark go.

    Args:
        path: The file, gzip or plain.
        option: The option that named it, for messages.

    Raises:
        InputError: If it is missing, truncated or no text.
    """
    require_file(path, option)
    try:
        content = gzip.decompress(path.read_bytes()) if is_gzip(path) else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{option}: {path} is a damaged or truncated gzip file ({error}); download it again"
        ) from error
    encoding = text_encoding(content)
    if encoding is None:
        raise InputError(f"{option}: {path} is not a text file; export it as CSV or tab-separated")
    text = content.decode(encoding, errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n" + _DOS_END)


def read_rows(path: Path, option: str, delimiter: str) -> list[list[str]]:
    """Read a delimited text file as rows of stripped fields; blank lines go.

    Raises:
        InputError: If it is missing, damaged, empty, or separated by something else.
    """
    text = read_text(path, option)
    rows = [
        [field.strip() for field in row]
        for row in csv.reader(io.StringIO(text), delimiter=delimiter)
        if any(field.strip() for field in row)
    ]
    if not rows:
        raise InputError(f"{option}: {path} is empty")
    if max(len(row) for row in rows) < 2:
        names = {",": "commas", "\t": "tabs", ";": "semicolons"}
        other = next((n for d, n in names.items() if d != delimiter and d in rows[0][0]), None)
        raise InputError(
            f"{option}: {path} has one column when cut at {names[delimiter]}"
            + (f"; it looks separated by {other}: convert it" if other else "")
        )
    return rows


def find_columns(header: list[str], wanted: list[str], path: Path, option: str) -> dict[str, int]:
    """Find columns by name, whatever their case.

    Raises:
        InputError: If one is missing, with the nearest name that there is, or stands twice.
    """
    place = {name.lower(): i for i, name in reversed(list(enumerate(header)))}
    lower = [name.lower() for name in header]
    for name in wanted:
        if lower.count(name.lower()) > 1:
            raise InputError(f"{option}: {path} has two columns named '{name}'; remove one")
        if name.lower() not in place:
            raise InputError(
                f"{option}: {path} has no column '{name}'{did_you_mean(name, header)}; "
                f"it has {', '.join(header[:12])}{' ...' if len(header) > 12 else ''}"
            )
    return {name: place[name.lower()] for name in wanted}
