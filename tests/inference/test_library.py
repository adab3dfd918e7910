"""A library of structures: what is screened, what is skipped, and where it goes on."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.chemistry import featurise
from combo_lightning.inference import library
from combo_lightning.inference.predictor import Predictor
from tests.conftest import Outcome
from tests.data.sources.drug_fixtures import DRUGS, mol_block, pubchem_record
from tests.inference.brute_force import (
    assert_close,
    run,
)
from tests.inference.models import make_checkpoint, make_data

pytestmark = pytest.mark.usefixtures("small_blocks")

ASPIRIN, IMATINIB = "CC(=O)Oc1ccccc1C(=O)O", "Cc1ccc(cc1Nc1nccc(n1)-c1cccnc1)NC(=O)c1ccccc1"


@pytest.fixture(scope="module")
def chemical(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A model whose drug features come from structures; a known drug's id and SMILES."""
    folder = tmp_path_factory.mktemp("chemical")
    data = make_data(folder / "data")
    ckpt = make_checkpoint(data, folder / "a.ckpt", join="slots")
    drugs = pd.read_parquet(data / "drugs.parquet")
    return ckpt, str(drugs["drug_id"][3]), str(drugs["smiles"][3])


def write_library(path: Path, known: str, known_smiles: str) -> Path:
    lines = [
        "SMILES name",
        f"{ASPIRIN} aspirin",
        "C1CC broken ring",
        "",
        f"{known_smiles}\told friend",
        f"{IMATINIB} imatinib-like",
        "CCO aspirin",
        "CCCCCCO",
        "CCOCC ether",
        f"CCN {known}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def check_library(out: Path, ckpt: Path, known: str) -> None:
    found = pd.read_parquet(out)
    names = {*found["drug_1"], *found["drug_2"]}
    assert names == {"aspirin", "old friend", "imatinib-like", "CCCCCCO", "ether"}
    assert len(found) == 10 * 12
    predictor = Predictor.load(ckpt)
    fresh = {"aspirin": ASPIRIN, "imatinib-like": IMATINIB, "CCCCCCO": "CCCCCCO", "ether": "CCOCC"}
    predictor.add_drugs(list(fresh), list(fresh.values()))
    cell = np.array([predictor.cells.index(c, "here") for c in found["cell_id"]])
    drug = np.array(
        [
            [predictor.drugs.index(known if d == "old friend" else d, "here") for d in pair]
            for pair in zip(found["drug_1"], found["drug_2"], strict=True)
        ]
    )
    answer = predictor.predict(cell, drug)
    assert_close(found["prediction"], answer)
    skipped = pd.read_csv(out.with_name("top.skipped.csv"))
    assert list(skipped["row"]) == [1, 4, 7]
    assert "RDKit cannot read the SMILES 'C1CC'" in skipped["problem"][0]
    assert "row 0 has this name already" in skipped["problem"][1]
    assert f"knows another drug of this name, '{known}'" in skipped["problem"][2]


@pytest.mark.parametrize("chunk", [2, 512])
def test_a_library_is_screened_and_its_bad_rows_are_named(
    chemical: tuple[Path, str, str], tmp_path: Path, chunk: int
) -> None:
    # A chunk of 2 computes features in processes of their own.
    ckpt, known, smiles = chemical
    path = write_library(tmp_path / "library.smi", known, smiles)
    with patch.object(library, "CHUNK", chunk):
        report = run(ckpt, tmp_path / "top.parquet", top=100, drugs=str(path))
    assert [row.name for row in report.skipped] == ["broken ring", "aspirin", known]
    check_library(tmp_path / "top.parquet", ckpt, known)


def test_a_library_stopped_half_way_goes_on_at_its_last_chunk(
    chemical: tuple[Path, str, str], tmp_path: Path
) -> None:
    ckpt, known, smiles = chemical
    path = write_library(tmp_path / "library.smi", known, smiles)
    real, calls = featurise, list[int]()

    def stops(*arguments: Any) -> Any:
        calls.append(len(arguments[1]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    single = patch.object(os, "sched_getaffinity", lambda _: {0}, create=True)
    options: dict[str, Any] = {"top": 100, "drugs": str(path)}
    with single, patch.object(library, "CHUNK", 2), patch.object(library, "featurise", stops):
        # The first chunk is as large as a chunk, so that one core goes on by chunks.
        with pytest.raises(KeyboardInterrupt):
            run(ckpt, tmp_path / "top.parquet", **options)
        log = tmp_path / "top.parquet.partial" / "library.jsonl"
        log.write_text(log.read_text() + '[4, "torn')
        run(ckpt, tmp_path / "top.parquet", **options)
    assert sum(calls[:2]) == 4
    assert sum(calls[3:]) == 4  # the rest only
    check_library(tmp_path / "top.parquet", ckpt, known)


def test_the_command_tells_what_it_did(
    chemical: tuple[Path, str, str], tmp_path: Path, run_here: Callable[..., Outcome]
) -> None:
    ckpt, known, smiles = chemical
    path = write_library(tmp_path / "library.smi", known, smiles)
    out = tmp_path / "top.parquet"
    outcome = run_here(
        "screen", f"--ckpt_path={ckpt}", f"--drugs={path}", "--top=3", f"--out={out}"
    )
    assert outcome.code == 0
    assert "36 rows, the best of 120 scores" in outcome.output


def test_a_library_may_be_sdf_and_names_what_cannot_be_read(
    chemical: tuple[Path, str, str], tmp_path: Path
) -> None:
    ckpt, _, _ = chemical
    broken = mol_block("CO", "").replace(" O  ", " Xx ", 1)
    text = "".join(pubchem_record(drug) for drug in DRUGS)
    path = tmp_path / "library.sdf.gz"
    path.write_bytes(gzip.compress(f"{text}{broken}> <NSC>\n7\n\n$$$$\n".encode()))
    entries = list(library.read_library(path))
    assert [(e.name, e.smiles) for e in entries[:3]] == [(f"CID {d.cid}", d.smiles) for d in DRUGS]
    report = run(ckpt, tmp_path / "top.parquet", top=100, drugs=str(path))
    assert [(row.name, row.problem) for row in report.skipped] == [
        ("NSC 7", "RDKit cannot read its mol block")
    ]
    found = pd.read_parquet(tmp_path / "top.parquet")
    names = {*found["drug_1"], *found["drug_2"]}
    assert names == {f"CID {drug.cid}" for drug in DRUGS}
