from pathlib import Path

import numpy as np
import pytest

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.sources.screen import ScreenRequest, prepare_screen
from combo_lightning.data.sources.screen_entities import EntityFiles
from combo_lightning.data.sources.screen_formats import FORMATS
from combo_lightning.errors import InputError
from tests.data.sources.profile_fixtures import GDSC
from tests.data.sources.screen_fixtures import GDSC2, GDSC_WEB, write_xlsx
from tests.data.sources.screen_reading import contents, edited, notes, prepare_table
from tests.data.sources.screen_reading import prepare as from_file

HEADER = (
    "DATASET,NLME_RESULT_ID,NLME_CURVE_ID,COSMIC_ID,CELL_LINE_NAME,SANGER_MODEL_ID,TCGA_DESC,"
    "DRUG_ID,DRUG_NAME,PUTATIVE_TARGET,PATHWAY_NAME,COMPANY_ID,WEBRELEASE,MIN_CONC,MAX_CONC,"
    "LN_IC50,AUC,RMSE,Z_SCORE"
)
ROWS = (
    'GDSC2,282,15946310,683667,PFSK-1,SIDM01132,MB,1003,Camptothecin,"TOP1, TOP2",DNA replication,'
    "1046,Y,0.0001,0.1,-1.463887,0.930220,0.089052,0.433123",
    "GDSC2,282,15946548,684052,A673,SIDM00848,UNCLASSIFIED,1003,Camptothecin,TOP1,DNA replication,"
    "1046,Y,0.0001,0.1,-4.869455,0.614970,0.111351,-1.421100",
    "GDSC2,282,15946830,683667,PFSK-1,SIDM01132,MB,1089,Oxaliplatin,DNA crosslinker,DNA "
    "replication,1046,Y,0.1,10,3.360684,0.791072,0.142855,-0.599569",
    "GDSC2,282,15947087,683667,PFSK-1,SIDM01132,MB,1806,Oxaliplatin,DNA crosslinker,DNA "
    "replication,1046,Y,0.1,10,3.5,,0.142855,-0.516593",
)


def prepare(
    tmp_path: Path, response: str, text: str | None = None, slots: int | None = None
) -> ScreenDataset:
    """Prepare a screen in GDSC's layout."""
    path = tmp_path / "GDSC2_fitted_dose_response_27Oct23.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n" if text is None else text)
    request = ScreenRequest(path, response, EntityFiles([], None, {}, None, ()), slots)
    made_by = {"command": ["x"]}
    return read_dataset(
        prepare_screen(request, FORMATS, Target(tmp_path / "out", made_by, overwrite=True))
    )


def test_ic50s_become_log10_molar_of_lines_with_their_identifiers(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, "ic50")
    responses = dataset.responses
    expected = np.log10(np.exp([-1.463887, -4.869455, 3.360684, 3.5]) * 1e-6)
    np.testing.assert_allclose(responses.response_N, expected, rtol=1e-6)
    assert dataset.cells.ids == ("PFSK-1", "A673")
    assert dataset.cells.synonyms() == [["683667", "SIDM01132"], ["684052", "SIDM00848"]]
    assert dataset.cells.annotation("tissue") == ["MB", "UNCLASSIFIED"]
    assert dataset.drugs.ids == ("Camptothecin", "Oxaliplatin")
    assert responses.drug_NK[:, 0].tolist() == [0, 0, 1, 1]
    made_by = dataset.manifest["made_by"]
    assert made_by["format"] == "GDSC fitted dose response"
    (count,) = made_by["notes"].values()
    assert count == 3  # of 0.1 uM once, of 10 uM twice


def test_a_missing_value_is_dropped_and_counted_by_kind(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, "auc")
    assert len(dataset.responses) == 3
    assert dataset.manifest["made_by"]["dropped"] == {"missing response": 1}
    assert dataset.responses.response_N.max() < 1
    zscore = prepare(tmp_path, "zscore")
    assert zscore.responses.response_N[1] == np.float32(-1.4211)
    assert zscore.kind.unit == "standard deviations"


def test_empty_slots_make_it_fit_a_screen_of_pairs(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, "auc", slots=2)
    assert dataset.responses.drug_NK.tolist() == [[0, -1], [0, -1], [1, -1]]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which gives ic50, auc, zscore"):
        prepare(tmp_path, "gi50")
    with pytest.raises(InputError, match="line 3, column 'LN_IC50' holds 'high'; it must be"):
        prepare(tmp_path, "ic50", "\n".join([HEADER, *ROWS]).replace("-4.869455", "high"))
    with pytest.raises(InputError, match=r"is of no format that is known here.*prepare table"):
        prepare(tmp_path, "ic50", "a,b,c\n1,2,3\n")
    lacking = "\n".join([HEADER, *ROWS]).replace(",AUC", ",AREA")
    with pytest.raises(InputError, match="GDSC fitted dose response, but has no column 'AUC'"):
        prepare(tmp_path, "auc", lacking)
    assert not (tmp_path / "out").exists()


def test_the_workbook_reads_as_the_table(tmp_path: Path) -> None:
    plain = prepare_table(GDSC2, tmp_path, "ic50")
    path = write_xlsx(tmp_path / "GDSC2_fitted_dose_response_27Oct23.xlsx", GDSC2)
    assert contents(from_file(path, "ic50")) == contents(plain)
    bad = edited(GDSC2, 1, LN_IC50="-3,25")
    path = write_xlsx(tmp_path / "bad.xlsx", bad)
    with pytest.raises(InputError, match=r"sheet 'Sheet 1', row 3, column 'LN_IC50' holds '-3,2"):
        from_file(path, "ic50")


def test_a_drug_of_two_ids_is_one_drug_with_replicates(tmp_path: Path) -> None:
    dataset = prepare_table(GDSC2, tmp_path, "auc")
    assert dataset.drugs.ids == ("Camptothecin", "Luminespib")
    assert dataset.responses.cell_N.tolist()[:2] == [0, 0]
    assert dataset.responses.drug_NK[:2, 0].tolist() == [0, 0]
    assert dataset.cells.annotation("tissue") == ["BRCA", "LUAD", None]


def test_the_web_export_has_logarithms_called_ic50(tmp_path: Path) -> None:
    dataset = prepare_table(GDSC_WEB, tmp_path, "ic50", "PANCANCER_IC_Wed Feb 8.csv")
    expected = np.log10(np.exp([-1.463887, -4.869455]) * 1e-6)
    np.testing.assert_allclose(dataset.responses.response_N, expected, rtol=1e-6)
    assert dataset.cells.synonyms() == [["905946"], ["905949"]]
    assert list(notes(dataset).values()) == [1]


def test_concentrations_of_older_releases_have_another_name(tmp_path: Path) -> None:
    old = GDSC2.rename(lambda name: name.replace("_CONC", "_CONC_MICROMOLAR"))
    assert notes(prepare_table(old, tmp_path, "ic50")) == notes(
        prepare_table(GDSC2, tmp_path, "ic50")
    )


def test_profiles_join_by_the_screens_own_identifiers(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(GDSC2.content())
    expression = tmp_path / "Cell_line_RMA_proc_basalExp.txt"
    expression.write_text(GDSC)
    files = EntityFiles([], None, {"expression": expression}, None, ())
    request = ScreenRequest(tmp_path / "x.csv", "ic50", files)
    made = prepare_screen(request, FORMATS, Target(tmp_path / "out"))
    cells = read_dataset(made).cells
    values = cells.blocks["expression"].values_EF
    # TP53 of DATA.905946 and DATA.905949; KARPAS-299 is not there.
    assert values[:2, 1].tolist() == [6.25, 5]
    assert np.isnan(values[2]).all()


def test_structures_come_by_name_or_synonym_and_never_by_a_name_of_digits(tmp_path: Path) -> None:
    table = edited(edited(GDSC2, 3, DRUG_NAME="123138"), 3, PUTATIVE_TARGET="")
    (tmp_path / "x.csv").write_bytes(table.content())
    drugs = tmp_path / "drugs.csv"
    drugs.write_text(
        "name,synonyms,CID,SMILES\nethanol,,123138,CCO\nCPT,Camptothecin|NSC 94600,24360,CCN\n"
        "Luminespib,,10096043,CCCO\n"
    )
    files = EntityFiles([drugs], None, {}, None, ())
    request = ScreenRequest(tmp_path / "x.csv", "ic50", files)
    made = prepare_screen(request, FORMATS, Target(tmp_path / "out"))
    found = read_dataset(made).drugs
    assert found.ids == ("Camptothecin", "123138", "Luminespib")
    assert found.annotation("smiles") == ["CCN", None, "CCCO"]


def test_what_wells_state_is_not_asked_of_a_screen_of_curves(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(GDSC2.content())
    files = EntityFiles([], None, {}, None, ())
    request = ScreenRequest(tmp_path / "x.csv", "ic50", files, wells="inhibition")
    with pytest.raises(InputError, match=r"--wells inhibition: .* is GDSC .*leave the option out"):
        prepare_screen(request, FORMATS, Target(tmp_path / "out"))


@pytest.mark.parametrize("slots", [0, -1])
def test_fewer_slots_than_the_rows_have_drugs_are_refused(tmp_path: Path, slots: int) -> None:
    with pytest.raises(InputError, match=rf"--slots {slots}: the rows of GDSC .* need 1; give"):
        prepare(tmp_path, "auc", slots=slots)
