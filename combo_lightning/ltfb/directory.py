"""The channel through a shared folder: for jobs that know nothing else of each other.

A note or a parcel is a file, written aside and renamed: it is there whole or not at all. Each
group removes its own files of earlier rounds.
"""

import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from combo_lightning.ltfb.channel import Channel, ChannelError
from combo_lightning.ltfb.membership import CHANNEL, Beat
from combo_lightning.ltfb.place import GroupPlace

LOOK_SECONDS = 0.02
_LENGTH = struct.Struct("<q")


class DirectoryChannel(Channel):
    """Notes and parcels as files in the groups' run folder.

    Args:
        place: This group.
        rank: This process in its group.
        timeout_seconds: After how long an exchange is given up.
    """

    def __init__(self, place: GroupPlace, rank: int, timeout_seconds: float) -> None:
        super().__init__(place, rank, timeout_seconds)
        self._folder = place.folder / CHANNEL
        self._folder.mkdir(parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._folder)

    def publish(self, round_index: int, note: str) -> None:
        """Write a note; those before the last round go."""
        self._write(self._note(round_index, self.place.group), [note.encode()])
        self._clear(round_index)

    def read(self, round_index: int, beat: Beat, seconds: float) -> str | None:
        """Look for another group's note."""
        path = self._note(round_index, beat.group)
        return path.read_text(encoding="utf-8") if _appears(path, seconds) else None

    def close(self) -> None:
        """Leave the files: another group may still need the last."""

    def _send(self, round_index: int, beat: Beat, seal: bytes, tensors: Sequence[Tensor]) -> None:
        path = self._parcel(round_index, self.place.group, beat.group)
        data = (_bytes(t) for t in tensors)
        self._write(path, [_LENGTH.pack(len(seal)), seal, *data])

    def _receive(
        self, round_index: int, beat: Beat, tensors: Sequence[Tensor], seconds: float
    ) -> bytes:
        path = self._parcel(round_index, beat.group, self.place.group)
        if not _appears(path, seconds):
            raise ChannelError(f"{path} has not appeared within {seconds:g} s")
        with path.open("rb") as file:
            head = file.read(_LENGTH.size)
            length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else -1
            if not 0 < length < 1 << 20:
                raise ChannelError(f"{path} is no parcel")
            seal = file.read(length)
            for tensor in tensors:
                view = _bytes(tensor)
                if file.readinto(view) != len(view):
                    raise ChannelError(f"{path} is shorter than what must be in it")
            if file.read(1):
                raise ChannelError(f"{path} is longer than what must be in it")
        path.unlink(missing_ok=True)
        return seal

    def _note(self, round_index: int, group: int) -> Path:
        return self._folder / f"{round_index:06d}.from_{group}.note"

    def _parcel(self, round_index: int, sender: int, receiver: int) -> Path:
        name = f"{round_index:06d}.from_{sender}.to_{receiver}.rank_{self.rank}.parcel"
        return self._folder / name

    def _clear(self, round_index: int) -> None:
        for path in self._folder.glob(f"*.from_{self.place.group}.*"):
            if path.name[0] != "." and int(path.name.split(".", 1)[0]) < round_index - 1:
                path.unlink(missing_ok=True)

    @staticmethod
    def _write(path: Path, parts: Sequence[bytes | memoryview]) -> None:
        aside = path.with_name(f".{path.name}.partial")
        try:
            with aside.open("wb") as file:
                for part in parts:
                    file.write(part)
            os.replace(aside, path)
        finally:
            aside.unlink(missing_ok=True)


def _bytes(tensor: Tensor) -> memoryview:
    """Give a contiguous tensor's memory."""
    data: Any = tensor.reshape(-1).view(torch.uint8).numpy()
    return memoryview(data)


def _appears(path: Path, seconds: float) -> bool:
    """Wait for a file."""
    end = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_SECONDS)
    return True
