from collections.abc import Callable
from pathlib import Path

import pytest

from combo_lightning.data.dataset import read_dataset
from tests.conftest import Outcome

Run = Callable[..., Outcome]


def test_a_data_set_is_written_and_the_next_command_named(run_here: Run, tmp_path: Path) -> None:
    out = tmp_path / "screen"
    outcome = run_here("simulate", "--preset", "small", "--ceiling_r2", 0.8, "--out", out)
    assert outcome.code == 0
    assert "the true function reaches R2 0.8 on it" in outcome.output
    assert f"next: combo-lightning info {out}" in outcome.output
    assert read_dataset(out).manifest["made_by"]["noise_ceiling_r2"] == 0.8


def test_options_change_the_preset(run_here: Run, tmp_path: Path) -> None:
    words = "--preset small --cells 4 --drugs 5 --slots 3 --response growth --single_share 0.2"
    outcome = run_here("simulate", *words.split(), "--seed", 3, "--out", tmp_path / "d")
    assert outcome.code == 0, outcome.output
    dataset = read_dataset(tmp_path / "d")
    assert (len(dataset.cells), len(dataset.drugs)) == (4, 5)
    assert dataset.kind.name == "growth"
    assert set((dataset.responses.drug_NK >= 0).sum(axis=1)) == {1, 3}


def test_raw_files_are_prepared_by_the_command_that_is_named(
    run_here: Run, tmp_path: Path
) -> None:
    words = ("--preset", "small", "--cells", 4, "--drugs", 5, "--raw", "true")
    outcome = run_here("simulate", *words, "--out", tmp_path / "raw")
    assert outcome.code == 0
    command = outcome.output.split("next: combo-lightning ")[1].split()
    assert command[-1] == "NAME"
    prepared = run_here(*command[:-1], tmp_path / "d", "--response", "combo-score")
    assert prepared.code == 0, prepared.output
    dataset = read_dataset(tmp_path / "d")
    # 10 pairs in 4 lines, and replicates.
    assert len(dataset.responses) >= 40
    assert dataset.cells.blocks["expression"].values_EF.shape == (4, 100)
    assert "descriptors" in dataset.drugs.blocks


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--ceiling_r2 0", "the ceiling of R2 is 0.0"),
        ("--combinations 999999", "ask for fewer"),
        ("--slots 3", "use --slots 2"),
        ("--slots 3 --response growth --raw true", "NCI's layout holds two drugs"),
        ("--seed -1", "the seed is -1"),
        ("--preset huge", "'small', 'demo', 'poster'"),
    ],
)
def test_what_cannot_be_simulated_leaves_nothing_behind(
    run_here: Run, tmp_path: Path, words: str, message: str
) -> None:
    outcome = run_here("simulate", *words.split(), "--out", tmp_path / "d")
    assert outcome.code == 2
    assert message in outcome.output
    assert "Traceback" not in outcome.output
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_replaced_only_when_told(run_here: Run, tmp_path: Path) -> None:
    words = ("simulate", "--preset", "small", "--out", tmp_path / "d")
    assert run_here(*words).code == 0
    refused = run_here(*words)
    assert refused.code == 2
    assert "exists already" in refused.output
    before = read_dataset(tmp_path / "d").fingerprint
    assert run_here(*words, "--overwrite", "true", "--seed", 5).code == 0
    assert read_dataset(tmp_path / "d").fingerprint != before


@pytest.mark.parametrize("kind", ["ic50", "zscore"])
def test_curves_in_gdscs_layout_are_prepared_as_it_says(
    run_here: Run, tmp_path: Path, kind: str
) -> None:
    words = ["--preset", "small", "--response", kind, "--raw", "true", "--out"]
    refused = run_here("simulate", *words, tmp_path / "raw")
    assert "use --slots 1" in refused.output
    outcome = run_here("simulate", *words, tmp_path / "raw", "--slots", "1")
    assert outcome.code == 0, outcome.output
    assert "reaches R2 0.900 on ic50" in outcome.output
    command = outcome.output.split("next: combo-lightning ")[1].split()
    prepared = run_here(*command[:-1], tmp_path / "data")
    assert prepared.code == 0, prepared.output
    assert read_dataset(tmp_path / "data").kind.name == kind
