"""Feature tables above 64 MB: trained on, tested, resumed, and predicted from with their file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.entities import Entities, EntityKind, build_entities
from combo_lightning.data.schema import RESPONSE_KINDS
from tests.conftest import ROOT, Outcome

pytestmark = pytest.mark.slow

# More drugs than are encoded at once, so that an evaluation encodes what its rows name.
DRUGS, FEATURES, LINES, ROWS = 9_000, 2_000, 30, 600
SMALL = [
    "--model.network.cell_encoder.widths=[16]",
    "--model.network.drug_encoder.widths=[16]",
    "--model.network.head.widths=[16]",
    "--model.network.dropout_mode=per_entity",
    "--data.batch_size=64",
]


def entities(kind: EntityKind, letter: str, count: int, features: int) -> Entities:
    values = np.random.default_rng(count).standard_normal((count, features), dtype=np.float32)
    values[3] = np.nan
    names = tuple(f"f{i}" for i in range(features))
    ids = [f"{letter}{i}" for i in range(count)]
    return build_entities(kind, ids, {}, [FeatureBlock("features", names, "none", values)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("large") / "data"
    cells, drugs = entities("cell", "L", LINES, 20), entities("drug", "D", DRUGS, FEATURES)
    draw = np.random.default_rng(1)
    columns = {"cell_id": pa.array([f"L{i}" for i in draw.integers(LINES, size=ROWS)])}
    for k in (1, 2):
        columns[f"drug_{k}"] = pa.array([f"D{i}" for i in draw.integers(DRUGS, size=ROWS)])
    columns["response"] = pa.array(draw.normal(size=ROWS).astype(np.float32))
    with DatasetWriter(out, RESPONSE_KINDS["combo_score"], 2) as writer:
        writer.append(pa.table(columns))
        return writer.finish(cells, drugs, [], {})


def test_large_features_stand_once_beside_the_checkpoints(
    data: Path, tmp_path: Path, run_cli: Callable[..., Outcome]
) -> None:
    run_dir, config = tmp_path / "run", f"--config={ROOT / 'configs' / 'combo.yaml'}"
    words = ["fit", config, f"--data.path={data}", f"--run_dir={run_dir}", *SMALL]
    fitted = run_cli(*words, "--trainer.max_epochs=1")
    assert fitted.code == 0, fitted.output
    checkpoints = run_dir / "checkpoints"
    (features,) = checkpoints.glob("drug_features-*.npy")
    assert features.stat().st_size == pytest.approx(4 * DRUGS * FEATURES, abs=200)
    best = checkpoints / "best.ckpt"
    assert best.stat().st_size < 4e6
    known = load_checkpoint(best)["combo_lightning"]["catalog"]
    assert known["drugs"]["features"]["name"] == features.name
    assert known["cells"]["features"].shape == (LINES, 20)  # small ones stay inside

    resumed = run_cli("fit", "--resume", str(run_dir), "--trainer.max_epochs=2")
    assert resumed.code == 0, resumed.output
    tested = run_cli("test", f"--config={run_dir / 'config.yaml'}", f"--ckpt_path={best}")
    assert tested.code == 0, tested.output
    assert [p.name for p in checkpoints.glob("*.npy")] == [features.name]

    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(best, alone)
    rows = pd.read_parquet(run_dir / "test" / "predictions.parquet")
    rows[["cell_id", "drug_1", "drug_2"]].to_csv(tmp_path / "pairs.csv", index=False)
    predict = (
        *("predict", f"--ckpt_path={alone / 'best.ckpt'}"),
        *(f"--pairs={tmp_path / 'pairs.csv'}", f"--out={tmp_path / 'out.csv'}"),
    )
    missing = run_cli(*predict)
    assert missing.code == 2
    assert f"needs {features.name} beside it" in missing.output
    shutil.copy(features, alone)
    predicted = run_cli(*predict)
    assert predicted.code == 0, predicted.output
    found = pd.read_csv(tmp_path / "out.csv")["prediction"]
    np.testing.assert_allclose(found, rows["prediction"], rtol=1e-5, atol=1e-5)
