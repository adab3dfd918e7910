from pathlib import Path

import numpy as np
import pytest

from combo_lightning.errors import InputError
from tests.data.sources.screen_fixtures import PRISM
from tests.data.sources.screen_reading import dropped, edited, notes, prepare, prepare_table

FAILED = "the line did not pass STR profiling"


def test_curves_are_read_with_their_screens_and_structures(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(PRISM.content())
    dataset = prepare(tmp_path / "x.csv", "auc", ["descriptors"])
    rows = dataset.responses
    np.testing.assert_allclose(rows.response_N, [0.5225, 0.6, 0.91, 0.41, 0.31, 0.21], rtol=1e-6)
    assert rows.study_N is not None
    assert [rows.studies[i] for i in rows.study_N] == ["MTS010", "HTS002", *["MTS010"] * 4]
    assert dataset.drugs.ids == ("aspirin", "BRD-K11111111-001-01-1")
    assert dataset.drugs.annotation("smiles") == ["CC(=O)Oc1ccccc1C(O)=O", "CCO"]
    assert dataset.drugs.synonyms()[0] == ["BRD-K11433652-001-20-5"]
    assert dataset.drugs.annotation("mechanism") == ["cyclooxygenase inhibitor", None]
    assert list(dataset.drugs.blocks) == ["descriptors"]
    assert rows.weight_N is None
    assert dropped(dataset) == {FAILED: 1}
    (several,) = notes(dataset).values()
    assert several == 3


def test_lines_are_named_by_model_and_known_by_ccle(tmp_path: Path) -> None:
    cells = prepare_table(PRISM, tmp_path, "auc").cells
    assert cells.ids == ("ACH-000019", "ACH-000681", "ACH-000932", "ACH-000048")
    assert cells.annotation("tissue") == ["breast", "lung", "thyroid", "oesophagus"]
    # Two lines are called TT, so that the name tells neither.
    assert cells.synonyms() == [
        ["MCF7", "MCF7_BREAST"], ["A549", "A549_LUNG"], ["TT_THYROID"], ["TT_OESOPHAGUS"]
    ]  # fmt: skip


def test_ic50s_become_log10_molar_and_missing_ones_are_counted(tmp_path: Path) -> None:
    dataset = prepare_table(PRISM, tmp_path, "ic50")
    expected = np.log10(np.array([0.25, 0.5, 0.011, 1000.5, 0.009]) * 1e-6)
    np.testing.assert_allclose(dataset.responses.response_N, expected, rtol=1e-6)
    assert dropped(dataset) == {FAILED: 1, "missing response": 1}


def test_an_ic50_that_is_no_concentration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 3, column 'ic50' holds '-6.3'.*in uM, above 0"):
        prepare_table(edited(PRISM, 1, ic50="-6.3"), tmp_path, "ic50")


def test_a_structure_that_cannot_be_read_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    made = prepare_table(edited(PRISM, 0, smiles="C)C"), tmp_path, "auc")
    assert made.drugs.annotation("smiles")[0] is None
    assert "drug 'aspirin': RDKit cannot read 'C)C', which is left out" in caplog.text
