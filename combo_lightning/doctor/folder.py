"""Whether a folder that nodes share does what runs rely on.

Runs write a file aside and rename it, and the first of several jobs is the one that makes a hard
link. Both must be whole and exclusive across nodes, and the others must see them soon.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

# Seconds. NFS may keep what it knows of a folder for a minute.
NOTE_SECONDS, BALL_SECONDS = 10.0, 70.0
_BALL_BUDGET_SECONDS = 20.0
_BALLS = 5
RACES, _RACE_SECONDS = 30, 0.01
_SWAPS, _SWAPPED_BYTES = 50, 1 << 16


@dataclass(frozen=True)
class Folder:
    """A folder, as one node sees it.

    Args:
        file_system: Its type and where that is mounted.
        free_gigabytes: Room in it.
        error: Why nothing can be written there; empty: it can.
    """

    file_system: str
    free_gigabytes: float
    error: str


@dataclass(frozen=True)
class Swapped:
    """What a node saw of a file that all nodes replaced at the same time.

    Args:
        torn: Times that it was not whole.
        missing: Times that it was not there.
        read: Times that it was read.
        error: What went wrong; empty: nothing.
    """

    torn: int
    missing: int
    read: int
    error: str


def leave_note(folder: Path, name: str) -> Folder:
    """Write a note of this node, aside and renamed.

    Args:
        folder: A folder of the examination's own; its parent must be there.
        name: This node.
    """
    try:
        folder.mkdir(exist_ok=True)
        _write(folder / f"note-{name}", name)
        free = shutil.disk_usage(folder).free / 1e9
    except OSError as error:
        return Folder("", 0.0, f"{error.filename}: {error.strerror}")
    return Folder(_file_system(folder), free, "")


def find_notes(folder: Path, names: Sequence[str]) -> list[str]:
    """Wait for the notes of other nodes.

    Args:
        folder: The examination's folder.
        names: All nodes.

    Returns:
        Whose notes are here.
    """
    missing = set(names)
    end = time.monotonic() + NOTE_SECONDS
    while True:
        for name in list(missing):
            with suppress(OSError):
                if (folder / f"note-{name}").read_text(encoding="utf-8") == name:
                    missing.discard(name)
        if not missing or time.monotonic() > end:
            return [name for name in names if name not in missing]
        time.sleep(0.05)


def play_ball(folder: Path, name: str, names: Sequence[str]) -> dict[str, float | None]:
    """Pass a file between the first node and each other: how long until a new file is seen.

    Args:
        folder: The examination's folder.
        name: This node.
        names: The nodes that play.

    Returns:
        On the first node: seconds for each other, one way; None: it was not seen. Else empty.
    """
    if name != names[0]:
        _return_balls(folder, name)
        return {}
    with ThreadPoolExecutor(max(1, len(names) - 1)) as pool:
        seconds = pool.map(lambda other: _throw_balls(folder, other), names[1:])
        return dict(zip(names[1:], seconds, strict=True))


def _throw_balls(folder: Path, other: str) -> float | None:
    took: list[float] = []
    begin = time.monotonic()
    for i in range(_BALLS):
        start = time.monotonic()
        last = i == _BALLS - 1 or start - begin > _BALL_BUDGET_SECONDS
        _write(folder / f"there-{other}-{i}", "last" if last else "more")
        if not _wait_for((folder / f"back-{other}-{i}").exists):
            return None
        took.append((time.monotonic() - start) / 2)
        if last:
            break
    return median(took)


def _return_balls(folder: Path, name: str) -> None:
    for i in range(_BALLS):
        ball = folder / f"there-{name}-{i}"
        if not _wait_for(ball.exists):
            return
        _write(folder / f"back-{name}-{i}", "")
        if ball.read_text(encoding="utf-8") == "last":
            return


def _wait_for(so: Callable[[], bool]) -> bool:
    start = time.monotonic()
    while not so():
        waited = time.monotonic() - start
        if waited > BALL_SECONDS:
            return False
        # Seldom enough for a file server when it takes long.
        time.sleep(max(0.0005, waited / 20))
    return True


def race(folder: Path, name: str, begin: float) -> list[int] | str:
    """Race the other nodes for hard links: of each, one node must be the first.

    Args:
        folder: The examination's folder.
        name: This node.
        begin: When the first race begins, by this node's clock.

    Returns:
        The races that this node won; or why it cannot make a link.
    """
    won = []
    own = folder / f"runner-{name}"
    try:
        own.write_text(name, encoding="utf-8")
        for i in range(RACES):
            time.sleep(max(0.0, begin + i * _RACE_SECONDS - time.time()))
            with suppress(FileExistsError):
                os.link(own, folder / f"goal-{i}")
                won.append(i)
    except OSError as error:
        return f"{error.strerror}"
    return won


def swap(folder: Path, name: str, begin: float) -> Swapped:
    """Replace one file at the same time as the other nodes do, and read it.

    Args:
        folder: The examination's folder.
        name: This node.
        begin: When to begin, by this node's clock.
    """
    file, aside = folder / "swapped", folder / f"swapped-{name}"
    content = os.urandom(16) * (_SWAPPED_BYTES // 16)
    torn = missing = read = 0
    try:
        time.sleep(max(0.0, begin - time.time()))
        for _ in range(_SWAPS):
            aside.write_bytes(content)
            os.replace(aside, file)
            try:
                seen = file.read_bytes()
            except FileNotFoundError:
                missing += 1
                continue
            read += 1
            torn += len(seen) != _SWAPPED_BYTES or seen != seen[:16] * (_SWAPPED_BYTES // 16)
    except OSError as error:
        return Swapped(torn, missing, read, error.strerror or str(error))
    return Swapped(torn, missing, read, "")


def clean(folder: Path) -> None:
    """Remove the examination's folder; several nodes may do so at once."""
    shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)


def _file_system(folder: Path) -> str:
    """Name the type of file system, and where it is mounted."""
    best, kind = Path("/"), "unknown"
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
            _, point, found, *_ = line.split()
            mounted = Path(point.replace("\\040", " "))
            # Of two mounts at one place, the later hides the earlier.
            if folder.resolve().is_relative_to(mounted) and len(str(mounted)) >= len(str(best)):
                best, kind = mounted, found
    return f"{kind} at {best}"
