import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.data.splits import SplitConfig
from combo_lightning.errors import InputError
from combo_lightning.runs.folder import RunRecord, new_run_dir, read_record, write_aside
from tests.conftest import ROOT, Outcome

# Fits run in processes of their own.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(
    run_cli: Callable[..., Outcome], small_screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "one"
    outcome = run_cli(
        "fit", f"--config={ROOT / 'configs' / 'demo.yaml'}", f"--data.path={small_screen}",
        f"--run_dir={folder}", "--trainer.max_epochs=2", "--data.batch_size=100",
        "--data.split.validation_fraction=0", "--data.split.tournament_fraction=0.05",
    )  # fmt: skip
    assert outcome.code == 0, outcome.output
    assert "could not find the monitored key" not in outcome.output
    return folder


def test_a_fit_leaves_its_whole_folder_behind(run_dir: Path) -> None:
    names = {str(p.relative_to(run_dir)) for p in run_dir.rglob("*") if p.is_file()}
    assert names == {
        "config.yaml", "run.json", "split.parquet", "metrics.csv", "checkpoints/best.ckpt",
        "checkpoints/last.ckpt", "status.json",
    }  # fmt: skip


def test_the_record_tells_what_ran(run_dir: Path) -> None:
    record = read_record(run_dir)
    assert record["status"] == "finished"
    assert record["epochs"] == 2
    assert record["seed"] == 1
    assert record["command"][0] == "fit"
    assert record["rows"]["train"] + record["rows"]["test"] > 1000
    assert record["rows"]["tournament"] > 50
    assert "trainer_group" not in record
    assert len(record["data"]["fingerprint"]) == 64
    assert [start["step"] for start in record["starts"]] == [0]


def test_without_validation_rows_each_epoch_still_has_its_line(run_dir: Path) -> None:
    metrics = pd.read_csv(run_dir / "metrics.csv")
    assert metrics["epoch"].tolist() == [0, 1]
    assert metrics["train_loss"].iloc[1] < metrics["train_loss"].iloc[0]
    assert "val_mse" not in metrics


def test_the_split_stands_beside_the_run(run_dir: Path) -> None:
    split = pd.read_parquet(run_dir / "split.parquet")
    record = json.loads((run_dir / "run.json").read_text())
    counts = split["part"].value_counts().to_dict()
    assert counts == {**record["rows"], "unused": 0}
    assert set(split.columns) == {"row", "cell_id", "drug_1", "drug_2", "part", "unseen_drugs"}


def test_the_record_of_a_trainer_group_tells_which_and_how_many_rows_it_has(
    small_screen: Path, tmp_path: Path
) -> None:
    split = SplitConfig(tournament_fraction=0.05)
    data = ComboDataModule(
        str(small_screen), split, group_rows="partition", tournament_rows="per_group"
    )
    data.trainer_group = (1, 3)
    data.setup()
    trainer: Any = SimpleNamespace(
        is_global_zero=True, default_root_dir=str(tmp_path), datamodule=data, global_step=0
    )
    RunRecord(["fit"], "").on_fit_start(trainer, torch.nn.Linear(1, 1))  # type: ignore[arg-type]
    record = read_record(tmp_path)
    mine, whole = record["trainer_group"], record["rows"]
    assert (mine["index"], mine["count"]) == (1, 3)
    for part in ("train", "tournament"):
        assert abs(mine["rows"][part] - whole[part] / 3) < 3


def test_a_taken_run_folder_and_a_folder_of_something_else_are_refused(
    run_cli: Callable[..., Outcome], run_dir: Path, small_screen: Path, tmp_path: Path
) -> None:
    config = f"--config={ROOT / 'configs' / 'demo.yaml'}"
    taken = run_cli("fit", config, f"--data.path={small_screen}", f"--run_dir={run_dir}")
    assert taken.code == 2
    assert "holds a run already" in taken.output
    with pytest.raises(InputError, match="is no run folder"):
        read_record(tmp_path)


def test_new_run_folders_never_collide(tmp_path: Path) -> None:
    first = new_run_dir(Path("data/x"), tmp_path)
    first.mkdir(parents=True)
    second = new_run_dir(Path("data/x"), tmp_path)
    assert first.name.startswith("x-")
    assert second != first


def test_a_text_is_whole_or_not_there(tmp_path: Path) -> None:
    write_aside(tmp_path / "a" / "x.json", "{}")
    write_aside(tmp_path / "a" / "x.json", "[]")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.json"]
    assert (tmp_path / "a" / "x.json").read_text() == "[]"


def test_what_cannot_be_written_leaves_nothing_aside(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(IsADirectoryError):
        write_aside(tmp_path / "x.json", "{}")
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_record_that_cannot_be_written_does_not_hide_what_broke_the_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    record = RunRecord(["fit"], "")
    record._record = {"status": "running"}
    trainer: Any = SimpleNamespace(
        is_global_zero=True, current_epoch=0, global_step=3, default_root_dir=str(tmp_path)
    )
    task: Any = None
    record.on_exception(trainer, task, OSError(28, "No space left on device"))
    assert record._record["exception"] == "OSError: [Errno 28] No space left on device"
    assert record._record["status"] == "interrupted"
