"""The smallest true .xls: sheets as BIFF8 records in an OLE2 container, as CellMiner ships."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

Cell = str | float | None
_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def write_xls(path: Path, sheets: Mapping[str, Sequence[Sequence[Cell]]]) -> Path:
    path.write_bytes(_container(_workbook(sheets)))
    return path


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def _workbook(sheets: Mapping[str, Sequence[Sequence[Cell]]]) -> bytes:
    bodies = [_sheet(rows) for rows in sheets.values()]

    def head(offsets: Sequence[int]) -> bytes:
        bound = b"".join(
            _record(0x85, struct.pack("<IBBBB", at, 0, 0, len(name), 0) + name.encode("latin-1"))
            for at, name in zip(offsets, sheets, strict=True)
        )
        return _bof(0x0005) + _record(0x42, struct.pack("<H", 1200)) + bound + _record(0x0A, b"")

    offsets = [len(head([0] * len(bodies)))]
    for body in bodies:
        offsets.append(offsets[-1] + len(body))
    return head(offsets[:-1]) + b"".join(bodies)


def _bof(kind: int) -> bytes:
    return _record(0x809, struct.pack("<HHHHII", 0x0600, kind, 0, 1996, 0, 6))


def _sheet(rows: Sequence[Sequence[Cell]]) -> bytes:
    width = max(map(len, rows), default=0)
    body = _bof(0x0010) + _record(0x200, struct.pack("<IIHHH", 0, len(rows), 0, width, 0))
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            if isinstance(value, str):
                text = value.encode("utf-16-le")
                label = struct.pack("<HHHHB", r, c, 0, len(value), 1) + text
                body += _record(0x204, label)
            elif value is not None:
                body += _record(0x203, struct.pack("<HHHd", r, c, 0, value))
    return body + _record(0x0A, b"")


def _container(stream: bytes) -> bytes:
    """One stream, of at least 4,096 bytes, so that it stands in whole sectors."""
    stream = stream.ljust(4096, b"\0")
    stream += b"\0" * (-len(stream) % _SECTOR)
    count = len(stream) // _SECTOR
    # Sector 0 is the allocation table, 1 the directory, the stream follows.
    chain = [_FAT, _END, *range(3, count + 2), _END]
    assert len(chain) <= _SECTOR // 4
    table = b"".join(struct.pack("<I", n) for n in chain).ljust(_SECTOR, b"\xff")
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, 1, 1, 0, 4096,
        _END, 0, _END, 0,
    ) + struct.pack("<I", 0).ljust(436, b"\xff")  # fmt: skip
    entries = _entry("Root Entry", 5, 1, _END, 0) + _entry("Workbook", 2, _FREE, 2, len(stream))
    return header + table + entries.ljust(_SECTOR, b"\0") + stream


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sIQQIQ",
        text, len(text), kind, 1, _FREE, _FREE, child, b"", 0, 0, 0, start, size,
    )  # fmt: skip
