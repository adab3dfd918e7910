"""``python -m scripts.bench.large_tables``: train on 100,000 drugs x 4,000 features, 2,000 lines.

It writes the data set (1.6 GB) and times, with its memory, a fit of some steps and
a prediction, both through the program.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.entities import Entities, EntityKind, build_entities
from combo_lightning.data.schema import RESPONSE_KINDS
from scripts.bench import product

DRUGS, LINES, FEATURES, LINE_FEATURES = 100_000, 2_000, 4_000, 1_000


@dataclass(frozen=True)
class Tables:
    """How large the tables of entities are."""

    drugs: int = DRUGS
    lines: int = LINES
    features: int = FEATURES
    line_features: int = LINE_FEATURES


def main() -> int:
    """Make the data set if it is not there, run, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/large"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    data, run = arguments.folder / "data", arguments.folder / "run"
    if not data.exists():
        write(data, arguments.rows)
    clock = product.fit(
        data,
        run,
        *("--model.network.dropout_mode", "per_entity", "--precision", "auto"),
        *("--trainer.limit_train_batches", str(arguments.steps)),
        *("--trainer.limit_val_batches", "5"),
    )
    checkpoints = sorted((run / "checkpoints").iterdir())
    pairs = arguments.folder / "pairs.csv"
    draw = np.random.default_rng(2)
    rows = {"cell_id": [f"L{i}" for i in draw.integers(LINES, size=2000)]}
    for k in (1, 2):
        rows[f"drug_{k}"] = [f"D{i}" for i in draw.integers(DRUGS, size=2000)]
    pd.DataFrame(rows).to_csv(pairs, index=False)
    out = arguments.folder / "predictions.parquet"
    best = run / "checkpoints" / "best.ckpt"
    predicted = product.run(
        "predict", "--ckpt_path", str(best), "--pairs", str(pairs), "--out", str(out)
    )
    figures = {
        "seconds_to_first_step": clock["first_step"],
        "ms_per_step": 1e3 * (clock["steps_end"] - clock["first_step"]) / (clock["steps"] - 1),
        "fit_peak_mb": clock["peak_mb"],
        "fit_peak_anonymous_mb": clock["peak_anonymous_mb"],
        "files_mb": {f.name: f.stat().st_size / 1e6 for f in checkpoints},
        "predict_2000_rows_seconds": predicted.seconds,
        "predict_peak_mb": predicted.peak_mb,
        "predict_peak_anonymous_mb": predicted.peak_anonymous_mb,
    }
    (arguments.folder / "large_tables.json").write_text(json.dumps(figures, indent=2) + "\n")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


def write(out: Path, rows: int, tables: Tables = Tables()) -> None:
    """Write a data set of random entities and responses."""
    draw = np.random.default_rng(1)
    cells = _entities("cell", "L", tables.lines, tables.line_features, draw)
    drugs = _entities("drug", "D", tables.drugs, tables.features, draw)
    out.parent.mkdir(parents=True, exist_ok=True)
    with DatasetWriter(out, RESPONSE_KINDS["combo_score"], num_slots=2) as writer:
        for start in range(0, rows, 100_000):
            count = min(rows - start, 100_000)
            names = [
                pa.array(ids).take(pa.array(draw.integers(len(ids), size=count)))
                for ids in (cells.ids, drugs.ids, drugs.ids)
            ]
            response = pa.array(draw.normal(size=count).astype(np.float32))
            columns = dict(zip(("cell_id", "drug_1", "drug_2"), names, strict=True))
            writer.append(pa.table({**columns, "response": response}))
        writer.finish(cells, drugs, [], {})


def _entities(
    kind: EntityKind, letter: str, count: int, features: int, draw: np.random.Generator
) -> Entities:
    values = draw.standard_normal((count, features), dtype=np.float32)
    names = tuple(f"f{i}" for i in range(features))
    ids = [f"{letter}{i}" for i in range(count)]
    return build_entities(kind, ids, {}, [FeatureBlock("features", names, "none", values)])


if __name__ == "__main__":
    sys.exit(main())
