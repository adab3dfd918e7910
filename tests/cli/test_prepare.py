"""`prepare` as a user runs it: one sentence for bad input, a data set for good."""

from collections.abc import Callable
from pathlib import Path

import pytest

from combo_lightning.data.dataset import read_dataset
from tests.conftest import Outcome
from tests.data.sources.drug_fixtures import (
    ASPIRIN,
    IMATINIB,
    MELPHALAN,
    write_pubchem_sdf,
)
from tests.data.sources.fixtures import (
    block,
    write_cellminer,
    write_cells,
    write_drugs,
    write_growth,
    write_scores,
)

RunHere = Callable[..., Outcome]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_scores(tmp_path / "scores.csv")
    write_drugs(tmp_path / "drugs.csv")
    write_cells(tmp_path / "cells.csv")
    write_cellminer(tmp_path / "protein.txt")
    pair = block("740", "752", [50.0] * 9, [60.0] * 9)
    write_growth(tmp_path / "growth.csv", pair)
    return tmp_path


def combo_score(raw: Path, *more: object) -> tuple[object, ...]:
    return (
        "prepare", "almanac-combo-score", "--scores", raw / "scores.csv", "--drugs",
        raw / "drugs.csv", "--cells", raw / "cells.csv", "--protein", raw / "protein.txt",
        "--out", raw / "out", *more,
    )  # fmt: skip


def test_it_ends_with_the_join_and_the_next_command(
    run_here: RunHere, raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    outcome = run_here(*combo_score(raw, "--chemistry", "[maccs]"))
    assert outcome.code == 0, outcome.output
    assert f"next: combo-lightning info {raw / 'out'}" in outcome.output
    assert "cell lines in protein: 4 of 4 matched" in caplog.text
    assert "7 scores kept, 5 missing" in caplog.text
    dataset = read_dataset(raw / "out")
    assert set(dataset.drugs.blocks) == {"maccs"}
    assert dataset.manifest["made_by"]["command"][:2] == ["prepare", "almanac-combo-score"]


def test_an_existing_data_set_is_replaced_only_if_asked(run_here: RunHere, raw: Path) -> None:
    assert run_here(*combo_score(raw)).code == 0
    again = run_here(*combo_score(raw))
    assert again.code == 2
    assert "add --overwrite" in again.output
    assert run_here(*combo_score(raw, "--overwrite", "true")).code == 0


@pytest.mark.parametrize("response", ["growth", "min-growth", "combo-score"])
def test_each_response_of_the_growth_file_has_its_kind(
    run_here: RunHere, raw: Path, response: str
) -> None:
    outcome = run_here(
        "prepare", "almanac-growth", "--growth", raw / "growth.csv", "--drugs",
        raw / "drugs.csv", "--response", response, "--out", raw / "out",
    )  # fmt: skip
    assert outcome.code == 0, outcome.output
    dataset = read_dataset(raw / "out")
    assert dataset.kind.name == response.replace("-", "_")
    assert len(dataset.responses) == (9 if response == "growth" else 1)
    assert set(dataset.drugs.blocks) == {"descriptors", "morgan"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--drugs", "nowhere.csv"), "--drugs: there is no file nowhere.csv"),
        (("--scores", "scores.csv"), "--scores: there is no file scores.csv"),
        (("--chemistry", "[morgen]"), "morgen"),
        (("--genes", "x.txt", "--expression", "y.txt"), "--expression: there is no file y.txt"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    run_here: RunHere, raw: Path, options: tuple[str, ...], message: str
) -> None:
    before = sorted(raw.iterdir())
    outcome = run_here(*combo_score(raw, *options))
    assert outcome.code == 2
    assert message in outcome.output
    assert "Traceback" not in outcome.output
    assert sorted(raw.iterdir()) == before


def test_a_missing_option_and_an_unknown_source_are_told(run_here: RunHere) -> None:
    outcome = run_here("prepare", "almanac-combo-score", "--out", "x")
    assert outcome.code == 2
    assert "scores" in outcome.output
    assert run_here("prepare", "almanack").code == 2


def test_names_of_one_file_and_structures_of_another_make_the_drugs(
    run_here: RunHere, raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (raw / "names.txt").write_text("740\tMethotrexate\n752\tThioguanine\n3053\tDactinomycin\n")
    (raw / "list.smi").write_text("CCO Methotrexate\nCCN thioguanine\nCCO.Cl NSC-3053\n")
    outcome = run_here(
        "prepare", "almanac-combo-score", "--scores", raw / "scores.csv", "--drugs",
        f"[{raw / 'names.txt'},{raw / 'list.smi'}]", "--chemistry", "[maccs]",
        "--merge_duplicates", "true", "--out", raw / "out",
    )  # fmt: skip
    assert outcome.code == 0, outcome.output
    dataset = read_dataset(raw / "out")
    assert "names.txt: read as NSC list: 3 drugs, 0 with a structure" in caplog.text
    assert "NSC 752: structure of 'thioguanine', by its name but for case" in caplog.text
    assert "merged 1 drugs: 740 = 3053" in caplog.text
    assert dataset.drugs.ids == ("740", "752")
    assert dataset.drugs.annotation("name") == ["Methotrexate", "Thioguanine"]
    assert "3053" in dataset.drugs.synonyms()[0]
    assert len(dataset.responses) == 7
    notes = dataset.manifest["made_by"]["joins"][-1]["notes"]
    assert any(note.startswith("one compound: 740, 3053") for note in notes)
    names = [Path(source["path"]).name for source in dataset.manifest["sources"]]
    assert names == ["scores.csv", "names.txt", "list.smi"]


def test_names_alone_make_drugs_without_features_if_that_is_asked_for(
    run_here: RunHere, raw: Path
) -> None:
    (raw / "names.txt").write_text("740\tMethotrexate\n752\tThioguanine\n3053\tDactinomycin\n")
    command = (
        "prepare", "almanac-combo-score", "--scores", raw / "scores.csv", "--drugs",
        raw / "names.txt", "--out", raw / "out",
    )  # fmt: skip
    refused = run_here(*command)
    assert refused.code == 2
    assert "no column 'SMILES' nor other structures; add a file that gives them" in refused.output
    assert run_here(*command, "--chemistry", "[]").code == 0
    assert read_dataset(raw / "out").drugs.annotation("name")[0] == "Methotrexate"


def test_a_table_of_responses_takes_its_drugs_from_sdf(run_here: RunHere, raw: Path) -> None:
    write_pubchem_sdf(raw / "drugs.sdf.gz")
    (raw / "r.csv").write_text(
        "cell_id,drug_1,drug_2,response\nMCF7,aspirin,CID 460612,1\nMCF7,Imatinib,,2\n"
    )
    outcome = run_here(
        "prepare", "table", "--responses", raw / "r.csv", "--drugs", raw / "drugs.sdf.gz",
        "--chemistry", "[maccs]", "--out", raw / "out",
    )  # fmt: skip
    assert outcome.code == 0, outcome.output
    dataset = read_dataset(raw / "out")
    assert dataset.drugs.ids == ("aspirin", "Imatinib", "CID 460612")
    assert dataset.drugs.annotation("smiles") == [
        ASPIRIN.smiles,
        IMATINIB.smiles,
        MELPHALAN.smiles,
    ]
    assert dataset.drugs.blocks["maccs"].values_EF.sum(axis=1).min() > 10
