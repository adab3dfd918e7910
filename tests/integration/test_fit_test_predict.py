"""From a simulated screen to predictions, for every shape of a screen."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import ROOT, Outcome

RunCli = Callable[..., Outcome]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("screen", "network"),
    [
        (["--slots=1", "--response=growth"], ["--model.network.drug_drug_rank=0"]),
        (["--slots=2", "--response=growth"], ["--model.network.join=slots"]),
        (["--slots=3", "--response=growth", "--combinations=300"], []),
        (["--slots=3", "--response=min_growth", "--combinations=900"],
         ["--model.network.join=slots", "--model.network.table_rank=4"]),
        (["--response=min_growth"],
         ["--model.network.join=concatenate", "--model.network.drug_drug_rank=0"]),
    ],
)  # fmt: skip
def test_one_two_and_three_drugs_with_and_without_doses(
    run_cli: RunCli, tmp_path: Path, screen: list[str], network: list[str]
) -> None:
    single = "--single_share=0.2" if "--slots=1" not in screen else "--single_share=0"
    data, run_dir = tmp_path / "data", tmp_path / "run"
    made = run_cli("simulate", "--preset=small", f"--out={data}", single, *screen)
    assert made.code == 0, made.output
    fitted = run_cli(
        "fit", f"--config={ROOT / 'configs' / 'demo.yaml'}", f"--data.path={data}",
        f"--run_dir={run_dir}", "--trainer.max_epochs=4", "--data.batch_size=64", *network,
    )  # fmt: skip
    assert fitted.code == 0, fitted.output
    ckpt = run_dir / "checkpoints" / "best.ckpt"
    tested = run_cli("test", f"--config={run_dir / 'config.yaml'}", f"--ckpt_path={ckpt}")
    assert tested.code == 0, tested.output
    rows = pd.read_parquet(run_dir / "test" / "predictions.parquet")
    assert (run_dir / "test" / "predicted_vs_measured.png").read_bytes()[:4] == b"\x89PNG"
    scores = json.loads((run_dir / "test" / "scores.json").read_text())
    assert scores["models"]["model"]["r2"] > scores["baselines"]["mean"]["r2"]
    pairs = rows.drop(columns=[c for c in map(str, rows) if c.startswith(("row", "resp", "pred"))])
    pairs.to_parquet(tmp_path / "pairs.parquet")
    done = run_cli(
        "predict", f"--ckpt_path={ckpt}", f"--pairs={tmp_path / 'pairs.parquet'}",
        f"--out={tmp_path / 'out.parquet'}",
    )  # fmt: skip
    assert done.code == 0, done.output
    mine = pd.read_parquet(tmp_path / "out.parquet")
    # In standard deviations of the response, float32: 1e-6.
    scale = rows["response"].std()
    np.testing.assert_allclose(mine["prediction"] / scale, rows["prediction"] / scale, atol=1e-6)


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "--preset", "small", "--out", "out"],
        ["simulate", "--preset", "small", "--raw", "true", "--out", "out"],
    ],
)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, words: list[str]) -> None:
    # A limit on the size of a file fails as a full disk does: in the middle of a write.
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "from combo_lightning.cli.main import run_program\n"
        f"sys.exit(run_program({words!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
