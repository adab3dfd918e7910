"""Every pair through `Predictor.predict`, to compare a screen with."""

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from combo_lightning.inference.predictor import Predictor
from combo_lightning.inference.screen_request import ScreenRequest
from combo_lightning.inference.screening import Screen, ScreenReport

PRODUCTS: dict[str, Any] = {"drug_drug_rank": 3, "cell_drug_rank": 2, "table_rank": 4}


def run(ckpt_path: Path, out: Path, **options: Any) -> ScreenReport:
    return Screen(ScreenRequest(ckpt_path, out, **options)).run()


def brute_force(
    ckpt_path: Path,
    *,
    ordered: bool = False,
    log10_molar: float | None = None,
    study: str = "",
) -> pd.DataFrame:
    """Predict every pair in every line with `Predictor.predict`."""
    predictor = Predictor.load(ckpt_path)
    cells, drugs = predictor.cells.ids, predictor.drugs.ids
    pairs = [p for p in permutations(range(len(drugs)), 2) if ordered or p[0] < p[1]]
    rows = [(c, a, b) for c in range(len(cells)) for a, b in pairs]
    index = np.array(rows)
    dose = None if log10_molar is None else np.full((len(rows), 2), log10_molar)
    study_B = np.full(len(rows), predictor.study(study, "study"))
    answer = predictor.predict(index[:, 0], index[:, 1:], dose, study_B)
    frame = pd.DataFrame({"cell_id": [cells[c] for c, _, _ in rows], "prediction": answer})
    frame["pair"] = [pair_of(drugs[a], drugs[b], ordered=ordered) for _, a, b in rows]
    return frame


def pair_of(a: str, b: str, *, ordered: bool = False) -> str:
    return f"{a}+{b}" if ordered else "+".join(sorted([a, b]))


def with_pairs(frame: pd.DataFrame, *, ordered: bool = False) -> pd.DataFrame:
    pairs = zip(frame["drug_1"], frame["drug_2"], strict=True)
    return frame.assign(pair=[pair_of(a, b, ordered=ordered) for a, b in pairs])


def assert_close(found: Any, wanted: Any) -> None:
    """Equal but for fp32 sums over batches of another size."""
    atol = 3e-6 * float(np.abs(np.asarray(wanted)).max())
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=atol)


def assert_best(
    found: pd.DataFrame, wanted: pd.DataFrame, top: int, *, lowest: bool = False
) -> None:
    """Check ranks, pairs and values of a top list."""
    for cell, part in wanted.groupby("cell_id"):
        best = part.sort_values("prediction", ascending=lowest, kind="stable").head(top)
        mine = found[found["cell_id"] == cell]
        assert_close(mine["prediction"], best["prediction"])
        assert list(mine["pair"]) == list(best["pair"])
        assert list(mine["rank"]) == list(range(1, len(best) + 1))
    overall = found.dropna(subset="rank_overall").sort_values("rank_overall")
    best = wanted.sort_values("prediction", ascending=lowest, kind="stable").head(top)
    assert list(overall["pair"]) == list(best["pair"])
    assert list(overall["cell_id"]) == list(best["cell_id"])
