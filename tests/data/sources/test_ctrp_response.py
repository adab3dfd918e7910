from pathlib import Path

import numpy as np
import pytest

from combo_lightning.errors import InputError
from tests.data.sources.screen_fixtures import (
    CTRP_CURVES,
    CTRP_TOP,
    ctrp_tables,
    ctrp_viability,
    write_ctrp,
    zip_folder,
)
from tests.data.sources.screen_reading import contents, dropped, edited, notes, prepare

CURVES, POINTS = "v20.data.curves_post_qc.txt", "v20.data.per_cpd_post_qc.txt"
BASIC = {"compound that the metadata lack": 1, "two compounds mixed in one well": 1}


def mean_viability(steps: int) -> list[float]:
    """The fraction that is the area's, for the curves that are kept."""
    means = []
    for _, compound, *shape in CTRP_CURVES[:4]:
        top = np.log2(CTRP_TOP[compound])
        x = top - steps * (np.arange(4096) + 0.5) / 4096
        means.append(float(np.mean([ctrp_viability(v, *shape) for v in x])))
    return means


@pytest.mark.parametrize("steps", [15, 7])
def test_areas_become_the_mean_viability_over_the_range_of_the_points(
    tmp_path: Path, steps: int
) -> None:
    dataset = prepare(write_ctrp(tmp_path / "x", ctrp_tables(steps)), "auc", ["descriptors"])
    np.testing.assert_allclose(dataset.responses.response_N, mean_viability(steps), atol=2e-3)
    assert dropped(dataset) == BASIC
    # Of two experiments of one line both stay, also the one that no fingerprint confirms.
    assert dataset.responses.cell_N.tolist() == [0, 1, 1, 1]
    assert list(notes(dataset).values()) == [2]
    assert dataset.cells.ids == ("MCF7", "KARPAS299")
    assert dataset.drugs.annotation("smiles") == ["CC(=O)Oc1ccccc1C(O)=O", "CCO"]
    files = [Path(source["path"]).name for source in dataset.manifest["sources"]]
    assert len(files) == 5


def test_without_points_the_designed_range_counts_where_the_curve_confirms_it(
    tmp_path: Path,
) -> None:
    dataset = prepare(write_ctrp(tmp_path / "x", ctrp_tables(), [POINTS]), "auc")
    np.testing.assert_allclose(dataset.responses.response_N, mean_viability(15), atol=2e-3)
    tables = ctrp_tables()
    tables[CURVES] = ctrp_tables(7)[CURVES]
    with pytest.raises(InputError, match=r"no row that can be used.*4 \(the curve's area is not"):
        prepare(write_ctrp(tmp_path / "y", tables, [POINTS]), "auc")


def test_a_curve_whose_area_is_another_is_dropped_and_counted(tmp_path: Path) -> None:
    tables = ctrp_tables()
    tables[CURVES] = edited(tables[CURVES], 0, area_under_curve="5.1")
    dataset = prepare(write_ctrp(tmp_path / "x", tables), "auc")
    reason = "the curve's area is not that over its range of concentrations"
    assert dropped(dataset) == BASIC | {reason: 1}


def test_ic50s_are_where_the_curve_crosses_a_half_within_the_range(tmp_path: Path) -> None:
    dataset = prepare(write_ctrp(tmp_path / "x", ctrp_tables()), "ic50")
    expected = [np.log10(2.0) - 6]
    for center in (3.0, 2.5):
        # 0.25 + 0.75 f = 0.5
        expected.append((center - np.log(0.5)) * np.log10(2) - 6)
    np.testing.assert_allclose(dataset.responses.response_N, expected, atol=1e-3)
    reason = "the curve does not cross a half within the range tested"
    assert dropped(dataset) == BASIC | {reason: 1}
    tables = ctrp_tables()
    tables[CURVES] = edited(tables[CURVES], 1, pred_pv_high_conc="0.9")
    other = prepare(write_ctrp(tmp_path / "y", tables), "ic50")
    assert dropped(other)["the curve's value at the top concentration is not that stated"] == 1


def test_points_are_viability_at_a_dose(tmp_path: Path) -> None:
    folder = write_ctrp(tmp_path / "x", ctrp_tables())
    dataset = prepare(folder, "viability")
    assert len(dataset.responses) == 4 * 16
    assert dataset.responses.log10_molar_NK is not None
    assert dataset.responses.log10_molar_NK[0, 0] == pytest.approx(np.log10(66e-6))
    x, *shape = np.log2(66.0), 1.0, -0.5, 0.0
    assert dataset.responses.response_N[0] == pytest.approx(100 * ctrp_viability(x, *shape), 1e-3)
    assert contents(prepare(folder / POINTS, "viability")) == contents(dataset)
    with pytest.raises(InputError, match=r"holds points of curves \(viability\)"):
        prepare(folder / POINTS, "auc")


def test_refitted_areas_are_fractions_already(tmp_path: Path) -> None:
    folder = write_ctrp(tmp_path / "x", ctrp_tables())
    refit = folder / "new-abs-auc-with-qc.txt"
    refit.write_text(
        "area_under_curve\tec50_log2_umol\tpred_pv_high_conc\tmaster_cpd_id\texperiment_id\t"
        "master_ccl_id\tgrowth_mode_id\n0.75\tNaN\t0.9\t10\t1\t130\t0\n0.5\t1\t0.1\t11\t2\t569\t2\n"
    )
    dataset = prepare(refit, "auc")
    assert dataset.responses.response_N.tolist() == [0.75, 0.5]
    with pytest.raises(InputError, match=r"holds refitted areas \(auc\) alone; name the folder"):
        prepare(refit, "ic50")
    # A folder with both is read from what was published.
    assert len(prepare(folder, "auc").responses) == 4


def test_an_archive_is_read_as_its_folder(tmp_path: Path) -> None:
    folder = write_ctrp(tmp_path / "x", ctrp_tables())
    packed = zip_folder(tmp_path / "CTRPv2.0_2015_ctd2_ExpandedDataset.zip", folder)
    dataset = prepare(packed, "auc")
    assert contents(dataset) == contents(prepare(folder, "auc"))
    assert [Path(source["path"]).name for source in dataset.manifest["sources"]] == [packed.name]


def test_text_among_numbers_is_refused_with_its_place(tmp_path: Path) -> None:
    tables = ctrp_tables()
    tables[CURVES] = edited(tables[CURVES], 1, area_under_curve="12,1")
    with pytest.raises(InputError, match=r"curves_post_qc.txt, line 3, column 'area_under_curve'"):
        prepare(write_ctrp(tmp_path / "x", tables), "auc")
