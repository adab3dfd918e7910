"""The product as users run it, one process a command: time and peak memory."""

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Ran:
    """What a command took: seconds, and the most memory it held, with and without mapped files."""

    seconds: float
    peak_mb: float
    peak_anonymous_mb: float
    output: str


def run(*words: str) -> Ran:
    """Run ``combo-lightning WORDS`` in a process of its own.

    Raises:
        SystemExit: If the command fails, with what it said.
    """
    command = [sys.executable, "-m", "combo_lightning", *words]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        watch = _MemoryWatch(process.pid)
        process.wait()
        seconds = time.perf_counter() - start
        watch.stop()
        log.seek(0)
        output = log.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output}")
    return Ran(seconds, watch.peak_mb, watch.peak_anonymous_mb, output)


class _MemoryWatch(threading.Thread):
    """Looks at a process's memory ten times a second: oftener would take its cores from it.

    Args:
        pid: The process. Its own high-water mark is read, as getrusage would count this process
            too, which forked it.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_mb = self.peak_anonymous_mb = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        """Look until the process has ended."""
        while not self._ended.wait(0.1):
            try:
                text = self._status.read_text(encoding="utf-8")
            except OSError:
                return  # it has just ended
            for name, value in re.findall(r"(VmHWM|RssAnon):\s*(\d+)", text):
                mb = float(value) / 1024
                if name == "VmHWM":
                    self.peak_mb = mb
                else:
                    self.peak_anonymous_mb = max(self.peak_anonymous_mb, mb)

    def stop(self) -> None:
        """End."""
        self._ended.set()
        self.join()


def fit(data: Path, folder: Path, *options: str) -> dict[str, Any]:
    """Fit one epoch with everything on; see `Clock` for the times.

    Returns:
        ``clock.json``, ``peak_mb`` and ``peak_anonymous_mb``.
    """
    ran = run(
        *("fit", "--config", "configs/combo.yaml", "--data.path", str(data)),
        *("--run_dir", str(folder), "--trainer.max_epochs", "1"),
        *("--trainer.callbacks+", "scripts.bench.clock.Clock", *options),
    )
    clock: dict[str, Any] = json.loads((folder / "clock.json").read_text(encoding="utf-8"))
    return clock | {"peak_mb": ran.peak_mb, "peak_anonymous_mb": ran.peak_anonymous_mb}


def fit_line(
    name: str, clock: dict[str, Any], rows: int, twin_seconds_per_row: float
) -> dict[str, Any]:
    """Lay a fit's figures out as a line of the table.

    Args:
        name: What ran.
        clock: What `fit` gave.
        rows: Rows of its training steps.
        twin_seconds_per_row: Of the dense fp32 twin's training step, in the same run.
    """
    steps = clock["steps_end"] - clock["train_start"]
    whole = clock["train_end"] - clock["train_start"]
    return {
        "line": name,
        "seconds_of_steps": steps,
        "seconds_with_validation_and_checkpoints": whole,
        "ms_per_step": 1e3 * steps / clock["steps"],
        "rows_per_second": rows / steps,
        "times_twin": twin_seconds_per_row * rows / steps,
        "times_twin_with_validation_and_checkpoints": twin_seconds_per_row * rows / whole,
        "peak_mb": clock["peak_mb"],
    }


def start_lines(folder: Path) -> list[dict[str, Any]]:
    """Time ``--help``, the imports of ``fit``, and the way to the first step on the demo."""
    demo = folder / "demo"
    run("simulate", "--preset", "demo", "--out", str(demo))
    helps = min(run("--help").seconds for _ in range(3))
    own = min(run("predict", "--help").seconds for _ in range(3))
    code = "import combo_lightning.cli.lightning_cli"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    imports = time.perf_counter() - start
    ran = folder / "demo_run"
    run(
        *("fit", "--config", "configs/demo.yaml", "--data.path", str(demo)),
        *("--run_dir", str(ran), "--trainer.max_epochs", "1"),
        *("--trainer.callbacks+", "scripts.bench.clock.Clock"),
    )
    clock = json.loads((ran / "clock.json").read_text(encoding="utf-8"))
    return [
        {"line": "--help", "seconds": helps},
        {"line": "predict --help", "seconds": own},
        {"line": "imports of fit", "seconds": imports},
        {"line": "fit demo.yaml: start to first step", "seconds": clock["first_step"]},
    ]


def predict_line(data: Path, run_folder: Path, folder: Path, rows: int) -> dict[str, Any]:
    """Time ``predict`` on measured combinations, with its start."""
    pairs = folder / "pairs.parquet"
    table = pq.read_table(data / "responses.parquet", columns=["cell_id", "drug_1", "drug_2"])
    pq.write_table(table.slice(0, rows), pairs)
    checkpoint = run_folder / "checkpoints" / "best.ckpt"
    out = folder / "predictions.parquet"
    ran = run("predict", "--ckpt_path", str(checkpoint), "--pairs", str(pairs), "--out", str(out))
    found = re.search(r"in ([\d.]+) s", ran.output)
    seconds = float(found.group(1)) if found else ran.seconds
    return {
        "line": f"predict, {rows:,} rows",
        "seconds": seconds,
        "seconds_with_start": ran.seconds,
        "rows_per_second": rows / seconds,
        "peak_mb": ran.peak_mb,
    }


def screen_line(run_folder: Path, folder: Path, bf16_rate: float, *, few: bool) -> dict[str, Any]:
    """Time ``screen`` of all pairs, in all lines or in `few` of them.

    Args:
        run_folder: A fitted run of the published network, 4 MFLOP a score.
        folder: Where to write.
        bf16_rate: GEMM rate of this machine in FLOP/s.
        few: Whether to screen ten lines only.

    Raises:
        SystemExit: If the command does not tell its rate.
    """
    out = folder / "top.parquet"
    lines = ",".join(f"SIM-{i}" for i in range(1, 11))
    ran = run(
        *("screen", "--ckpt_path", str(run_folder / "checkpoints" / "best.ckpt")),
        *("--top", "1000", "--out", str(out), *(("--cells", lines) if few else ())),
    )
    found = re.search(r"best of ([\d,]+) scores \(([\d,]+) a second", ran.output)
    if found is None:
        raise SystemExit(f"screen did not tell its rate:\n{ran.output}")
    scores, rate = found.groups()
    per_second = float(rate.replace(",", ""))
    return {
        "line": f"screen, {scores} scores",
        "scores_per_second": per_second,
        "share_of_gemm_rate": per_second * 4e6 / bf16_rate,
        "seconds_with_start": ran.seconds,
        "peak_mb": ran.peak_mb,
    }


def import_line(folder: Path) -> dict[str, Any]:
    """Time ``prepare`` on a raw growth screen of 290,448 wells in the NCI layout."""
    raw = folder / "raw"
    run("simulate", "--preset", "demo", "--response", "growth", "--raw", "true", "--out", str(raw))
    ran = run(
        *("prepare", "almanac-growth", "--growth", str(raw / "ComboDrugGrowth.csv")),
        *("--drugs", str(raw / "drugs.csv"), "--cells", str(raw / "cells.csv")),
        *("--expression", str(raw / "expression.parquet"), "--out", str(folder / "growth")),
    )
    with (raw / "ComboDrugGrowth.csv").open("rb") as file:
        wells = sum(1 for _ in file) - 1
    return {
        "line": f"prepare almanac-growth, {wells:,} wells",
        "seconds": ran.seconds,
        "rows_per_second": wells / ran.seconds,
        "peak_mb": ran.peak_mb,
    }
