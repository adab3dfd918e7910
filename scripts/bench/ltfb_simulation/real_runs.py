"""``python -m scripts.bench.ltfb_simulation.real_runs``: real tournaments beside the band.

Groups of 2, 4 and 8 train on the demo screen, five seeds each, with a round each few steps. What
is compared is the number of first models that live on after each round, mean over seeds.
"""

import json
import shutil
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from combo_lightning.ltfb.lineage import distinct_ancestors
from combo_lightning.ltfb.record import read_rounds
from scripts.bench.ltfb_simulation.bands import envelope
from scripts.bench.product import run

SIZES, SEEDS, ROUNDS, INTERVAL = (2, 4, 8), (1, 2, 3, 4, 5), 12, 5
OUT = Path("runs/bench/ltfb_real_runs.json")


def ancestors(data: Path, groups: int, seed: int) -> list[int]:
    """Train, and count the first models that live on after each round."""
    folder = OUT.with_name("ltfb_real_run")
    shutil.rmtree(folder, ignore_errors=True)
    ltfb = "--trainer.callbacks."
    run(
        *("fit", "--config", "configs/demo.yaml", "--config", "configs/ltfb.yaml"),
        *(f"{ltfb}every_n_train_steps", str(INTERVAL), f"{ltfb}save_every_n_rounds", "0"),
        *("--num_groups", str(groups), "--data.path", str(data), "--run_dir", str(folder)),
        *("--seed_everything", str(seed), "--trainer.max_steps", str(ROUNDS * INTERVAL)),
        *("--trainer.limit_val_batches", "0"),
    )
    counts = distinct_ancestors(read_rounds(folder), groups)
    return [counts[number] for number in range(1, ROUNDS + 1)]


def main() -> int:
    """Run all, print a table and write JSON; what an earlier call did is not done again."""
    data = OUT.with_name("ltfb_demo")
    if not data.exists():
        run("simulate", "--preset", "demo", "--out", str(data))
    done: dict[str, Any] = json.loads(OUT.read_text("utf-8")) if OUT.is_file() else {}
    sys.stdout.write(
        "| groups | rounds | mean of 5 runs | band | rounds outside |\n|---|---|---|---|---|\n"
    )
    for groups in SIZES:
        of_seeds = []
        for seed in SEEDS:
            key = f"{groups} groups, seed {seed}"
            if key not in done:
                done[key] = ancestors(data, groups, seed)
                OUT.write_text(json.dumps(done, indent=1), encoding="utf-8")
            of_seeds.append(done[key])
        means = [mean(each) for each in zip(*of_seeds, strict=True)]
        band = envelope(groups, ROUNDS, runs=len(SEEDS))
        shown = ", ".join(f"{x:g}" for x in means)
        limits = ", ".join(f"{low:g} to {high:g}" for low, high in band.ancestors)
        outside = band.outside(means) or "none"
        sys.stdout.write(f"| {groups} | 1 to {ROUNDS} | {shown} | {limits} | {outside} |\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
