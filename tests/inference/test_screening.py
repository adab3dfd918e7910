"""A screen's answers are those of prediction, however it is cut and filtered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from combo_lightning import precision
from combo_lightning.errors import InputError
from combo_lightning.inference.predictor import Predictor
from combo_lightning.inference.screen_request import as_file
from tests.conftest import Outcome
from tests.inference.brute_force import (
    PRODUCTS,
    assert_best,
    assert_close,
    brute_force,
    pair_of,
    run,
    with_pairs,
)
from tests.inference.models import make_checkpoint, make_data

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.qint8])
@pytest.mark.parametrize(
    ("join", "options"),
    [("concatenate", {}), ("symmetric", PRODUCTS), ("slots", PRODUCTS), ("slots", {})],
)
def test_the_best_are_those_of_prediction(
    small_screen: Path, tmp_path: Path, join: str, options: dict[str, Any], dtype: torch.dtype
) -> None:
    ckpt = make_checkpoint(small_screen, tmp_path / "a.ckpt", join=join, **options)
    ordered = join == "concatenate"
    report = run(ckpt, tmp_path / "top.parquet", top=9, dtype=dtype)
    wanted = brute_force(ckpt, ordered=ordered)
    found = with_pairs(pd.read_parquet(tmp_path / "top.parquet"), ordered=ordered)
    assert report.scores == len(wanted)
    assert report.rows == len(found) == 9 * 12
    assert report.proven
    assert_best(found, wanted, 9)
    relative = report.kept_error / wanted["prediction"].abs().max()
    assert (relative > 1e-5) == (dtype != torch.float32)
    assert not (tmp_path / "top.parquet.partial").exists()


@pytest.mark.parametrize("join", ["symmetric", "slots"])
def test_every_score_is_written_once_by_line(
    small_screen: Path, tmp_path: Path, join: str
) -> None:
    ckpt = make_checkpoint(small_screen, tmp_path / "a.ckpt", join=join, **PRODUCTS)
    report = run(ckpt, tmp_path / "all")
    found = with_pairs(pd.read_parquet(tmp_path / "all"))
    wanted = brute_force(ckpt)
    assert report.rows == len(found) == len(wanted)
    both = wanted.merge(found, on=["cell_id", "pair"], validate="one_to_one")
    assert len(both) == len(wanted)
    assert_close(both["prediction_y"], both["prediction_x"])
    assert set(found["unit"]) == {"ComboScore points"}


def test_filters_choose_lines_drugs_and_order(checkpoint: Path, tmp_path: Path) -> None:
    wanted = brute_force(checkpoint)
    predictor = Predictor.load(checkpoint)
    drugs, cells = predictor.drugs.ids, predictor.cells.ids
    few, lines = drugs[2:9], cells[3:6]
    run(
        checkpoint,
        tmp_path / "top.csv",
        top=5,
        cells=",".join(lines),
        drugs=",".join(few),
        contains=f"{few[0]}, {drugs[12]}",
        lowest=True,
    )
    found = with_pairs(pd.read_csv(tmp_path / "top.csv", dtype={"drug_1": str, "drug_2": str}))
    inside = {pair_of(a, b) for a in (few[0], drugs[12]) for b in few if a != b}
    chosen = wanted[wanted["pair"].isin(inside) & wanted["cell_id"].isin(lines)]
    assert_best(found, chosen, 5, lowest=True)


def test_int8_is_refused_where_the_processor_lacks_it(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_here: Callable[..., Outcome],
    caplog: pytest.LogCaptureFixture,
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: fpu sse avx2\n")
    monkeypatch.setattr(precision, "CPUINFO", cpuinfo)
    caplog.set_level("INFO")
    words = ("screen", f"--ckpt_path={checkpoint}", "--top=3", f"--out={tmp_path / 'a.csv'}")
    refused = run_here(*words, "--precision=int8")
    assert refused.code == 2
    assert "has no 8-bit unit" in refused.output
    assert run_here(*words).code == 0
    assert "precision: 32-true" in caplog.text


def test_a_contrast_is_high_here_and_low_there(checkpoint: Path, tmp_path: Path) -> None:
    cells = Predictor.load(checkpoint).cells.ids
    high, low = cells[2:4], cells[7:10]
    report = run(
        checkpoint,
        tmp_path / "top.parquet",
        top=6,
        high=",".join(high),
        low=",".join(low),
        dtype=torch.bfloat16,
    )
    wide = brute_force(checkpoint).pivot(index="pair", columns="cell_id", values="prediction")
    contrast = wide[list(high)].mean(axis=1) - wide[list(low)].mean(axis=1)
    best = contrast.sort_values(ascending=False).head(6)
    found = with_pairs(pd.read_parquet(tmp_path / "top.parquet"))
    assert list(found["pair"]) == list(best.index)
    assert_close(found["contrast"], best)
    assert_close(found["mean_high"] - found["mean_low"], best)
    assert report.proven


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_doses_and_any_number_of_slots(tmp_path: Path, slots: int) -> None:
    data = make_data(tmp_path / "data", response="growth", num_slots=slots)
    ckpt = make_checkpoint(data, tmp_path / "a.ckpt", join="symmetric")
    run(ckpt, tmp_path / "top.parquet", top=4, log10_molar=-6.2, lowest=True)
    found = pd.read_parquet(tmp_path / "top.parquet")
    predictor = Predictor.load(ckpt)
    assert ("drug_2" in found) == (slots > 1)
    cell = np.array([predictor.cells.index(c, "here") for c in found["cell_id"]])
    drug = np.full((len(found), slots), -1)
    for k in range(min(slots, 2)):
        drug[:, k] = [predictor.drugs.index(d, "here") for d in found[f"drug_{k + 1}"]]
    answer = predictor.predict(cell, drug, np.full(drug.shape, -6.2))
    assert_close(found["prediction"], answer)
    with pytest.raises(InputError, match="needs --log10_molar"):
        run(ckpt, tmp_path / "other.parquet", top=4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out=top.parquet"], "is one file; give --top N"),
        (["--out=folder", "--top=3"], "must end in .parquet or .csv"),
        (["--out=top.csv", "--top=0"], "--top is 0"),
        (["--out=top.csv", "--top=3", "--high=CELL"], "--high and --low go together"),
        (["--out=a", "--high=A", "--low=B"], "--high and --low need --top"),
        (["--out=top.csv", "--top=3", "--cells=NOBODY"], "the cell line 'NOBODY' is not known"),
        (["--out=top.csv", "--top=3", "--contains=nothing"], "the drug 'nothing' is not known"),
        (["--out=top.csv", "--top=3", "--drugs=no.smi"], "there is no file no.smi"),
        (["--out=top.csv", "--top=3", "--log10_molar=-6"], "knows no doses"),
        (["--out=top.csv", "--top=3", "--precision=int7"], "int7"),
        (["--out=top.csv", "--top=3", "--part=9/8"], "--part is '9/8'; give K/N"),
        (["--out=top.csv", "--top=3", "--contains="], "--contains names nothing"),
        (["--out=top.csv", "--top=3", "--high=,", "--low=SIM-1"], "--high names nothing"),
        (["--out=top.csv", "--top=3", "--log10_molar=.nan"], "--log10_molar is nan"),
    ],
)
def test_what_cannot_be_is_refused(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_here: Callable[..., Outcome],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_here("screen", f"--ckpt_path={checkpoint}", *words)
    assert outcome.code == 2
    assert message in outcome.output
    assert "Traceback" not in outcome.output
    assert not list(tmp_path.iterdir())


def test_names_with_dots_are_no_files() -> None:
    assert as_file("St. John's wort,5.7-dimethoxyflavone") is None
    assert as_file("library.SMI") == Path("library.SMI")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.qint8])
def test_a_diverged_model_is_told(small_screen: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    ckpt = make_checkpoint(small_screen, tmp_path / "a.ckpt", join="symmetric")
    content = torch.load(ckpt, weights_only=True)
    content["state_dict"]["network.join.bias"].fill_(torch.nan)
    torch.save(content, ckpt)
    with pytest.raises(InputError, match="is not a finite number; the model diverged"):
        run(ckpt, tmp_path / "top.csv", top=3, dtype=dtype)


def test_a_long_list_of_names_is_no_file_and_a_line_named_twice_counts_once(
    checkpoint: Path, tmp_path: Path
) -> None:
    cells = Predictor.load(checkpoint).cells.ids
    names = ",".join([*cells] * 60)
    assert len(names) > 300
    run(checkpoint, tmp_path / "top.parquet", top=2, cells=names)
    assert len(pd.read_parquet(tmp_path / "top.parquet")) == 2 * len(cells)
    contrasts = []
    for high in (cells[0], f"{cells[0]},{cells[0].lower()}, {cells[0]}"):
        run(checkpoint, tmp_path / "top.parquet", top=4, high=high, low=f"{cells[1]},{cells[2]}")
        contrasts.append(pd.read_parquet(tmp_path / "top.parquet"))
    pd.testing.assert_frame_equal(contrasts[0], contrasts[1])
