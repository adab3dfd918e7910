"""Every configuration is read by the real parser and trains."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.model import NetworkConfig
from tests.conftest import ROOT, Outcome

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
BASES = [path for path in CONFIGS if "model" in yaml.safe_load(path.read_text())]
# An overlay goes on top of a base; tournaments need several groups, and have tests of their own.
OVERLAYS = [path for path in CONFIGS if path not in BASES and path.stem != "ltfb"]
# The published widths take a minute on a small screen; the shape of the network stays.
SMALL = {
    "combo": [f"--model.network.{part}.widths=[16,16,16]" for part in
              ("cell_encoder", "drug_encoder", "head")],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("config", BASES, ids=lambda path: path.stem)
def test_every_base_trains(
    config: Path, run_cli: Callable[..., Outcome], small_screen: Path, tmp_path: Path
) -> None:
    outcome = run_cli(
        "fit",
        f"--config={config}",
        f"--data.path={small_screen}",
        f"--run_dir={tmp_path / 'run'}",
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=2",
        *SMALL.get(config.stem, []),
    )
    assert outcome.code == 0, outcome.output
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_every_overlay_trains_on_top_of_the_published_base_and_keeps_its_callbacks(
    overlay: Path, small_screen: Path, tmp_path: Path
) -> None:
    # A process of its own: Lightning starts the others with the same command line.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "combo_lightning", "fit"),
            *(f"--config={ROOT / 'configs' / 'combo.yaml'}", f"--config={overlay}"),
            *(f"--data.path={small_screen}", *SMALL["combo"]),
            *("--trainer.max_epochs=1", "--trainer.limit_train_batches=2"),
        ],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    # One folder, though each process would have named its own.
    (run,) = (tmp_path / "runs").iterdir()
    for name in ("best.ckpt", "last.ckpt"):
        assert load_checkpoint(run / "checkpoints" / name)["global_step"] == 2
    config = yaml.safe_load((run / "config.yaml").read_text())
    (callback,) = config["trainer"]["callbacks"]
    assert callback["class_path"].endswith("EarlyStopping")
    assert len((run / "metrics.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_says_in_its_header_how_it_is_used(config: Path) -> None:
    lines = config.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert f"--config configs/{config.name}" in lines[1]


def test_combo_is_the_published_network() -> None:
    config = yaml.safe_load((ROOT / "configs" / "combo.yaml").read_text())
    network = config["model"]["network"]
    assert NetworkConfig.from_plain(network) == NetworkConfig()
    assert network["join"] == "concatenate"
    assert config["model"]["optimizer"] == {"name": "adam", "learning_rate": 1e-3}
    assert config["data"]["batch_size"] == 256
    for product in ("drug_drug_rank", "cell_drug_rank", "table_rank", "id_embedding"):
        assert product not in str(network)
