"""``combo-lightning cross-validate``: fit and test every fold; mean and spread."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from combo_lightning.errors import InputError

HELP = """usage: combo-lightning cross-validate --folds K --out DIR [options of fit]

Fit and test every fold, and give mean and spread of every score beside the baselines'.

  --folds K   number of folds, 2 or more (default 5)
  --out DIR   folder for the folds' run folders and summary.csv; a broken-off command goes on there

All other options are those of 'combo-lightning fit', such as
  --config configs/almanac.yaml --data.path data/almanac --data.split.kind leave_pair_out
"""


def main(words: Sequence[str]) -> int:
    """Run all folds.

    Args:
        words: ``--folds``, ``--out`` and options of fit.

    Returns:
        The exit code.

    Raises:
        InputError: If an option does not fit, or a fold fails.
    """
    if "-h" in words or "--help" in words:
        sys.stdout.write(HELP)
        return 0
    options, folds, out = _own_options(list(words))
    from rich.console import Console

    from combo_lightning.evaluation.comparison import summarise_folds
    from combo_lightning.report.table import folds_table

    results = [_run_fold(options, folds, fold, out / f"fold-{fold}") for fold in range(folds)]
    summary = summarise_folds(results)
    aside = out / ".summary.csv.partial"
    summary.to_csv(aside, index=False)
    aside.replace(out / "summary.csv")
    Console().print(folds_table(summary))
    sys.stdout.write(f"wrote {out / 'summary.csv'}\n")
    return 0


def _own_options(words: list[str]) -> tuple[list[str], int, Path]:
    """Take our options out of the words.

    Raises:
        InputError: If one is missing or is not what it must be.
    """
    own = {"--folds": "5", "--out": ""}
    rest: list[str] = []
    while words:
        word = words.pop(0)
        name, _, value = word.partition("=")
        if name not in own:
            rest.append(word)
        else:
            own[name] = value or (words.pop(0) if words else "")
    if not own["--folds"].isdigit() or int(own["--folds"]) < 2:
        raise InputError(f"--folds is '{own['--folds']}'; it must be a whole number, 2 or more")
    if not own["--out"]:
        raise InputError("cross-validate needs --out DIR, the folder for its folds")
    return rest, int(own["--folds"]), Path(own["--out"])


def _run_fold(options: list[str], folds: int, fold: int, run_dir: Path) -> dict[str, object]:
    """Fit and test one fold; what an earlier command finished is not done again.

    Raises:
        InputError: If it fails.
    """
    scores = run_dir / "test" / "scores.json"
    if not scores.is_file():
        sys.stdout.write(f"fold {fold + 1} of {folds}\n")
        if (run_dir / "run.json").is_file():
            code = _run("fit", "--resume", str(run_dir))
        else:
            split = [f"--data.split.num_folds={folds}", f"--data.split.fold={fold}"]
            code = _run("fit", *options, *split, f"--run_dir={run_dir}")
        if code == 0:
            best = run_dir / "checkpoints" / "best.ckpt"
            code = _run("test", f"--config={run_dir / 'config.yaml'}", f"--ckpt_path={best}")
        if code != 0:
            raise InputError(f"fold {fold} failed; its run folder is {run_dir}")
    result: dict[str, object] = json.loads(scores.read_text(encoding="utf-8"))
    return result


def _run(*words: str) -> int:
    """Run a command in a process of its own; a strategy starts others with the same words."""
    command = [sys.executable, "-m", "combo_lightning", *words]
    return subprocess.run(command, check=False).returncode
