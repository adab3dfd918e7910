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
from tests.data.sources.matrices import draw, write
from tests.data.sources.profile_fixtures import DEPMAP_NEW, GDSC, MODEL

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


def test_profiles_of_depmap_and_gdsc_come_with_a_table_of_names(
    run_here: RunHere, raw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    files = {"Model.csv": MODEL, "crispr.csv": DEPMAP_NEW, "gdsc.txt": GDSC}
    for name, text in files.items():
        (raw / name).write_text(text)
    for names in (raw / "Model.csv", f"[{raw / 'Model.csv'},{raw / 'cells.csv'}]"):
        outcome = run_here(
            *combo_score(
                raw, "--crispr", raw / "crispr.csv", "--expression", raw / "gdsc.txt",
                "--cell_names", names, "--overwrite", "true",
            )
        )  # fmt: skip
        assert outcome.code == 0, outcome.output
    assert "cell lines in crispr: 3 of 4 matched\n  3 of them by Model.csv" in caplog.text
    dataset = read_dataset(raw / "out")
    assert dataset.cells.blocks["crispr"].unit.startswith("gene effect")
    assert dataset.cells.blocks["expression"].values_EF[0].tolist() == [7.5, 6.25]
    assert "ACH-000019" in dataset.cells.synonyms()[0]
    joins = {join["what"]: join for join in dataset.manifest["made_by"]["joins"]}
    assert joins["cell lines in crispr"]["guessed"]["HL-60(TB)"] == ["ACH-000002", "Model.csv"]
    outcome = run_here(*combo_score(raw, "--crispr", raw / "crispr.csv", "--overwrite", "true"))
    assert outcome.code == 2
    assert "no cell line of the data set is in the crispr file" in outcome.output


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
        (("--cell_names", "nowhere.csv"), "--cell_names: there is no file nowhere.csv"),
        (("--drugs", "other.csv"), "--drugs is given twice, and only the last would count"),
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


def test_a_dense_matrix_is_cut_by_slices_that_are_given_one_by_one(
    run_here: RunHere, tmp_path: Path
) -> None:
    drawn = draw()
    files = [write(drawn.matrix, tmp_path / "x.npy"), write(drawn.response, tmp_path / "y.npy")]
    words = ("prepare", "dense", "--features", files[0], "--responses", files[1])
    first, second, third = drawn.slices
    slices = ("--slice", first, f"--slice={second}", "--slice", third)
    out = ("--response", "min_growth", "--out", tmp_path / "out")
    outcome = run_here(*words, *slices, *out)
    assert outcome.code == 0, outcome.output
    assert len(read_dataset(tmp_path / "out").drugs) == drawn.drugs
    outcome = run_here(*words, *out, "--overwrite", "true")
    assert outcome.code == 2
    assert "--slice cell=0:4 --slice drug_1=4:7 --slice drug_2=7:10" in outcome.output
    test = ("--test_features", files[0], "--test_responses", files[1], "--overwrite", "true")
    assert run_here(*words, *slices, *test[:2], *out).code == 2
    outcome = run_here(*words, *slices, *test, *out)
    assert outcome.code == 2  # every combination is in both parts: nothing is left to train on
    assert "no training row is left" in outcome.output
    outcome = run_here(*words, *slices, *test[2:], *out)
    assert "there are no --test_features" in outcome.output


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


def test_implausible_measurements_are_refused_with_the_option_that_accepts_them(
    run_here: RunHere, tmp_path: Path
) -> None:
    rows = [f"L{i % 5},x{i % 9},{i % 4},{0.5 + 0.1 * i}" for i in range(60)]
    table = tmp_path / "ic50.csv"
    table.write_text("\n".join(["cell,drug,plate,ic50", *rows]))
    command = ("prepare", "table", "--responses", table, "--response", "ic50", "--out")
    refused = run_here(*command, tmp_path / "out")
    assert refused.code == 2
    assert "they look like " in refused.output
    assert "lnuM" in refused.output
    assert "if that is intended, add --accept [unit]" in refused.output
    assert not (tmp_path / "out").exists()
    refused = run_here(*command, tmp_path / "out", "--accept", "unit")
    assert "if that is intended, add --accept [unit,range]" in refused.output
    for words in (["--accept", "[unit,range]"], ["--accept=unit,range"]):
        accepted = run_here(*command, tmp_path / "out", *words, "--overwrite", "true")
        assert accepted.code == 0, accepted.output


def test_a_row_that_cannot_be_is_named_by_its_line(run_here: RunHere, tmp_path: Path) -> None:
    table = tmp_path / "growth.csv"
    rows = ["A,x,1,50", "", "A,x,1,", "B,x,1,-300"]
    table.write_text("\n".join(["cell,drug,dose (uM),growth", *rows]))
    command = ("prepare", "table", "--responses", table, "--response", "growth", "--out")
    refused = run_here(*command, tmp_path / "out")
    assert refused.code == 2
    assert "line 4 (B, x at -6: -300)" in refused.output
