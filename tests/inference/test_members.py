"""An ensemble answers with its members' mean and says how far they are apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from combo_lightning.inference.members import Members
from combo_lightning.inference.predictor import Predictor
from tests.conftest import Outcome
from tests.inference.brute_force import PRODUCTS, assert_close
from tests.inference.models import make_data, make_ensemble

SEEDS = [1, 2, 1, 3]
NEW_SMILES = "Cc1ccc(cc1Nc1nccc(n1)-c1cccnc1)NC(=O)c1ccc(cc1)CN1CCN(C)CC1"


def answers(predictor: Predictor, dose: float | None = None) -> list[np.ndarray[Any, Any]]:
    """Predict every pair in both orders, a new drug and a new line among them, by network."""
    if "new" not in predictor.drugs.names:
        predictor.add_drugs(["new"], [NEW_SMILES])
        block = predictor.catalog.cells.blocks[0]
        values = np.linspace(-1, 1, len(block.feature_names), dtype=np.float32)
        named = dict(zip(block.feature_names, values[:, None], strict=True))
        predictor.add_cells(["mine"], named)
    cells, drugs = len(predictor.cells.ids), len(predictor.drugs.ids)
    index = np.array(
        [(c, a, b) for c in range(cells) for a in range(drugs) for b in range(drugs) if a != b]
    )
    doses = None if dose is None else np.full((len(index), 2), dose)
    return list(predictor.predict_members(index[:, 0], index[:, 1:], doses))


@pytest.mark.parametrize(
    ("join", "options", "dose"),
    [
        ("concatenate", {}, None),
        ("symmetric", PRODUCTS, None),
        ("slots", PRODUCTS, None),
        ("symmetric", PRODUCTS, -6.0),
    ],
)
def test_mean_and_spread_are_those_of_the_members(
    tmp_path: Path, small_screen: Path, join: str, options: dict[str, Any], dose: float | None
) -> None:
    data = small_screen
    if dose is not None:
        data = make_data(tmp_path / "data", response="growth")
    out, members = make_ensemble(data, tmp_path, SEEDS, join=join, **options)
    alone = []
    for path in members:
        predictor = Predictor.load(path)
        (answer,) = answers(predictor, dose)
        assert predictor.members.mean([answer]) is answer
        assert predictor.members.spread([answer]) is None
        alone.append(answer)
    ensemble = Predictor.load(out)
    found = answers(ensemble, dose)
    assert len(found) == 3  # two members are equal
    np.testing.assert_array_equal(found[1], alone[1])
    assert_close(ensemble.members.mean(found), np.mean(alone, axis=0))
    spread = ensemble.members.spread(found)
    assert spread is not None
    assert_close(spread, np.std(alone, axis=0))
    assert spread.min() > 0


def test_equal_members_have_no_spread_and_their_own_mean(
    tmp_path: Path, small_screen: Path
) -> None:
    for seeds in ([5, 5, 5], [5]):
        out, members = make_ensemble(small_screen, tmp_path, seeds)
        (alone,) = answers(Predictor.load(members[0]))
        ensemble = Predictor.load(out)
        (found,) = answers(ensemble)
        np.testing.assert_array_equal(ensemble.members.mean([found]), alone)
        spread = ensemble.members.spread([found])
        assert spread is not None
        assert not spread.any()


def test_means_are_weighted_by_members_for_tensors_too() -> None:
    members = Members((), ("a", "b", "c"), (0, 1, 0))
    parts = [torch.tensor([1.0, 4.0]), torch.tensor([4.0, 4.0])]
    assert members.mean(parts).tolist() == [2.0, 4.0]
    spread = members.spread(parts)
    assert spread is not None
    assert spread.tolist() == pytest.approx([2**0.5, 0.0])
    assert members.mean_by_name([{"x": part} for part in parts])["x"].tolist() == [2.0, 4.0]
    assert members.by_name("pq") == {"a": "p", "b": "q", "c": "p"}


def test_the_command_writes_a_column_of_the_spread_for_ensembles_alone(
    run_here: Callable[..., Outcome], small_screen: Path, tmp_path: Path
) -> None:
    out, members = make_ensemble(small_screen, tmp_path, [1, 2], join="slots")
    (tmp_path / "pairs.csv").write_text("cell,drug_1,drug_2\nSIM-1,simulib-1,900001\nSIM-2,new,\n")
    (tmp_path / "drugs.csv").write_text(f"name,smiles\nnew,{NEW_SMILES}\n")
    frames = []
    for path in (out, *members):
        answer = tmp_path / f"{path.stem}.csv"
        done = run_here(
            "predict", f"--ckpt_path={path}", f"--pairs={tmp_path / 'pairs.csv'}",
            f"--drugs={tmp_path / 'drugs.csv'}", f"--out={answer}",
        )  # fmt: skip
        assert done.code == 0, done.output
        frames.append(pd.read_csv(answer))
    ensemble, *alone = frames
    plain = list(map(str, alone[0].columns))
    place = plain.index("prediction") + 1
    assert list(ensemble.columns) == [*plain[:place], "prediction_spread", *plain[place:]]
    predictions = [frame["prediction"] for frame in alone]
    assert_close(ensemble["prediction"], np.mean(predictions, axis=0))
    assert_close(ensemble["prediction_spread"], np.std(predictions, axis=0))
