from pathlib import Path

import numpy as np
import pytest

from combo_lightning.errors import InputError
from tests.data.sources.screen_reading import contents, dropped, prepare

MATRIX = (
    ",BRD-K11433652-001-20-5::2.5::HTS,BRD-K11111111-001-01-1::2.5::HTS,"
    "BRD-K11433652-001-20-5::0.625::MTS010::PLATE01\n"
    "ACH-000019,-1,0.5,0\n"
    "ACH-000681,NA,-3.25,-0.125\n"
    "ACH-000010_FAILED_STR,-2,-2,\n"
    "control,-2,,\n"
)
TREATMENTS = (
    "column_name,broad_id,name,dose,screen_id,moa,target,disease.area,indication,smiles,phase\n"
    "BRD-K11433652-001-20-5::2.5::HTS,BRD-K11433652-001-20-5,aspirin,2.5,HTS,"
    'cyclooxygenase inhibitor,"PTGS1, PTGS2",,,"CC(=O)Oc1ccccc1C(O)=O, CCO",Launched\n'
    "BRD-K11433652-001-20-5::0.625::MTS010::PLATE01,BRD-K11433652-001-20-5,aspirin,0.625,MTS010,"
    "cyclooxygenase inhibitor,,,,CC(=O)Oc1ccccc1C(O)=O,Launched\n"
)


def test_changes_become_percent_of_control_at_a_dose(tmp_path: Path) -> None:
    path = tmp_path / "primary-screen-replicate-collapsed-logfold-change.csv"
    path.write_text(MATRIX)
    dataset = prepare(path, "viability")
    rows = dataset.responses
    expected = 100 * 2.0 ** np.array([-1, 0.5, 0, -3.25, -0.125])
    np.testing.assert_allclose(rows.response_N, expected, rtol=1e-6)
    assert dataset.cells.ids == ("ACH-000019", "ACH-000681")
    assert rows.cell_N.tolist() == [0, 0, 0, 1, 1]
    assert dataset.drugs.ids == ("BRD-K11433652-001-20-5", "BRD-K11111111-001-01-1")
    assert rows.log10_molar_NK is not None
    low, high = np.log10(0.625e-6), np.log10(2.5e-6)
    np.testing.assert_allclose(rows.log10_molar_NK[:, 0], [high, high, low, high, low], rtol=1e-6)
    assert rows.study_N is not None
    assert [rows.studies[i] for i in rows.study_N] == ["HTS", "HTS", "MTS010", "HTS", "MTS010"]
    assert dropped(dataset) == {
        "missing response": 4, "the line did not pass STR profiling": 2, "no cell line": 1
    }  # fmt: skip


def test_the_table_of_treatments_names_the_compounds(tmp_path: Path) -> None:
    path = tmp_path / "changes.csv"
    path.write_text(MATRIX)
    (tmp_path / "other.csv").write_text(TREATMENTS.replace("BRD-", "BRD-X"))
    (tmp_path / "treatments.csv").write_text(TREATMENTS)
    dataset = prepare(path, "viability", ["descriptors"])
    assert dataset.drugs.ids == ("aspirin", "BRD-K11111111-001-01-1")
    assert dataset.drugs.annotation("smiles") == ["CC(=O)Oc1ccccc1C(O)=O", None]
    assert dataset.drugs.synonyms() == [["BRD-K11433652-001-20-5"], []]
    files = [Path(source["path"]).name for source in dataset.manifest["sources"]]
    assert files == ["changes.csv", "treatments.csv"]


def test_the_order_of_columns_does_not_matter(tmp_path: Path) -> None:
    lines = [line.split(",") for line in MATRIX.splitlines()]
    path = tmp_path / "x.csv"
    path.write_text(MATRIX)
    plain = contents(prepare(path, "viability"))
    path.write_text("\n".join(",".join([*line[1:], line[0]]) for line in lines) + "\n")
    assert contents(prepare(path, "viability")) == plain


def test_what_is_no_number_or_dose_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(MATRIX.replace("-3.25", "-3,25").replace("ACH-000681,NA", '"ACH-000681",NA'))
    with pytest.raises(InputError, match="has a row of 5 fields, the header has 4"):
        prepare(path, "viability")
    path.write_text(MATRIX.replace("-3.25", "low"))
    with pytest.raises(InputError, match=r"line 3, column 'BRD-K11111111.*' holds 'low'"):
        prepare(path, "viability")
    path.write_text(MATRIX.replace("::0.625::", "::0::"))
    with pytest.raises(InputError, match=r"the dose of column 'BRD.*::0::.*' is not above 0"):
        prepare(path, "viability")
    with pytest.raises(InputError, match="PRISM log-fold changes, which gives viability"):
        prepare(path, "auc")
