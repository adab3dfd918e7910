"""``combo-lightning cross-validate``: fit and test every fold; mean and spread."""

import contextlib
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from combo_lightning.errors import InputError
from combo_lightning.parts import claim

HELP = """usage: combo-lightning cross-validate --folds K --out DIR [--fold F] [options of fit]

Fit and test every fold, and give mean and spread of every score beside the baselines'.

  --folds K   number of folds, 2 or more (default 5)
  --out DIR   folder for the folds' run folders and summary.csv; a broken-off command goes on there
  --fold F    fit and test fold F alone, from 0 to K - 1, beside other commands that do the other
              folds; the last of them writes summary.csv

All other options are those of 'combo-lightning fit', such as
  --config configs/almanac.yaml --data.path data/almanac --data.split.kind leave_pair_out
"""
OPTIONS, SUMMARY = "options.json", "summary.csv"
# Slurm sends them before it kills; the fit saves and ends.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


@dataclass(frozen=True)
class _Folds:
    """What to do, and where.

    Args:
        options: The words for fit.
        folds: Number of folds.
        fold: The one to do; None: all.
        out: Folder of all.
    """

    options: list[str]
    folds: int
    fold: int | None
    out: Path

    def run_dir(self, fold: int) -> Path:
        """Name the run folder of a fold."""
        return self.out / f"fold-{fold}"

    def scores(self, fold: int) -> Path:
        """Name the file that a fold ends with."""
        return self.run_dir(fold) / "test" / "scores.json"


def main(words: Sequence[str]) -> int:
    """Run all folds, or one.

    Args:
        words: ``--folds``, ``--fold``, ``--out`` and options of fit.

    Returns:
        The exit code; 128 and a signal's number: it ended a fold.

    Raises:
        InputError: If an option does not fit, or a fold fails.
    """
    if "-h" in words or "--help" in words:
        sys.stdout.write(HELP)
        return 0
    work = _read(list(words))
    _agree(work)
    for fold in range(work.folds) if work.fold is None else [work.fold]:
        code = _run_fold(work, fold)
        if code > 128:
            sys.stdout.write(f"fold {fold} was stopped; the same command goes on\n")
            return code
        if code:
            _forget(work)
            raise InputError(f"fold {fold} failed; its run folder is {work.run_dir(fold)}")
    missing = [fold for fold in range(work.folds) if not work.scores(fold).is_file()]
    if missing:
        others = ", ".join(map(str, missing))
        sys.stdout.write(
            f"fold {work.fold} is done, and these are not: {others}; the last one writes "
            f"{work.out / SUMMARY}\n"
        )
        return 0
    _summarise(work)
    return 0


def _read(words: list[str]) -> _Folds:
    """Take our options out of the words.

    Raises:
        InputError: If one is missing or is not what it must be.
    """
    own: dict[str, str | None] = {"--folds": "5", "--out": None, "--fold": None}
    rest: list[str] = []
    while words:
        word = words.pop(0)
        name, _, value = word.partition("=")
        if name not in own:
            rest.append(word)
        else:
            own[name] = value or (words.pop(0) if words else "")
    folds, fold, out = own["--folds"] or "", own["--fold"], own["--out"]
    if not folds.isdigit() or int(folds) < 2:
        raise InputError(f"--folds is '{folds}'; it must be a whole number, 2 or more")
    if fold is not None and not (fold.isdigit() and int(fold) < int(folds)):
        raise InputError(
            f"--fold is '{fold}'; with --folds {folds} it is one of 0 to {int(folds) - 1}"
        )
    if not out:
        raise InputError("cross-validate needs --out DIR, the folder for its folds")
    return _Folds(rest, int(folds), int(fold) if fold is not None else None, Path(out))


def _agree(work: _Folds) -> None:
    """Make the folder for these options, or find it made for them.

    Raises:
        InputError: If it holds folds with other options: their mean would mean nothing.
    """
    files = {
        word.removeprefix("--config="): None
        for previous, word in zip(["", *work.options], work.options, strict=False)
        if previous == "--config" or word.startswith("--config=")
    }
    wanted: dict[str, Any] = {
        "folds": work.folds,
        "options": work.options,
        "SHA-256 of files": {
            name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in files
        },
    }
    found = json.loads(claim(work.out / OPTIONS, json.dumps(wanted, indent=1)))
    for name, value in wanted.items():
        if found.get(name) != value:
            raise InputError(
                f"{work.out} holds folds whose {name} differ (see {OPTIONS} in it): "
                f"{_words(found.get(name))} there, {_words(value)} here; choose another --out, or "
                "delete it"
            )


def _forget(work: _Folds) -> None:
    """Let other options have the folder, if these have made nothing in it."""
    if not any(work.out.glob("fold-*")):
        (work.out / OPTIONS).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            work.out.rmdir()


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _summarise(work: _Folds) -> None:
    """Write and show the summary; folds that end together write the same one."""
    from rich.console import Console

    from combo_lightning.evaluation.comparison import summarise_folds
    from combo_lightning.report.table import folds_table

    results = [
        json.loads(work.scores(fold).read_text(encoding="utf-8")) for fold in range(work.folds)
    ]
    summary = summarise_folds(results)
    aside = work.out / f".{SUMMARY}.{uuid.uuid4().hex}"
    summary.to_csv(aside, index=False)
    aside.replace(work.out / SUMMARY)
    Console().print(folds_table(summary))
    sys.stdout.write(f"wrote {work.out / SUMMARY}\n")


def _run_fold(work: _Folds, fold: int) -> int:
    """Fit and test one fold; what an earlier command finished is not done again.

    Returns:
        The exit code of the command that failed, or 0.
    """
    if work.scores(fold).is_file():
        return 0
    sys.stdout.write(f"fold {fold + 1} of {work.folds}\n")
    sys.stdout.flush()
    run_dir = work.run_dir(fold)
    if (run_dir / "run.json").is_file():
        code = _run("fit", "--resume", str(run_dir))
    else:
        # Killed while it made its run folder.
        shutil.rmtree(run_dir, ignore_errors=True)
        split = [f"--data.split.num_folds={work.folds}", f"--data.split.fold={fold}"]
        code = _run("fit", *work.options, *split, f"--run_dir={run_dir}")
    if code == 0:
        best = run_dir / "checkpoints" / "best.ckpt"
        code = _run("test", f"--config={run_dir / 'config.yaml'}", f"--ckpt_path={best}")
    return code


def _run(*words: str) -> int:
    """Run a command in a process of its own; a strategy starts others with the same words.

    Returns:
        Its exit code; 128 and the number of the signal that ended it.
    """
    with subprocess.Popen([sys.executable, "-m", "combo_lightning", *words]) as child:
        before = {
            number: signal.signal(number, lambda number, _: child.send_signal(number))
            for number in SIGNALS
        }
        try:
            code = child.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return code if code >= 0 else 128 - code
