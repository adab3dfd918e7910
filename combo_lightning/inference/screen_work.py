"""The folder of a screen under way: from it a stopped screen goes on, and the last part merges."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from combo_lightning.errors import InputError
from combo_lightning.inference.pair_space import WHOLE
from combo_lightning.inference.screen_request import ScreenRequest
from combo_lightning.parts import Part, claim, last_part, order_of_end

logger = logging.getLogger(__name__)

State = dict[str, npt.NDArray[Any]]
REQUEST, STATE, ERROR = "request.json", "state.npz", "first_pass_error.txt"


class ScreenWork:
    """``OUT.partial``; of a screen in parts ``OUT.parts/part-K-of-N``.

    Args:
        request: What is screened; a folder of another request is refused.
    """

    def __init__(self, request: ScreenRequest) -> None:
        out = request.out
        self.part = request.part or WHOLE
        # Of all parts: the request, the error of the first pass, and who has ended.
        self.shared = out.with_name(f"{out.name}.{'parts' if request.part else 'partial'}")
        self.folder = self._of(self.part) if request.part else self.shared
        self._begun = self._open(request)

    def _of(self, part: Part) -> Path:
        return self.shared / f"part-{part.number}-of-{part.of}"

    def _open(self, request: ScreenRequest) -> bool:
        """Make the folder, or go on in it; tell whether it was there.

        Raises:
            InputError: If it belongs to another screen.
        """
        file = self.shared / REQUEST
        begun = file.is_file() and self.folder.is_dir()
        if not begun and not file.is_file():
            shutil.rmtree(self.folder, ignore_errors=True)
        wanted = request.fingerprint()
        found = json.loads(claim(file, json.dumps(wanted, indent=1)))
        if found != wanted:
            names = [n for n in {**found, **wanted} if found.get(n) != wanted.get(n)]
            raise InputError(
                f"{self.shared} holds a stopped screen with other options: "
                + ", ".join(f"{n} is {found.get(n)} there and {wanted.get(n)} here" for n in names)
                + "; give those to go on, or delete it"
            )
        self.folder.mkdir(exist_ok=True)
        if begun:
            logger.info("going on in %s", self.folder)
        return begun

    def abandon(self) -> None:
        """Remove what a request at fault has begun: mended, it is another one."""
        if self._begun:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.shared.is_dir() and not any(self.shared.glob("part-*")):
            shutil.rmtree(self.shared, ignore_errors=True)

    def load(self) -> State:
        """Read what was saved last; empty: nothing."""
        return _read(self.folder)

    def save(self, state: dict[str, Any]) -> None:
        """Save where the screen stands."""
        aside = self.folder / f".{STATE}"
        with aside.open("wb") as out:
            np.savez(out, allow_pickle=False, **state)
        aside.replace(self.folder / STATE)

    def agree_on_error(self, measure: Callable[[], float]) -> float:
        """Give the error of the first pass: of whichever part measured it first."""
        file = self.shared / ERROR
        return float(file.read_text("utf-8") if file.is_file() else claim(file, repr(measure())))

    def is_last(self) -> bool:
        """Say that this part is done; tell whether it is the one that merges."""
        if order_of_end(self.shared, self.part) == self.part.of:
            return True
        last = last_part(self.shared, self.part.of)
        if last is not None:
            logger.warning(
                "all parts are done, and part %d, which ended last, merges them; if it has been "
                "stopped, give its command again",
                last,
            )
        return False

    def parts(self) -> Iterator[tuple[Path, State]]:
        """Give each part's folder and what it has kept, in the order of their pairs.

        Raises:
            InputError: If one has vanished.
        """
        for number in range(1, self.part.of + 1):
            folder = self._of(Part(number, self.part.of))
            state = _read(folder)
            if not state:
                raise InputError(
                    f"{folder} is not there any more; delete {self.shared} and start all parts "
                    "again"
                )
            yield folder, state

    def remove(self) -> None:
        """Remove everything, in one step: what a kill left would be taken for a screen."""
        aside = self.shared.with_name(f".{self.shared.name}.done")
        shutil.rmtree(aside, ignore_errors=True)
        self.shared.replace(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _read(folder: Path) -> State:
    file = folder / STATE
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as saved:
        return dict(saved)
