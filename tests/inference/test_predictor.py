"""A checkpoint alone predicts: known names, new structures, new lines."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from combo_lightning.data.dataset import read_dataset
from combo_lightning.errors import InputError
from combo_lightning.inference.predictor import Predictor
from tests.conftest import ROOT, Outcome

# Fits run in processes of their own.
pytestmark = pytest.mark.slow

NEW_SMILES = "Cc1ccc(cc1Nc1nccc(n1)-c1cccnc1)NC(=O)c1ccc(cc1)CN1CCN(C)CC1"


@pytest.fixture(scope="module")
def runs(
    run_cli: Callable[..., Outcome], small_screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A symmetric run and one that tells slots apart, both tested."""
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for join, more in (("symmetric", ()), ("slots", ("--model.network.table_rank=4",))):
        run_dir = folder / join
        fitted = run_cli(
            "fit",
            f"--config={ROOT / 'configs' / 'demo.yaml'}",
            f"--data.path={small_screen}",
            f"--run_dir={run_dir}",
            f"--model.network.join={join}",
            "--trainer.max_epochs=6",
            "--data.batch_size=64",
            *more,
        )
        assert fitted.code == 0, fitted.output
        tested = run_cli(
            "test",
            f"--config={run_dir / 'config.yaml'}",
            f"--ckpt_path={run_dir / 'checkpoints' / 'best.ckpt'}",
        )
        assert tested.code == 0, tested.output
        assert "ridge with slots" in tested.output
        found[join] = run_dir
    return found


@pytest.fixture
def alone(runs: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """The checkpoints, moved away from everything else."""
    copies = {}
    for join, run_dir in runs.items():
        copies[join] = tmp_path / f"{join}.ckpt"
        shutil.copy(run_dir / "checkpoints" / "best.ckpt", copies[join])
    return copies


@pytest.mark.parametrize("join", ["symmetric", "slots"])
def test_on_test_rows_it_equals_what_the_test_scored(
    runs: dict[str, Path], alone: dict[str, Path], join: str, small_screen: Path
) -> None:
    tested = pd.read_parquet(runs[join] / "test" / "predictions.parquet")
    predictor = Predictor.load(alone[join])
    cells = [predictor.cells.index(name, "here") for name in tested["cell_id"]]
    drugs = [
        [predictor.drugs.index(d, "here") for d in pair]
        for pair in zip(tested["drug_1"], tested["drug_2"], strict=True)
    ]
    mine = predictor.predict(np.array(cells), np.array(drugs))
    np.testing.assert_allclose(mine, tested["prediction"], rtol=1e-6, atol=1e-5)
    assert np.corrcoef(mine, tested["response"])[0, 1] > 0.2
    measured = read_dataset(small_screen).responses.response_N[tested["row"]]
    np.testing.assert_array_equal(tested["response"], measured)


@pytest.mark.parametrize("join", ["symmetric", "slots"])
def test_a_swapped_pair_gets_the_same_prediction(alone: dict[str, Path], join: str) -> None:
    predictor = Predictor.load(alone[join])
    predictor.add_drugs(["new"], [NEW_SMILES])
    pairs = np.array([[a, b] for a in range(15) for b in range(15) if a != b])
    cells = np.arange(len(pairs)) % 12
    forth = predictor.predict(cells, pairs)
    back = predictor.predict(cells, pairs[:, ::-1])
    # Rows of a matrix product are summed alike only to float32's last digits.
    np.testing.assert_allclose(forth, back, rtol=1e-5, atol=1e-4)
    assert np.std(forth) > 1


def test_names_ids_and_spellings_resolve_to_one_entity(alone: dict[str, Path]) -> None:
    predictor = Predictor.load(alone["symmetric"])
    assert predictor.drugs.index("900003", "x") == predictor.drugs.index("simulib-4", "x") == 3
    assert predictor.drugs.index("SIMULIB 4", "x") == 3
    assert predictor.cells.index("sim_5", "x") == predictor.cells.index("SIM-5", "x") == 4
    with pytest.raises(InputError, match="'simulib-99' is not known; did you mean 'simulib-9'"):
        predictor.drugs.index("simulib-99", "pairs.csv")


def test_a_new_line_with_a_known_lines_features_is_predicted_alike(
    alone: dict[str, Path], small_screen: Path
) -> None:
    predictor = Predictor.load(alone["symmetric"])
    cells = read_dataset(small_screen).cells
    features = {
        name: block.values_EF[[5], i]
        for block in cells.blocks.values()
        for i, name in enumerate(block.feature_names)
    }
    predictor.add_cells(["twin"], features)
    pairs = np.array([[0, 1], [2, 3]])
    twin = predictor.cells.index("twin", "x")
    np.testing.assert_allclose(
        predictor.predict(np.array([twin, twin]), pairs),
        predictor.predict(np.array([5, 5]), pairs),
        rtol=1e-5,
        atol=1e-4,
    )
    seen, together = predictor.seen(np.array([twin, 5]), pairs)
    assert seen.tolist() == [False, True]
    assert together.tolist() == [True, True]


def test_a_known_structure_under_a_new_name_is_the_known_drug(
    alone: dict[str, Path], small_screen: Path
) -> None:
    predictor = Predictor.load(alone["symmetric"])
    smiles = read_dataset(small_screen).drugs.annotation("smiles")
    predictor.add_drugs(["salt of four", "new"], [f"{smiles[3]}.Cl", NEW_SMILES])
    assert predictor.drugs.index("salt of four", "x") == 3
    assert predictor.drugs.index("new", "x") == 14
    with pytest.raises(InputError, match="has the name of a known one"):
        predictor.add_drugs(["simulib-1"], ["CCCCCCCCO"])


def test_new_drugs_get_the_features_that_known_ones_have(
    alone: dict[str, Path], small_screen: Path
) -> None:
    predictor = Predictor.load(alone["symmetric"])
    smiles = [str(s) for s in read_dataset(small_screen).drugs.annotation("smiles")]
    object.__setattr__(predictor.catalog.drugs, "group", ("",) * 14)  # none is recognised
    predictor.add_drugs([f"again {i}" for i in range(14)], smiles)
    np.testing.assert_allclose(
        predictor.drugs.features_EG[14:], predictor.drugs.features_EG[:14], rtol=1e-5, atol=1e-5
    )


def test_doses_are_refused_by_a_model_that_knows_none(alone: dict[str, Path]) -> None:
    predictor = Predictor.load(alone["symmetric"])
    with pytest.raises(InputError, match="knows no doses"):
        predictor.predict(np.array([0]), np.array([[0, 1]]), np.array([[-6.0, -6.0]]))


def predict(run_here: Callable[..., Outcome], ckpt: Path, folder: Path, *more: object) -> Outcome:
    return run_here(
        "predict", "--ckpt_path", ckpt, "--pairs", folder / "pairs.csv", "--out",
        folder / "out.csv", *more,
    )  # fmt: skip


def test_the_command_streams_a_table_with_new_drugs_and_lines(
    run_here: Callable[..., Outcome], alone: dict[str, Path], tmp_path: Path, small_screen: Path
) -> None:
    (tmp_path / "pairs.csv").write_text(
        "note,Cell_Line,drug_1,drug_2\na,SIM-1,simulib-1,900001\nb,mine,imatinib,\n"
        "c,SIM-3,imatinib,simulib-2\n"
    )
    (tmp_path / "drugs.csv").write_text(f"name,smiles\nimatinib,{NEW_SMILES}\n")
    block = read_dataset(small_screen).cells.blocks["expression"]
    features = pd.DataFrame([["mine", *range(100)]], columns=["line", *block.feature_names])
    features.to_csv(tmp_path / "cells.csv", index=False)
    outcome = predict(
        run_here, alone["slots"], tmp_path,
        "--drugs", tmp_path / "drugs.csv", "--cells", tmp_path / "cells.csv",
    )  # fmt: skip
    assert outcome.code == 0, outcome.output
    out = pd.read_csv(tmp_path / "out.csv", dtype={"drug_1": str})
    assert out["cell_id"].tolist() == ["SIM-1", "mine", "SIM-3"]
    assert out["drug_1"].tolist() == ["900000", "imatinib", "imatinib"]
    assert out["note"].tolist() == ["a", "b", "c"]
    assert out["seen"].tolist() == [True, False, False]
    assert set(out["unit"]) == {"ComboScore points"}
    assert np.isfinite(out["prediction"]).all()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("cell,drug_1\nSIM-1,nobody\n", "the drug 'nobody' is not known"),
        ("cell,drug_1\nHELA,simulib-1\n", "the cell line 'HELA' is not known"),
        ("line,drug_1\nSIM-1,simulib-1\n", "has no column 'cell_id'"),
        ("cell,drug1\nSIM-1,simulib-1\n", "no column 'drug_1'; did you mean 'drug1'"),
        ("cell,drug_1\nSIM-1,\n", "row 0 has no drug"),
        ("cell,drug_1\n,simulib-1\n", "row 0 is empty"),
        ("cell;drug_1\nSIM-1;simulib-1\n", "has one column"),
        ("cell,drug_1,drug_2,drug_3\nSIM-1,a,b,c\n", "combines at most 2 drugs"),
        ("cell,drug_1\n", "has no rows"),
        ("cell,drug_1\nSIM-1,simulib-1,extra\n", "cannot read"),
        ("", "cannot read"),
    ],
)
def test_bad_pairs_are_one_sentence_and_write_nothing(
    run_here: Callable[..., Outcome],
    alone: dict[str, Path],
    tmp_path: Path,
    pairs: str,
    message: str,
) -> None:
    (tmp_path / "pairs.csv").write_text(pairs)
    outcome = predict(run_here, alone["symmetric"], tmp_path)
    assert outcome.code == 2
    assert message in outcome.output
    assert "Traceback" not in outcome.output
    assert not list(tmp_path.glob("*out*"))


class _Hostile:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return (Path.touch, (Path("pwned"),))  # type: ignore[return-value]


def test_hostile_truncated_and_foreign_checkpoints_are_refused(
    run_here: Callable[..., Outcome],
    alone: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.csv").write_text("cell,drug_1\nSIM-1,simulib-1\n")
    torch.save({"state_dict": {}, "x": _Hostile()}, tmp_path / "hostile.ckpt")
    whole = alone["symmetric"].read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    checkpoint = torch.load(alone["symmetric"], weights_only=True)
    checkpoint["combo_lightning"]["schema_version"] = 0
    torch.save(checkpoint, tmp_path / "old.ckpt")
    (tmp_path / "text.ckpt").write_text("not a checkpoint")
    for name, message in (
        ("hostile", "holds more than tensors and plain values"),
        ("cut", "is no complete checkpoint file"),
        ("foreign", "was not written by combo-lightning"),
        ("old", "is of checkpoint schema 0"),
        ("text", "was not loaded"),
        ("absent", "there is no checkpoint"),
    ):
        outcome = predict(run_here, tmp_path / f"{name}.ckpt", tmp_path)
        assert outcome.code == 2, name
        assert message in outcome.output, outcome.output
        assert "Traceback" not in outcome.output
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "out.csv").exists()


def test_a_checkpoint_of_other_data_is_refused(
    run_cli: Callable[..., Outcome], runs: dict[str, Path], tmp_path: Path
) -> None:
    other = run_cli("simulate", "--preset=small", "--seed=9", f"--out={tmp_path / 'other'}")
    assert other.code == 0
    config = runs["symmetric"] / "config.yaml"
    ckpt = runs["symmetric"] / "checkpoints" / "best.ckpt"
    for option, message in (
        (f"--data.path={tmp_path / 'other'}", "its data set is"),
        ("--seed_everything=5", "its training rows"),
        ("--model.network.drug_drug_rank=3", "its network"),
    ):
        outcome = run_cli("test", f"--config={config}", f"--ckpt_path={ckpt}", option)
        assert outcome.code == 2, outcome.output
        assert "the checkpoint does not fit" in outcome.output
        assert message in outcome.output
        assert "Traceback" not in outcome.output
