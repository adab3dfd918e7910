"""Every command block of README and docs runs, in a folder that holds the files it names."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, Outcome
from tests.data.sources import combination_fixtures, screen_fixtures
from tests.data.sources.matrices import draw, write

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A fit in the docs trains to the end; here it shows that it runs.
BRIEF = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=3"]
OVERLAYS = {
    f"configs/{path.name}"
    for path in (ROOT / "configs").glob("*.yaml")
    if "strategy:" in path.read_text()
}
WITH_COMMANDS = [page for page in PAGES if FENCE.search(page.read_text())]


def commands(page: Path) -> list[list[str]]:
    """Read a page's commands, continued lines joined, comments gone."""
    found = []
    for block in FENCE.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                found.append(words)
    return found


@pytest.fixture
def sandbox(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_here: Callable[..., Outcome],
    shared_data: Path,
) -> Path:
    """A folder with the files that the pages name: ``raw/``, ``configs/``, ``pairs.csv`` .."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    raw = tmp_path / "raw"
    raw.mkdir()
    almanac, cellminer = shared_data / "almanac", shared_data / "cellminer"
    for name, source in {
        "ComboScore.csv.gz": almanac / "DTP_NCI60_ALMANAC_COMBO_SCORE.csv.gz",
        "ComboDrugGrowth.csv": almanac / "ComboDrugGrowth_sample.csv",
        "drugs.csv": almanac / "drugs.csv",
        "names.txt": almanac / "ComboCompoundNames_small.txt",
        "cells.csv": almanac / "cells.csv",
        "expression.parquet": cellminer / "RNA__Affy_HG_U133A_gene_maxvar.parquet",
        "lincs1000_genes.txt": cellminer / "lincs1000_genes.txt",
        "microrna.txt.gz": cellminer / "RNA__Agilent_Human_microRNA_(V2)_GeneSpringGX.txt.gz",
        "protein.txt.gz": cellminer / "Protein_SWATH_int2.4.2_05192020.txt.gz",
        "rppa.txt.gz": cellminer / "Protein__Lysate_Array_log2.txt.gz",
        "rppa.xls": cellminer / "Protein__Lysate_Array_log2.xls",
        "exome.txt.gz": cellminer / "DNA__Exome_Seq_Protein_function_affecting.txt.gz",
    }.items():
        (raw / name).symlink_to(source)
    pairs = "cell_id,drug_1,drug_2\nMCF7,Methotrexate,vemurafenib\nA549,740,750\n"
    (tmp_path / "pairs.csv").write_text(pairs)
    (tmp_path / "new_pairs.csv").write_text(f"{pairs}SR,ethanol,740\n")
    (tmp_path / "new_drugs.csv").write_text("name,smiles\nethanol,CCO\n")
    (tmp_path / "library.smi").write_text("CCO ethanol\nc1ccccc1O phenol\nC1CC broken\n")
    _own_tables(tmp_path)
    _dense_matrices(raw)
    _combination_screens(raw)
    _screens(raw)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _own_tables(folder: Path) -> None:
    """Write what a user of `prepare table` would bring."""
    lines, drugs = [f"LINE-{i}" for i in range(8)], ["aspirin", "caffeine", "ethanol"]
    rows = [
        (line, a, b, 1.0, 2.0, float(i))
        for i, line in enumerate(lines)
        for a, b in (drugs[:2], drugs[1:], drugs[::2])
    ]
    names = ["cell_line", "drug_1", "drug_2", "dose_1", "dose_2", "response"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "my_screen.csv", index=False)
    smiles = ["CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "CCO"]
    pd.DataFrame({"drug": drugs, "smiles": smiles}).to_csv(folder / "my_drugs.csv", index=False)
    cells = pd.DataFrame({"cell_line": lines, "GENE1": range(8), "GENE2": range(8, 0, -1)})
    cells.to_csv(folder / "my_cells.csv", index=False)


def _dense_matrices(folder: Path) -> None:
    """Write what a user of `prepare dense` would bring, of the reference set's width."""
    drawn = draw(rows=400, lines=6, drugs=9, widths=(921, 3829))
    for part, rows in (("train", slice(0, 320)), ("val", slice(320, 400))):
        write(drawn.matrix[rows], folder / f"combo_x_{part}.npy")
        write(drawn.response[rows], folder / f"combo_y_{part}.npy")
        for k, columns in enumerate((slice(0, 921), slice(921, 4750), slice(4750, 8579))):
            write(drawn.matrix[rows, columns], folder / f"combo_x_{part}.{k}.npy")


def _combination_screens(folder: Path) -> None:
    """Write screens of combinations as their sources publish them."""
    (folder / "summary_v_1_5.csv").write_bytes(combination_fixtures.drugcomb_table().content())
    (folder / "matrix.csv").write_bytes(combination_fixtures.dose_table().content())
    (folder / "matrix_sheet.csv").write_text(combination_fixtures.dose_sheet())
    combination_fixtures.write_oneil(folder / "oneil")


def _screens(folder: Path) -> None:
    """Write single-drug screens as their sources publish them."""
    screen_fixtures.write_xlsx(folder / "GDSC2_fitted_dose_response.xlsx", screen_fixtures.GDSC2)
    (folder / "GI50.csv").write_bytes(screen_fixtures.NCI60.content())
    screen_fixtures.write_ctrp(folder / "ctrp", screen_fixtures.ctrp_tables())


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_every_command_of_the_docs_runs(
    page: Path, sandbox: Path, run_cli: Callable[..., Outcome]
) -> None:
    for words in commands(page):
        if words[0] == "make":
            target = subprocess.run(
                ["make", "-n", "-C", str(ROOT), *words[1:]], capture_output=True, check=False
            )
            assert target.returncode == 0, words
            continue
        assert words[0] == "combo-lightning", words
        if words[1] in ("fit", "cross-validate") and "--resume" not in words:
            words = [*words, *BRIEF]
        if any(word in OVERLAYS for word in words):
            outcome = _run_process(words[1:])
        else:
            outcome = run_cli(*words[1:])
        assert outcome.code == 0, f"{' '.join(words)}\n{outcome.output}"


def _run_process(words: list[str]) -> Outcome:
    """Run a command whose strategy starts others with the same command line."""
    done = subprocess.run(
        [sys.executable, "-m", "combo_lightning", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stderr)


def test_pages_link_only_to_files_that_are_there() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_readmes_first_screen_shows_both_commands() -> None:
    first = (ROOT / "README.md").read_text().splitlines()[:40]
    assert any(line.startswith("make demo") for line in first)
    assert any(line.startswith("make test") for line in first)
    assert any("TORCH_INDEX" in line for line in first)
