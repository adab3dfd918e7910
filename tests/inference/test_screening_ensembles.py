"""A screen by an ensemble ranks its members' mean, whatever the first pass."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from combo_lightning.errors import InputError
from combo_lightning.inference.predictor import Predictor
from tests.inference.brute_force import (
    PRODUCTS,
    assert_best,
    assert_close,
    brute_force,
    run,
    with_pairs,
)
from tests.inference.models import make_ensemble

pytestmark = pytest.mark.usefixtures("small_blocks")
# Two members are equal, and count each.
SEEDS = [1, 2, 1, 3]


def mean_and_spread(members: list[Path], *, ordered: bool = False) -> pd.DataFrame:
    """Answer every pair by each member's own checkpoint."""
    frames = [brute_force(path, ordered=ordered) for path in members]
    answers = [frame["prediction"] for frame in frames]
    mean, spread = np.mean(answers, axis=0), np.std(answers, axis=0)
    return frames[0].assign(prediction=mean, spread=spread)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.qint8])
@pytest.mark.parametrize(
    ("join", "options"), [("concatenate", {}), ("symmetric", PRODUCTS), ("slots", PRODUCTS)]
)
def test_the_best_are_those_of_the_members_mean(
    small_screen: Path, tmp_path: Path, join: str, options: dict[str, Any], dtype: torch.dtype
) -> None:
    ckpt, members = make_ensemble(small_screen, tmp_path, SEEDS, join=join, **options)
    ordered = join == "concatenate"
    report = run(ckpt, tmp_path / "top.parquet", top=9, lowest=True, dtype=dtype)
    wanted = mean_and_spread(members, ordered=ordered)
    found = with_pairs(pd.read_parquet(tmp_path / "top.parquet"), ordered=ordered)
    assert report.proven
    assert report.scores == len(wanted)
    assert_best(found, wanted, 9, lowest=True)
    both = found.merge(wanted, on=["cell_id", "pair"], validate="one_to_one")
    assert len(both) == len(found)
    assert_close(both["prediction_spread"], both["spread"])
    columns = list(map(str, found.columns))
    assert columns.index("prediction_spread") == columns.index("prediction") + 1
    # What the first pass got wrong is of its arithmetic, and no more than the members' own.
    relative = report.kept_error / wanted["prediction"].abs().max()
    assert (relative > 1e-5) == (dtype != torch.float32)


def test_every_score_is_written_with_its_spread(small_screen: Path, tmp_path: Path) -> None:
    ckpt, members = make_ensemble(small_screen, tmp_path, SEEDS, join="slots", **PRODUCTS)
    run(ckpt, tmp_path / "all")
    wanted = mean_and_spread(members)
    found = with_pairs(pd.read_parquet(tmp_path / "all"))
    both = wanted.merge(found, on=["cell_id", "pair"], validate="one_to_one")
    assert len(both) == len(wanted) == len(found)
    assert_close(both["prediction_y"], both["prediction_x"])
    assert_close(both["prediction_spread"], both["spread"])


def test_a_contrast_is_the_members_mean_and_spread_of_contrasts(
    small_screen: Path, tmp_path: Path
) -> None:
    ckpt, members = make_ensemble(small_screen, tmp_path, SEEDS, join="symmetric", **PRODUCTS)
    cells = Predictor.load(ckpt).cells.ids
    high, low = list(cells[2:4]), list(cells[7:10])
    report = run(
        ckpt,
        tmp_path / "top.parquet",
        top=6,
        high=",".join(high),
        low=",".join(low),
        dtype=torch.bfloat16,
    )
    contrasts = []
    for path in members:
        wide = brute_force(path).pivot(index="pair", columns="cell_id", values="prediction")
        contrasts.append(wide[high].mean(axis=1) - wide[low].mean(axis=1))
    table = pd.DataFrame({"mean": np.mean(contrasts, axis=0), "spread": np.std(contrasts, axis=0)})
    table.index = contrasts[0].index
    best = table.sort_values("mean", ascending=False).head(6)
    found = with_pairs(pd.read_parquet(tmp_path / "top.parquet"))
    assert list(found["pair"]) == list(best.index)
    assert_close(found["contrast"], best["mean"])
    assert_close(found["contrast_spread"], best["spread"])
    assert_close(found["mean_high"] - found["mean_low"], best["mean"])
    assert report.proven


def test_a_library_is_encoded_by_every_member(small_screen: Path, tmp_path: Path) -> None:
    ckpt, members = make_ensemble(small_screen, tmp_path, SEEDS, join="slots")
    (tmp_path / "library.smi").write_text("CCO ethanol\nc1ccccc1O phenol\nCCOCC ether\n")
    options = {"drugs": str(tmp_path / "library.smi"), "top": 3}
    run(ckpt, tmp_path / "top.parquet", **options)
    found = pd.read_parquet(tmp_path / "top.parquet")
    answers = []
    for path in members:
        run(path, tmp_path / "alone.parquet", **options)
        alone = pd.read_parquet(tmp_path / "alone.parquet")
        assert "prediction_spread" not in alone
        key = ["cell_id", "drug_1", "drug_2"]
        both = found[key].merge(alone, on=key, validate="one_to_one")
        answers.append(both["prediction"])
    assert_close(found["prediction"], np.mean(answers, axis=0))
    assert_close(found["prediction_spread"], np.std(answers, axis=0))


def test_one_diverged_member_is_told(small_screen: Path, tmp_path: Path) -> None:
    ckpt, _ = make_ensemble(small_screen, tmp_path, [1, 2], join="symmetric")
    content = torch.load(ckpt, weights_only=True)
    content["ensemble"]["state_dicts"][1]["network.join.bias"].fill_(torch.nan)
    torch.save(content, ckpt)
    with pytest.raises(InputError, match="is not a finite number; the model diverged"):
        run(ckpt, tmp_path / "top.csv", top=3)
