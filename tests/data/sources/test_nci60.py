from pathlib import Path

import numpy as np
import pytest

from combo_lightning.errors import InputError
from tests.data.sources.screen_fixtures import NCI60, NCI60_DOSE, NCI60_OLD
from tests.data.sources.screen_reading import dropped, edited, notes, prepare, prepare_table

HIGHEST = "responses equal the highest concentration tested: the true one is that or above"
LOWEST = "responses equal the lowest of five concentrations: the true one is that or below"


def test_endpoints_of_experiments_are_read_as_log10_molar(tmp_path: Path) -> None:
    dataset = prepare_table(NCI60, tmp_path, "gi50", "GI50.csv")
    rows = dataset.responses
    np.testing.assert_allclose(rows.response_N, [-7.4031, -4, -7.2519, -8.6021], rtol=1e-6)
    assert dataset.cells.ids == ("NCI-H23", "MDA-MB-231/ATCC")
    # As NCI-ALMANAC's files name them, so that they are one tissue in a merged data set.
    assert dataset.cells.annotation("tissue") == ["Non-Small Cell Lung", "Breast"]
    assert dataset.drugs.ids == ("740", "123127")
    assert "NSC 740" in dataset.drugs.synonyms()[0]
    assert rows.drug_NK[:, 0].tolist() == [0, 0, 0, 1]
    assert dropped(dataset) == {"concentration not molar": 1, "missing response": 1}


def test_values_at_the_ends_of_the_concentrations_are_kept_and_counted(tmp_path: Path) -> None:
    assert notes(prepare_table(NCI60, tmp_path, "gi50")) == {HIGHEST: 1, LOWEST: 1}
    within = edited(NCI60, 1, AVERAGE="-4.0002")
    assert notes(prepare_table(within, tmp_path, "gi50")) == {LOWEST: 1}


def test_a_name_that_says_another_endpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is called TGI.*say --response tgi, or call it other"):
        prepare_table(NCI60, tmp_path, "gi50", "TGI.csv")
    for name in ("TGI.csv", "tgi.txt.gz", "mine.csv"):
        assert len(prepare_table(NCI60, tmp_path, "tgi", name).responses) == 4
    assert prepare_table(NCI60, tmp_path, "lc50", "LC50.csv").kind.unit == "log10 molar"


def test_a_value_that_no_concentration_can_be_is_refused(tmp_path: Path) -> None:
    turned = edited(NCI60, 0, AVERAGE="7.4031")
    with pytest.raises(InputError, match=r"line 2, column 'AVERAGE' holds '7.4031'; log10 molar"):
        prepare_table(turned, tmp_path, "gi50")
    old = edited(NCI60_OLD, 0, NLOGGI50="-7.328")
    with pytest.raises(InputError, match=r"'NLOGGI50' holds '-7.328'; -log10 molar was expected"):
        prepare_table(old, tmp_path, "gi50")
    # A biological in ug/ml may be of any strength.
    assert len(prepare_table(edited(NCI60, 4, AVERAGE="7"), tmp_path, "gi50").responses) == 4


def test_other_series_than_nsc_are_dropped(tmp_path: Path) -> None:
    dataset = prepare_table(edited(NCI60, 0, PREFIX="X"), tmp_path, "gi50")
    assert dropped(dataset)["NSC number of another series than S"] == 1
    assert len(dataset.responses) == 3


def test_nsc_numbers_are_mended(tmp_path: Path) -> None:
    dataset = prepare_table(edited(NCI60, 0, NSC="NSC-740"), tmp_path, "gi50")
    assert dataset.drugs.ids == ("740", "123127")


def test_the_older_layout_has_the_other_sign_and_padding(tmp_path: Path) -> None:
    dataset = prepare_table(NCI60_OLD, tmp_path, "gi50", "CANCER60GI50_Oct2020.LST")
    np.testing.assert_allclose(dataset.responses.response_N, [-7.328, -4, -8.602], rtol=1e-6)
    assert dataset.cells.ids == ("NCI-H23", "MDA-MB-231/ATCC")
    assert dataset.cells.annotation("tissue") == ["Non-Small Cell Lung", "Breast"]
    assert dropped(dataset) == {"concentration not molar": 1}
    # Rounding of the highest concentration to one decimal is allowed for.
    assert notes(dataset) == {HIGHEST: 1, LOWEST: 1}
    with pytest.raises(InputError, match=r"of before 2021, but has no column 'NLOGTGI'"):
        prepare(tmp_path / "CANCER60GI50_Oct2020.LST", "tgi")


def test_dose_response_is_growth_or_viability_at_a_dose(tmp_path: Path) -> None:
    dataset = prepare_table(NCI60_DOSE, tmp_path, "growth", "DOSERESP.csv")
    assert dataset.responses.response_N.tolist() == [np.float32(108.3221), 54.25, -62.5]
    assert dataset.responses.log10_molar_NK is not None
    assert dataset.responses.log10_molar_NK[:, 0].tolist() == [-7, -6.5, -4]
    assert dropped(dataset) == {"concentration not molar": 1, "missing response": 1}
    viability = prepare(tmp_path / "DOSERESP.csv", "viability")
    assert viability.responses.response_N.tolist() == [np.float32(102.502), 61.5]
    assert viability.kind.unit == "percent of control"
    with pytest.raises(InputError, match="which gives growth, viability"):
        prepare(tmp_path / "DOSERESP.csv", "gi50")
