"""Every format of single-drug screens in a hundred ways of writing it: none may be read wrong."""

import codecs
from dataclasses import replace
from pathlib import Path

import pytest

from combo_lightning.data.sources.screen import OPTION
from combo_lightning.errors import InputError
from tests.data.sources import screen_fixtures as fixtures
from tests.data.sources.fuzz import Table, judge, variants
from tests.data.sources.screen_reading import contents, prepare

TABLES = {
    "gdsc ic50": (fixtures.GDSC2, "ic50"),
    "gdsc zscore": (fixtures.GDSC2, "zscore"),
    "gdsc web": (fixtures.GDSC_WEB, "ic50"),
    "nci60": (fixtures.NCI60, "gi50"),
    "nci60 old": (fixtures.NCI60_OLD, "gi50"),
    "nci60 dose": (fixtures.NCI60_DOSE, "growth"),
    "prism auc": (fixtures.PRISM, "auc"),
    "prism ic50": (fixtures.PRISM, "ic50"),
}
# As many as these are read and not refused, whatever the format.
FEWEST_READ = 46


@pytest.mark.parametrize("name", TABLES)
def test_each_variant_is_read_right_or_refused(name: str, tmp_path: Path) -> None:
    table, response = TABLES[name]
    plain = tmp_path / f"plain{table.suffix}"
    plain.write_bytes(table.content())
    truth = contents(prepare(plain, response))
    outcomes = [
        judge(variant, tmp_path, lambda path: contents(prepare(path, response)), truth)
        for variant in variants(table)
    ]
    assert outcomes.count("read") >= FEWEST_READ
    for outcome in outcomes:
        assert outcome == "read" or outcome.startswith(f"{OPTION}: "), outcome


def test_each_variant_of_ctrps_curves_is_read_right_or_refused(tmp_path: Path) -> None:
    tables = fixtures.ctrp_tables()
    curves: Table = replace(
        tables.pop("v20.data.curves_post_qc.txt"),
        numbers=("area_under_curve", "p1_center", "p2_slope"),
        required=("experiment_id", "master_cpd_id", "area_under_curve", "p1_center"),
    )
    folder = fixtures.write_ctrp(tmp_path / "release", tables)
    plain = folder / "plain.txt"
    plain.write_bytes(curves.content())
    truth = contents(prepare(plain, "auc"))
    plain.unlink()
    outcomes = []
    for variant in variants(curves):
        outcomes.append(judge(variant, folder, lambda path: contents(prepare(path, "auc")), truth))
        (folder / f"table{variant.suffix}").unlink()
    assert outcomes.count("read") >= FEWEST_READ - 3  # a workbook is no table of a release


def test_each_variant_of_a_matrix_is_read_right_or_refused(tmp_path: Path) -> None:
    treatments = [f"BRD-K{i}1433652-001-20-5::2.5::HTS" for i in range(3)]
    table = Table(
        header=["", *treatments],
        rows=[["ACH-000019", "-1.25", "0.5", ""], ["ACH-000681", "-3.5", "1e-3", "-0.125"]],
        numbers=treatments,
        required=treatments[:1],
        any_case=False,
        extra_columns=False,
    )
    plain = tmp_path / "plain.csv"
    plain.write_bytes(table.content())

    def measured(path: Path) -> list[tuple[str, str, float, float]]:
        # The order of columns is that of the measurements.
        dataset = prepare(path, "viability")
        rows = dataset.responses
        assert rows.log10_molar_NK is not None
        lines = [dataset.cells.ids[i] for i in rows.cell_N]
        drugs = [dataset.drugs.ids[i] for i in rows.drug_NK[:, 0]]
        doses, values = rows.log10_molar_NK[:, 0].tolist(), rows.response_N.tolist()
        return sorted(zip(lines, drugs, doses, values, strict=True))

    truth = measured(plain)
    assert len(truth) == 5
    plain.unlink()
    for variant in variants(table):
        # A matrix of fewer treatments is a matrix too.
        if not variant.name.startswith("without "):
            judge(variant, tmp_path, measured, truth)


def test_a_file_in_utf_16_is_refused_with_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(codecs.BOM_UTF16_LE + fixtures.GDSC2.text().encode("utf-16-le"))
    with pytest.raises(InputError, match="is not a text file; save it as CSV, TSV or Parquet"):
        prepare(path, "ic50")
