"""``python -m scripts.bench.ltfb_help``: do tournaments help? ComboScores, at equal compute.

One trainer takes the recipe's 16 epochs. Each of four trainer groups takes a quarter of its steps:
4 epochs of all training rows, or 16 epochs of a quarter of the rows. All have the recipe's
schedule over their own steps. The learning rates of the four are drawn; the one trainer has the
recipe's, and trains on the tournament rows too, which it does not need. It goes on where it was
stopped: a run that has its result is not done again.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

ROOT = Path(__file__).resolve().parents[2]
GROUPS, EPOCHS = 4, 16
SEEDS = (1, 2, 3)
LTFB = "combo_lightning.ltfb"
# Never: the groups meet at the end alone.
NEVER = 1_000_000
METHODS: dict[str, tuple[str, int]] = {
    "independent": ("RandomPairwise", NEVER),
    "LTFB": ("RandomPairwise", 20),
    "truncation": ("TruncationSelection", 20),
    "tree averaging": ("TreeAveraging", 20),
}
ROWS = {"all": "full", "a quarter each": "partition"}


def command(*words: str) -> None:
    """Run ``combo-lightning WORDS``.

    Raises:
        SystemExit: If it fails, with what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "combo_lightning", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def test_r2(config: Path, checkpoint: Path) -> float:
    """Test a checkpoint, and give R2 of the model as it is used."""
    command("test", "--config", str(config), "--ckpt_path", str(checkpoint))
    inside = checkpoint.parent.name == "checkpoints"
    folder = checkpoint.parent.parent if inside else checkpoint.parent
    scores = json.loads((folder / "test" / "scores.json").read_text("utf-8"))
    r2: float = next(iter(scores["models"].values()))["r2"]
    return r2


def one(data: Path, folder: Path, seed: int) -> dict[str, float]:
    """Train one model with all of the compute."""
    command(
        *("fit", "--config", "configs/almanac.yaml", "--data.path", str(data)),
        *("--run_dir", str(folder), "--seed_everything", str(seed), "--precision", "auto"),
        *("--trainer.max_epochs", str(EPOCHS)),
    )
    return {"model": test_r2(folder / "config.yaml", folder / "checkpoints" / "best.ckpt")}


def population(
    data: Path, folder: Path, seed: int, method: str, rows: str, spread: str
) -> dict[str, float]:
    """Train four groups, and test their champion, the best by validation, and their mean."""
    strategy, interval = METHODS[method]
    epochs = EPOCHS if ROWS[rows] == "partition" else EPOCHS // GROUPS
    ltfb = "--trainer.callbacks."
    low, high = spread.split(" to ")
    tuning = {
        "space": {"learning_rate": {"low": float(low), "high": float(high)}},
        "mutation": {"class_path": f"{LTFB}.Mutation"} if interval != NEVER else None,
    }
    words = [f"{ltfb}tuning", json.dumps({"class_path": f"{LTFB}.Tuning", "init_args": tuning})]
    if low == high:
        words = []
    command(
        *("fit", "--config", "configs/almanac.yaml", "--config", "configs/ltfb.yaml"),
        *(f"{ltfb}every_n_train_steps", str(interval), f"{ltfb}save_every_n_rounds", "0"),
        *(f"{ltfb}strategy", f"{LTFB}.{strategy}", *words),
        *("--num_groups", str(GROUPS), "--data.path", str(data), "--run_dir", str(folder)),
        *("--seed_everything", str(seed), "--precision", "auto"),
        *("--data.split.tournament_fraction", "0.02", "--data.group_rows", ROWS[rows]),
        *("--trainer.max_epochs", str(epochs)),
    )
    groups = [folder / f"group_{group}" for group in range(GROUPS)]
    config = groups[0] / "config.yaml"
    records = [json.loads((g / "run.json").read_text("utf-8")) for g in groups]
    best = min(range(GROUPS), key=lambda g: records[g]["best_score"] or float("inf"))
    return {
        "champion": test_r2(config, folder / "champion.ckpt"),
        "best by validation": test_r2(config, groups[best] / "checkpoints" / "best.ckpt"),
        "ensemble": test_r2(config, folder / "ensemble.ckpt"),
    }


def main() -> int:
    """Do what is not done, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("runs/bench/almanac"))
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/ltfb_help"))
    parser.add_argument("--spread", default="0.0005 to 0.008", help="learning rates, or X to X")
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    for seed in SEEDS:
        plans: dict[str, tuple[str, str] | None] = {"one trainer": None}
        plans |= {f"{m}, {r}": (m, r) for r in ROWS for m in METHODS}
        for name, plan in plans.items():
            spread = arguments.spread.replace(" ", "")
            stem = f"{name} {spread} {seed}".replace(", ", "-").replace(" ", "_")
            result = arguments.folder / f"{stem}.json"
            if not result.is_file():
                run = arguments.folder / stem
                shutil.rmtree(run, ignore_errors=True)
                if plan is None:
                    scores = one(arguments.data, run, seed)
                else:
                    method, rows = plan
                    scores = population(arguments.data, run, seed, method, rows, arguments.spread)
                result.write_text(json.dumps(scores), encoding="utf-8")
                shutil.rmtree(run, ignore_errors=True)
            scores = json.loads(result.read_text(encoding="utf-8"))
            found.setdefault(name, []).append(scores)
            sys.stdout.write(f"seed {seed}, {name}: {scores}\n")
            sys.stdout.flush()
    sys.stdout.write(table(found))
    return 0


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Lay test R2 out in Markdown: mean and standard deviation over seeds."""
    lines = ["| method, training rows of a group | model | test R2 | seeds |", "|---|---|---|---|"]
    for name, of_seeds in found.items():
        for model in of_seeds[0]:
            values = [scores[model] for scores in of_seeds]
            spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
            each = ", ".join(f"{v:.3f}" for v in values)
            lines.append(f"| {name} | {model} | {mean(values):.3f}{spread} | {each} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
