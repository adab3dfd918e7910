"""``python -m scripts.bench.ltfb_cost``: what tournaments cost, of the time of training.

Two trainer groups of one thread each train the published network on the poster's data set, with
1,280 tournament rows. A line's share is the time in rounds, waiting for the partner included, over
all time from the first round to the last, in the records of both groups.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from typing import Any

from combo_lightning.data.dataset import read_dataset
from combo_lightning.ltfb.record import RoundRecord, read_rounds
from scripts.bench.product import run

TOURNAMENT_ROWS = 1280
KINDS = {
    "per_sample fp32": ("per_sample", "32-true"),
    "per_entity bf16": ("per_entity", "bf16-mixed"),
}


@dataclass(frozen=True)
class Line:
    """A setting to measure.

    Args:
        kind: Of `KINDS`.
        interval: Steps between two rounds.
        rounds: How many.
        channel: "memory" or "directory".
        rows: "shared" or "per_group".
    """

    kind: str
    interval: int
    rounds: int
    channel: str = "memory"
    rows: str = "shared"


LINES = (
    Line("per_sample fp32", 100, 5),
    Line("per_entity bf16", 100, 8),
    Line("per_sample fp32", 10, 12),
    Line("per_entity bf16", 10, 12),
    Line("per_sample fp32", 100, 5, "memory", "per_group"),
    Line("per_entity bf16", 100, 8, "memory", "per_group"),
    Line("per_sample fp32", 100, 5, "directory"),
    Line("per_entity bf16", 100, 8, "directory"),
)


def measure(line: Line, data: Path, folder: Path, total: int) -> dict[str, Any]:
    """Train, and give a line of the table."""
    shutil.rmtree(folder, ignore_errors=True)
    mode, precision = KINDS[line.kind]
    ltfb = "--trainer.callbacks."
    run(
        *("fit", "--config", "configs/combo.yaml", "--config", "configs/ltfb.yaml"),
        *(f"{ltfb}every_n_train_steps", str(line.interval), f"{ltfb}channel", line.channel),
        *("--num_groups", "2", "--data.path", str(data), "--run_dir", str(folder)),
        *("--model.network.dropout_mode", mode, "--precision", precision),
        *("--data.split.tournament_fraction", f"{_share(line, total):.8f}"),
        *("--data.tournament_rows", line.rows, "--trainer.limit_val_batches", "0"),
        *("--trainer.max_steps", str(line.interval * line.rounds)),
    )
    records = [of for (number, _), of in sorted(read_rounds(folder).items()) if number > 0]
    return vars(line) | summarise(records)


def _share(line: Line, total: int) -> float:
    """Give the share of all rows that is 1,280 rows for each scoring."""
    wanted = TOURNAMENT_ROWS * (2 if line.rows == "per_group" else 1)
    return wanted / total


def summarise(records: Sequence[RoundRecord]) -> dict[str, Any]:
    """Add up where the time of rounds went."""
    shares, parts = [], []
    for group in sorted({r.group for r in records}):
        mine = [r for r in records if r.group == group]
        times = [datetime.fromisoformat(r.time) for r in mine]
        elapsed = (times[-1] - times[0]).total_seconds()
        shares.append(sum(r.seconds["total"] for r in mine[1:]) / elapsed)
        parts += [r.seconds for r in mine[1:]]
    found = {f"{name}_ms": 1e3 * median(p[name] for p in parts) for name in parts[0]}
    moved = [r.bytes for r in records]
    return {"share": mean(shares), **found, "mb_a_round": mean(moved) / 1e6}


def main() -> int:
    """Measure all lines, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("runs/bench/poster"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench/ltfb_cost.json"))
    arguments = parser.parse_args()
    total = len(read_dataset(arguments.data).responses)
    found = []
    folder = arguments.out.with_name("ltfb_cost_run")
    head = ["dropout, precision", "interval", "channel", "rows", "of the time", "score ms"]
    head += ["wait ms", "move ms", "round ms", "MB"]
    sys.stdout.write(f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n")
    for line in LINES:
        x = measure(line, arguments.data, folder, total)
        found.append(x)
        sys.stdout.write(
            f"| {x['kind']} | {x['interval']} | {x['channel']} | {x['rows']} | "
            f"{x['share']:.1%} | {x['score_ms']:.0f} | {x['wait_ms']:.0f} | {x['move_ms']:.0f} | "
            f"{x['total_ms']:.0f} | {x['mb_a_round']:.0f} |\n"
        )
        sys.stdout.flush()
    arguments.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
