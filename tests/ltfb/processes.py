"""Trainer groups as real processes, for tests: each rank of each group runs a function."""

import contextlib
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from combo_lightning.ltfb.place import GroupPlace
from combo_lightning.ports import free_port

TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Ended:
    """How a rank ended: its exit code (negative: by a signal), what it returned and said."""

    code: int | None
    result: Any
    log: str


def _child(
    place: GroupPlace, rank: int, ranks: int, port: int, out: str, work: Callable[..., Any], a: Any
) -> None:
    os.environ |= place.to_environment()
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(ranks),
        "NODE_RANK": "0",
        "LOCAL_RANK": str(rank),
        "RANK": str(rank),
    }
    torch.set_num_threads(1)
    log = open(f"{out}.log", "w", buffering=1)  # noqa: SIM115  it lives as long as the process
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        torch.save(work(*a), out)
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(Exception):
        torch.distributed.destroy_process_group()
    os._exit(code)


class Groups:
    """Trainer groups that run a function in every rank.

    Args:
        num_groups: How many.
        ranks: Processes of each.
        folder: The run folder of all.
        work: What each rank does.
        arguments: Its arguments.
        token: Secret of the launch.
    """

    def __init__(
        self,
        num_groups: int,
        ranks: int,
        folder: Path,
        work: Callable[..., Any],
        *arguments: Any,
        token: str = "a" * 32,
    ) -> None:
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["combo_lightning.cli.lightning_cli"])
        self.num_groups, self.ranks, self.folder = num_groups, ranks, folder
        self.work, self.arguments, self.token = work, arguments, token
        self.children: dict[tuple[int, int], Any] = {}
        (folder / "out").mkdir(parents=True, exist_ok=True)

    def start(self, *groups: int) -> "Groups":
        """Start groups; all where none is named."""
        for group in groups or range(self.num_groups):
            place = GroupPlace(group, self.num_groups, self.folder, self.token)
            port = free_port()
            for rank in range(self.ranks):
                out = self._out(group, rank)
                Path(out).unlink(missing_ok=True)
                arguments = (place, rank, self.ranks, port, out, self.work, self.arguments)
                self.children[group, rank] = self._context.Process(target=_child, args=arguments)
                self.children[group, rank].start()
        return self

    def signal(self, group: int, number: int) -> None:
        """Send a signal to all ranks of a group."""
        for rank in range(self.ranks):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.children[group, rank].pid, number)

    def wait(self, *groups: int, seconds: float = TIMEOUT_SECONDS) -> dict[tuple[int, int], Ended]:
        """Wait until groups (all where none is named) have ended; what still runs is killed."""
        end = time.monotonic() + seconds
        found = {}
        chosen = [key for key in self.children if not groups or key[0] in groups]
        for key in chosen:
            child = self.children[key]
            child.join(max(0.1, end - time.monotonic()))
            code = child.exitcode
            if code is None:
                child.kill()
            out = Path(self._out(*key))
            result = torch.load(out, weights_only=False) if code == 0 and out.exists() else None
            found[key] = Ended(code, result, Path(f"{out}.log").read_text())
        return found

    def results(self, seconds: float = TIMEOUT_SECONDS) -> dict[tuple[int, int], Any]:
        """Give what all ranks returned.

        Raises:
            AssertionError: If one failed, with what it said.
        """
        ended = self.wait(seconds=seconds)
        wrong = {key: e for key, e in ended.items() if e.code != 0}
        said = "\n".join(f"== {key} {e.code}\n{e.log[-3000:]}" for key, e in wrong.items())
        assert not wrong, said
        return {key: e.result for key, e in ended.items()}

    def _out(self, group: int, rank: int) -> str:
        return str(self.folder / "out" / f"{group}.{rank}.pt")
