"""Every configuration is read by the real parser and trains."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from combo_lightning.model import NetworkConfig
from tests.conftest import ROOT, Outcome

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
# The published widths take a minute on a small screen; the shape of the network stays.
SMALL = {
    "combo": [f"--model.network.{part}.widths=[16,16,16]" for part in
              ("cell_encoder", "drug_encoder", "head")],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_trains(
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
