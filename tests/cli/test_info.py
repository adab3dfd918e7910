from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Outcome
from tests.data.sources.screen_fixtures import NCI60

Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_a_simulated_screen_is_described_with_its_ceiling(
    run_here: Run, small_screen: Path
) -> None:
    outcome = run_here("info", small_screen)
    assert outcome.code == 0
    for said in (
        "cell lines   12, 12 of them measured",
        "combo_score in ComboScore points: mean",
        "expression  │      100 │ simulated",
        "simulated: the true function reaches R2 0.9",
        "pairs, correlation 0.",
        "█",
    ):
        assert said in outcome.output, said


def test_sources_command_drops_and_joins_can_be_copied(run_here: Run, tmp_path: Path) -> None:
    long_name = tmp_path / f"a_name_{'long' * 20}.csv"
    long_name.write_text("cell,drug_1,value,study\nMCF7,x,1,p\nHL60,x,,p\nHL60,x,3,\n")
    cells = tmp_path / "cells.csv"
    cells.write_text("cell,gene\nMCF7,1\nHL-61,2\n")
    words = ("table", "--responses", long_name, "--cells", cells, "--out", tmp_path / "d")
    assert run_here("prepare", *words).code == 0
    output = run_here("info", tmp_path / "d").output
    lines = output.splitlines()
    assert any(
        line.startswith(f"source: {long_name}, ") and len(line.split("SHA-256 ")[1]) == 64
        for line in lines
    )
    assert "dropped: 1 missing response" in lines
    assert "cells in --cells: 1 of 2 matched, not HL60" in lines
    assert "studies      2: p, (none)" in output


def test_what_a_public_screen_dropped_and_noted_is_told(run_here: Run, tmp_path: Path) -> None:
    screen = tmp_path / "GI50.csv"
    screen.write_bytes(NCI60.content())
    words = ("screen", "--responses", screen, "--response", "gi50", "--slots", 2)
    prepared = run_here("prepare", *words, "--out", tmp_path / "d")
    assert prepared.code == 0
    output = run_here("info", tmp_path / "d").output
    assert "gi50, in log10 molar" in output
    lines = output.splitlines()
    assert "dropped: 1 concentration not molar" in lines
    highest = "responses equal the highest concentration tested: the true one is that or above"
    assert f"note: 1 {highest}" in lines
    refused = run_here("prepare", *words[:3], "--response", "auc", "--out", tmp_path / "e")
    assert refused.code == 2
    assert refused.output.splitlines()[-1].startswith("error: --response auc: ")
    assert not (tmp_path / "e").exists()


def test_what_is_no_data_set_is_refused_in_one_sentence(run_here: Run, tmp_path: Path) -> None:
    outcome = run_here("info", tmp_path)
    assert outcome.code == 2
    assert outcome.output.startswith(f"error: {tmp_path} is no data set")
    assert outcome.output.count("\n") == 1


def test_a_changed_table_is_refused(run_here: Run, tmp_path: Path) -> None:
    assert run_here("simulate", "--preset", "small", "--out", tmp_path / "d").code == 0
    file = tmp_path / "d" / "responses.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    outcome = run_here("info", tmp_path / "d")
    assert outcome.code == 2
    assert "responses.parquet was changed or damaged" in outcome.output
