"""A screen that was interrupted, killed or met a full disk goes on and ends alike."""

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest

from combo_lightning.errors import InputError
from combo_lightning.inference import pair_space, screening
from combo_lightning.inference.predictor import Predictor
from combo_lightning.inference.screen_sinks import TableSink
from combo_lightning.inference.screening import Screen
from tests.conftest import Outcome
from tests.inference.brute_force import (
    run,
    with_pairs,
)

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.mark.parametrize("options", [{"top": 7}, {}])
def test_a_stopped_screen_goes_on_and_ends_alike(
    checkpoint: Path, tmp_path: Path, options: dict[str, int]
) -> None:
    name = "top.parquet" if options else "all"
    line = Predictor.load(checkpoint).cells.ids[0]
    run(checkpoint, tmp_path / f"whole-{name}", **options)
    real, answered = Screen._answer, list[int]()

    def stops(self: Screen, block: Any, sink: Any) -> None:
        if len(answered) == 4:
            answered.append(0)
            raise KeyboardInterrupt
        answered.append(len(block.i_N))
        real(self, block, sink)

    out = tmp_path / name
    with (
        patch.object(screening, "SECONDS_BETWEEN_SAVES", 0),
        patch.object(Screen, "_answer", stops),
    ):
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint, out, **options)
        with pytest.raises(InputError, match="holds a stopped screen with other options"):
            run(checkpoint, out, cells=line, **options)
        assert not out.exists()
        report = run(checkpoint, out, **options)
    assert sum(answered) == 91  # no block twice
    assert report.scores == 91 * 12
    columns = ["cell_id", "drug_1", "drug_2"]
    whole, again = (
        pd.read_parquet(p).astype({"cell_id": str}).sort_values(columns).reset_index(drop=True)
        for p in (tmp_path / f"whole-{name}", out)
    )
    pd.testing.assert_frame_equal(whole, again)


def _screen_slowly(ckpt_path: Path, out: Path) -> None:
    real = TableSink.end_block

    def slow(self: TableSink, *arguments: Any) -> None:
        real(self, *arguments)
        time.sleep(0.05)

    screening.SECONDS_BETWEEN_SAVES = 0.0
    with (
        patch.object(pair_space, "FIRST_AT_ONCE", 2),
        patch.object(pair_space, "SECOND_AT_ONCE", 3),
        patch.object(TableSink, "end_block", slow),
    ):
        run(ckpt_path, out)


def test_a_killed_screen_goes_on(checkpoint: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=_screen_slowly, args=(checkpoint, tmp_path / "all"))
    child.start()
    saved = tmp_path / "all.partial" / "state.npz"
    end = time.monotonic() + 60
    while not saved.exists() and child.is_alive() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert saved.exists()
    assert not (tmp_path / "all").exists()
    with (
        patch.object(pair_space, "FIRST_AT_ONCE", 2),
        patch.object(pair_space, "SECOND_AT_ONCE", 3),
    ):
        report = run(checkpoint, tmp_path / "all")
    assert report.rows == 91 * 12
    found = with_pairs(pd.read_parquet(tmp_path / "all"))
    assert not found.duplicated(["cell_id", "pair"]).any()


def _screen_with_little_room(ckpt_path: Path, out: Path, log: Path) -> None:
    from combo_lightning.cli.main import run_program

    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)
        code = run_program(["screen", f"--ckpt_path={ckpt_path}", "--top=5", f"--out={out}"])
    os._exit(code)


def test_a_full_disk_is_said_and_nothing_is_half_written(
    checkpoint: Path,
    tmp_path: Path,
    run_here: Callable[..., Outcome],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    out, log = tmp_path / "top.parquet", tmp_path / "log.txt"
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=_screen_with_little_room, args=(checkpoint, out, log))
    child.start()
    child.join()
    assert child.exitcode == 2
    assert "File too large" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert not out.exists()
    # With room it goes on.
    outcome = run_here("screen", f"--ckpt_path={checkpoint}", "--top=5", f"--out={out}")
    assert outcome.code == 0
    assert "going on in" in caplog.text
    assert len(pd.read_parquet(out)) == 60
