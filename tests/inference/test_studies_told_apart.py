"""Prediction and screening in the scale of a study, and of an unknown one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.dataset import read_dataset
from combo_lightning.data.transforms import TransformConfig
from combo_lightning.errors import InputError
from combo_lightning.inference.predictor import Predictor
from combo_lightning.inference.tables import predict_file, read_new_cells
from tests.inference.brute_force import PRODUCTS, assert_best, brute_force, run, with_pairs
from tests.inference.models import make_checkpoint

HARMONIZED = TransformConfig(harmonize="quantile", harmonize_cells="mean_variance")


def make(data: Path, folder: Path, **options: Any) -> Path:
    return make_checkpoint(data, folder / "model.ckpt", join="slots", **PRODUCTS, **options)


def ask(ckpt: Path, folder: Path, studies: list[str | None] | None) -> Any:
    """Predict one pair in one line, once a study."""
    predictor = Predictor.load(ckpt)
    count = 1 if studies is None else len(studies)
    pairs = pd.DataFrame({"cell_id": [predictor.cells.ids[0]] * count})
    pairs["drug_1"], pairs["drug_2"] = predictor.drugs.ids[:2]
    if studies is not None:
        pairs["Study"] = studies
    pairs.to_csv(folder / "pairs.csv", index=False)
    predict_file(predictor, folder / "pairs.csv", folder / "out.parquet")
    return pd.read_parquet(folder / "out.parquet")


@pytest.mark.parametrize(
    "options", [{"study_embedding": 4}, {"transform": HARMONIZED}], ids=["vectors", "scales"]
)
def test_a_study_column_is_answered_in_the_studys_scale(
    merged_studies: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    ckpt = make(merged_studies, tmp_path, **options)
    table = ask(ckpt, tmp_path, ["study-1", "study-2", None, "study-1"])
    answer = table["prediction"].to_numpy()
    assert answer[0] == answer[3]
    assert len(set(answer.tolist())) == 3
    assert table["Study"].tolist()[:2] == ["study-1", "study-2"]
    assert ask(ckpt, tmp_path, None)["prediction"].tolist() == [answer[2]]
    with pytest.raises(InputError, match=r"column 'Study': the study 'study-4' .* did you mean"):
        ask(ckpt, tmp_path, ["study-4"])


def test_a_model_that_tells_no_studies_apart_ignores_the_column(
    merged_studies: Path, tmp_path: Path
) -> None:
    ckpt = make(merged_studies, tmp_path)
    table = ask(ckpt, tmp_path, ["study-1", "whatever"])
    assert table["prediction"][0] == table["prediction"][1]
    with pytest.raises(InputError, match="--study: the model does not tell studies apart"):
        run(ckpt, tmp_path / "top.parquet", top=3, study="study-1")


@pytest.mark.parametrize("study", [None, "study-2"])
def test_a_screen_in_a_study_is_prediction_in_that_study(
    merged_studies: Path, tmp_path: Path, study: str | None
) -> None:
    ckpt = make(merged_studies, tmp_path, study_embedding=4, transform=HARMONIZED)
    report = run(ckpt, tmp_path / "top.parquet", top=5, study=study)
    wanted = brute_force(ckpt, study=study or "")
    assert report.proven
    assert_best(with_pairs(pd.read_parquet(tmp_path / "top.parquet")), wanted, 5)


def test_one_study_has_no_vectors(small_screen: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"study_embedding is 4, .* of one study; set it to 0"):
        make(small_screen, tmp_path, study_embedding=4)


def test_a_new_line_is_brought_onto_the_scale_of_its_platform(
    merged_studies: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ckpt = make(merged_studies, tmp_path, transform=HARMONIZED)
    predictor = Predictor.load(ckpt)
    cells = read_dataset(merged_studies).cells
    block = cells.blocks["expression"]
    place = cells.annotations["expression_origin"].index("study-2")
    frame = pd.DataFrame([block.values_EF[place]], columns=list(block.feature_names))
    frame.insert(0, "name", "new")
    for micro, value in zip(
        cells.blocks["microrna"].feature_names, cells.blocks["microrna"].values_EF[place],
        strict=True,
    ):  # fmt: skip
        frame[micro] = value
    origins = {f"{name}_origin": cells.annotations[f"{name}_origin"][place]
               for name in cells.blocks}  # fmt: skip
    frame.assign(**origins).to_csv(tmp_path / "cells.csv", index=False)
    predictor.add_cells(*read_new_cells(tmp_path / "cells.csv"))
    strange = origins | {"expression_origin": "study-9"}
    frame.assign(**strange, name="other").to_csv(tmp_path / "strange.csv", index=False)
    Predictor.load(ckpt).add_cells(*read_new_cells(tmp_path / "strange.csv"))
    assert "no scale of 'expression' from study-9" in caplog.text
    frame.assign(rppa_origin="study-1").to_csv(tmp_path / "rppa.csv", index=False)
    with pytest.raises(InputError, match=r"'rppa_origin' .* reads expression, microrna"):
        Predictor.load(ckpt).add_cells(*read_new_cells(tmp_path / "rppa.csv"))
    np.testing.assert_allclose(
        predictor.cells.features_EG[-1], predictor.cells.features_EG[place], atol=1e-4
    )
