"""Work in parts, by processes that know each other through a shared folder alone."""

import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from combo_lightning.errors import InputError


@dataclass(frozen=True)
class Part:
    """One of several parts of a piece of work.

    Args:
        number: Which one, from 1.
        of: Parts in all.
    """

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> "Part":
        """Read what stands behind ``--part``.

        Args:
            text: Such as ``2/8``.

        Raises:
            InputError: If it is no part.

        Example:
            >>> Part.read("2/8")
            Part(number=2, of=8)
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        part = cls(*map(int, found.groups())) if found else None
        if part is None or not 1 <= part.number <= part.of:
            raise InputError(
                f"--part is '{text}'; give K/N, such as 2/8: the K-th of N parts, from 1/N to N/N"
            )
        return part

    def share(self, total: int) -> tuple[int, int]:
        """Cut a number of things; equal parts to within one.

        Returns:
            Where this part begins and ends; the next one begins there.
        """
        return total * (self.number - 1) // self.of, total * self.number // self.of

    def __str__(self) -> str:
        return f"part {self.number} of {self.of}"


def claim(path: Path, text: str) -> str:
    """Write a file where nobody was first; whole or not at all, also on shared file systems.

    Args:
        path: The file; its folder is made.
        text: What to write.

    Returns:
        What stands in it: this text, or that of who was first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    aside.write_text(text, encoding="utf-8")
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
    return path.read_text(encoding="utf-8")


def order_of_end(folder: Path, part: Part) -> int:
    """Say that a part is done; give how many were before it, and itself.

    Exactly one part is the last, though two end at the same time; a part that asks again, after a
    kill, gets its old answer.

    Args:
        folder: Shared by the parts of this work and by nothing else.
        part: The part.
    """
    place = 1
    while claim(_ended(folder, place), str(part.number)) != str(part.number):
        place += 1
    return place


def last_part(folder: Path, of: int) -> int | None:
    """Give the part that ended last; None: some have not ended."""
    file = _ended(folder, of)
    return int(file.read_text(encoding="utf-8")) if file.is_file() else None


def _ended(folder: Path, place: int) -> Path:
    return folder / f"ended-{place:05d}"
