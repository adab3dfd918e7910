"""``combo-lightning demo``: simulate, prepare, fit, test and predict in one go."""

import json
import shutil
import sys
import time
from pathlib import Path

from combo_lightning.errors import InputError

# The demo succeeds only if the model gets this share of what the noise leaves to be had.
SHARE_OF_CEILING = 0.8


def run(*, out: Path = Path("demo"), config: Path = Path("configs/demo.yaml")) -> int:
    """Show every step on a small simulated screen, in about a minute.

    Args:
        out: Folder for what it makes; replaced if it is there.
        config: Configuration of the fit.

    Returns:
        0, or 1 if the model does not beat every baseline or stays below 80 % of the ceiling.

    Raises:
        InputError: If `out` is something else, or a step fails.
    """
    from combo_lightning.data.dataset import read_manifest

    start = time.monotonic()
    screen, run_dir = out / "screen", out / "run"
    if out.exists():
        if not (screen / "dataset.json").is_file() and any(out.iterdir()):
            raise InputError(f"{out} is not an earlier demo; choose another --out")
        shutil.rmtree(out)
    ckpt = run_dir / "checkpoints" / "best.ckpt"
    pairs, drugs, predictions = out / "pairs.csv", out / "new_drugs.csv", out / "predictions.csv"
    _step("simulate", "--preset", "demo", "--out", screen)
    _step("info", screen)
    _step("fit", "--config", config, "--data.path", screen, "--run_dir", run_dir)
    _step("test", "--config", run_dir / "config.yaml", "--ckpt_path", ckpt)
    drugs.write_text(
        "name,smiles\nimatinib,Cc1ccc(cc1Nc1nccc(n1)-c1cccnc1)NC(=O)c1ccc(cc1)CN1CCN(C)CC1\n"
    )
    pairs.write_text(
        "cell_id,drug_1,drug_2\nSIM-1,simulib-1,simulib-2\nSIM-1,simulib-2,simulib-1\n"
        "SIM-7,simulib-3,imatinib\n"
    )
    _step("predict", "--ckpt_path", ckpt, "--pairs", pairs, "--drugs", drugs, "--out", predictions)
    sys.stdout.write(predictions.read_text())
    scores = json.loads((run_dir / "test" / "scores.json").read_text())
    model = scores["models"]["model"]["r2"]
    best = max(row["r2"] for row in scores["baselines"].values())
    ceiling = read_manifest(screen)["made_by"]["noise_ceiling_r2"]
    sys.stdout.write(
        f"\nmodel R2 {model:.3f}, best baseline {best:.3f}, noise ceiling {ceiling:.3f}\n"
        f"picture:     {run_dir / 'test' / 'predicted_vs_measured.png'}\n"
        f"predictions: {predictions}\n"
        f"{time.monotonic() - start:.0f} s\n\n"
        "next, on your own files:\n"
        "  combo-lightning prepare table --responses my_screen.csv --drugs my_drugs.csv "
        "--cells my_cells.csv --out data/mine\n"
    )
    if model <= best or model < SHARE_OF_CEILING * ceiling:
        sys.stderr.write("the demo failed: the model is not good enough\n")
        return 1
    return 0


def _step(*words: str | Path) -> None:
    """Run one command as a user would, showing it first.

    Raises:
        InputError: If it does not succeed.
    """
    from combo_lightning.cli.main import run_program

    command = [str(word) for word in words]
    sys.stdout.write(f"\n$ combo-lightning {' '.join(command)}\n")
    sys.stdout.flush()
    if run_program(command) != 0:
        raise InputError(f"the demo stopped at '{command[0]}'")
