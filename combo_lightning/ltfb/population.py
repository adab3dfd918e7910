"""The population on disk: what its groups have in common, and checkpoints at round boundaries."""

import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from combo_lightning.errors import InputError
from combo_lightning.ltfb.place import group_folder

DESCRIPTION = "ltfb.json"
MANIFEST = "population.json"
CHECKPOINTS = "checkpoints"
_ROUND = re.compile(r"round-(\d+)\.ckpt")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file aside and rename it; numbers that are not finite become texts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Several groups may write the same file at once.
    aside = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.partial")
    aside.write_text(json.dumps(_strict(content), indent=1, allow_nan=False) + "\n", "utf-8")
    os.replace(aside, path)


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    return value


def write_description(folder: Path, content: Mapping[str, Any]) -> None:
    """Write what the groups of a run have in common; a resumed run finds it there.

    Raises:
        InputError: If the folder holds another run's.
    """
    path = folder / DESCRIPTION
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        mine = json.loads(json.dumps(_strict(content)))
        different = [key for key in mine if key != "token" and before.get(key) != mine[key]]
        if different:
            raise InputError(
                f"{path} is of a run with other {', '.join(different)} "
                f"({before.get(different[0])}; here {mine[different[0]]}); take another --run_dir"
            )
    write_json(path, content)


def round_checkpoint(folder: Path, group: int, round_index: int) -> Path:
    """Name a group's checkpoint after a round."""
    return group_folder(folder, group) / CHECKPOINTS / f"round-{round_index:06d}.ckpt"


def saved_rounds(folder: Path, group: int) -> list[int]:
    """List the rounds after which a group has saved."""
    found = (group_folder(folder, group) / CHECKPOINTS).glob("round-*.ckpt")
    matches = (_ROUND.fullmatch(path.name) for path in found)
    return sorted(int(match[1]) for match in matches if match)


def newest_complete_round(folder: Path, num_groups: int) -> int:
    """Find the newest round after which every group has saved; 0: there is none."""
    saved = [set(saved_rounds(folder, group)) for group in range(num_groups)]
    return max(set.intersection(*saved), default=0) if saved else 0


def write_manifest(folder: Path, num_groups: int) -> int:
    """Write down the newest round that is complete in all groups, and give it."""
    newest = newest_complete_round(folder, num_groups)
    checkpoints = {
        group: str(round_checkpoint(folder, group, newest).relative_to(folder))
        for group in range(num_groups)
    }
    if newest:
        write_json(folder / MANIFEST, {"round": newest, "checkpoints": checkpoints})
    return newest


def stale_rounds(folder: Path, group: int, num_groups: int) -> list[int]:
    """List a group's saved rounds that nobody needs: all but the last two and the manifest's."""
    complete = newest_complete_round(folder, num_groups)
    return [r for r in saved_rounds(folder, group)[:-2] if r != complete]
