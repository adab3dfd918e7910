"""Fixtures for all tests: a small simulated screen, and commands in a process of their own."""

import contextlib
import io
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The first example of a test pays for its imports.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real NCI-ALMANAC and CellMiner files, which stand beside the project and not in it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real NCI-ALMANAC and CellMiner files (../shared/data) are not here")
    return SHARED_DATA


@pytest.fixture(scope="session")
def small_screen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated screen of 1,092 combinations, some of them measured twice."""
    from combo_lightning.data.simulator import preset_config, simulate, write_simulation

    out = tmp_path_factory.mktemp("data") / "small"
    return write_simulation(simulate(preset_config("small")), out, {})


@pytest.fixture(scope="session")
def merged_studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated studies of one truth, each in its own scale, merged: 909 rows."""
    from combo_lightning.data.merging.merge import MergeOptions, merge
    from combo_lightning.data.simulator import preset_config
    from combo_lightning.data.simulator_studies import write_studies

    out = tmp_path_factory.mktemp("studies")
    studies = write_studies(preset_config("small"), 3, out, {}, overwrite=False)
    return merge(studies, out / "merged", MergeOptions(), {})


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    output: str


def _run_child(words: list[str], log: str) -> None:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    with open(log, "w", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        from combo_lightning.cli.main import run_program

        code = run_program(words)
    os._exit(code)


@pytest.fixture(scope="session")
def run_cli(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Outcome]:
    """Run a command in a process of its own, forked from one that has imported everything.

    A command that was killed by a signal has a negative code.
    """
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["combo_lightning.cli.lightning_cli"])
    logs = tmp_path_factory.mktemp("logs")

    def run(*words: object) -> Outcome:
        log = logs / f"{len(list(logs.iterdir()))}.txt"
        child = context.Process(target=_run_child, args=([str(w) for w in words], str(log)))
        child.start()
        child.join()
        return Outcome(child.exitcode, log.read_text())

    return run


@pytest.fixture
def run_here() -> Callable[..., Outcome]:
    """Run one of our own light commands in this process."""
    from combo_lightning.cli.main import run_program

    def run(*words: object) -> Outcome:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                code = run_program([str(word) for word in words])
            except SystemExit as stop:  # argparse's own way out
                code = int(stop.code or 0)
        return Outcome(code, out.getvalue())

    return run
