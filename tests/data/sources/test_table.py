from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.sources.table import EntityTables, prepare_table
from combo_lightning.data.sources.table_layout import TableMapping
from combo_lightning.errors import InputError

Prepare = Callable[..., ScreenDataset]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Prepare a data set from texts, or from files."""

    def prepare(
        responses: str | Path,
        kind: str = "other",
        drug_table: str | None = None,
        **mapping: Any,
    ) -> ScreenDataset:
        given = {"responses": responses, "drugs": drug_table}
        paths: dict[str, Path | None] = {}
        for name, text in given.items():
            path = tmp_path / f"{name}.csv"
            paths[name] = text if isinstance(text, Path) else path if text is not None else None
            if isinstance(text, str):
                path.write_text(text)
        source = paths["responses"]
        assert source is not None
        entities = EntityTables(None, [paths["drugs"]] if paths["drugs"] else [], ())
        out = tmp_path / "set"
        made = prepare_table(
            source,
            kind,
            TableMapping(**mapping),
            entities,
            Target(out, {"command": ["x"]}, overwrite=True),
        )
        return read_dataset(made)

    return prepare


def rows_of(dataset: ScreenDataset) -> list[tuple[Any, ...]]:
    r = dataset.responses
    drugs = [
        tuple(dataset.drugs.ids[d] if d >= 0 else None for d in row) for row in r.drug_NK.tolist()
    ]
    return [
        (dataset.cells.ids[c], *d, y)
        for c, d, y in zip(r.cell_N, drugs, r.response_N.tolist(), strict=True)
    ]


LONG = "Cell Line,Drug 1,drug_2,ComboScore\nMCF7,740,752,1.5\nHL-60(TB),740,,-2\nMCF7,752,740,3\n"


def test_a_long_table_is_read_by_its_columns_names(prepare: Prepare) -> None:
    dataset = prepare(LONG, kind="combo_score")
    assert rows_of(dataset) == [
        ("MCF7", "740", "752", 1.5),
        ("HL-60(TB)", "740", None, -2.0),
        ("MCF7", "752", "740", 3.0),
    ]
    assert dataset.kind.unit == "ComboScore points"
    assert dataset.cells.blocks == {}
    made_by = dataset.manifest["made_by"]
    assert made_by["command"] == ["x"]
    assert [Path(s["path"]).name for s in dataset.manifest["sources"]] == ["responses.csv"]


def test_columns_are_what_the_mapping_says_whatever_they_are_called(prepare: Prepare) -> None:
    text = "response,where,a,b,w,plate,y\n9,MCF7,740,752,2,p1,1.5\n9,MCF7,752,,0.5,p2,-2\n"
    dataset = prepare(
        text, cell="where", drugs=["b", "a"], response="y", weight="w", study="plate"
    )
    assert rows_of(dataset) == [("MCF7", "752", "740", 1.5), ("MCF7", None, "752", -2.0)]
    responses = dataset.responses
    assert responses.weight_N is not None
    assert responses.weight_N.tolist() == [2, 0.5]
    assert responses.studies == ("p1", "p2")


def test_a_matrix_holds_the_same_as_its_long_table(prepare: Prepare) -> None:
    matrix = "NSC1,NSC2,MCF7,HL-60(TB)\n740,752,1,NA\n752,740,3,\n752,,,-4\n"
    dataset = prepare(matrix, matrix=True)
    assert rows_of(dataset) == [
        ("MCF7", "740", "752", 1.0),
        ("MCF7", "752", "740", 3.0),
        ("HL-60(TB)", "752", None, -4.0),
    ]
    assert dataset.manifest["made_by"]["dropped"]["missing response"] == 3


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from("XYZ"),
            st.sampled_from(["1", "2", "3", ""]),
            st.sampled_from(["1", "2", ""]),
            st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_every_row_is_kept_in_order_or_counted(
    prepare: Prepare, rows: list[tuple[str, str, str, float | None]]
) -> None:
    rows = [*rows, ("X", "1", "2", 1.0)]
    text = "cell,drug_1,drug_2,value\n" + "\n".join(
        f"{c},{a},{b},{'' if y is None else repr(y)}" for c, a, b, y in rows
    )
    dataset = prepare(text)
    wanted = [(c, a or None, b or None, y) for c, a, b, y in rows if y is not None and (a or b)]
    assert rows_of(dataset) == wanted
    dropped = dataset.manifest["made_by"]["dropped"]
    assert sum(dropped.values()) == len(rows) - len(wanted)
    assert dropped["missing response"] == sum(y is None for *_, y in rows)


def test_one_three_and_differently_named_slots_are_found(prepare: Prepare) -> None:
    assert prepare("cell,drug,value\nA,x,1\n").responses.num_slots == 1
    text = "cell,drug_1,drug_2,drug_3,value\nA,x,y,z,1\nA,x,y,,1\n"
    assert rows_of(prepare(text))[1] == ("A", "x", "y", None, 1.0)
    text = "drug_row,drug_col,cell_line_name,value\nx,y,A,1\n"  # DrugComb's names
    assert rows_of(prepare(text)) == [("A", "x", "y", 1.0)]
    text = "drugA_name,drugB_name,cell_line,viability\nx,y,A,1\n"  # O'Neil's
    assert rows_of(prepare(text)) == [("A", "x", "y", 1.0)]


def doses_of(dataset: ScreenDataset) -> list[list[float]]:
    assert dataset.responses.log10_molar_NK is not None
    return [[round(dose, 4) for dose in row] for row in dataset.responses.log10_molar_NK.tolist()]


DOSED = "cell,drug_1,{a},drug_2,{b},growth\nA,x,{high},y,{low},50\n"


@pytest.mark.parametrize(
    ("a", "b", "unit", "shift"),
    [
        ("conc_1 (nM)", "conc_2 (nM)", None, -9),
        ("conc1_uM", "conc2_uM", None, -6),
        ("dose_1 [µM]", "dose_2 [µM]", None, -6),
        ("dose_1_mm", "dose_2_mm", None, -3),
        ("concentration_1 M", "concentration_2 M", None, 0),
        ("conc_1", "conc_2", None, -6),
        ("conc_1", "conc_2", "nM", -9),
        ("conc_1 (nM)", "conc_2 (nM)", "M", 0),
    ],
)
def test_doses_become_log10_molar_whatever_their_unit(
    prepare: Prepare, a: str, b: str, unit: str | None, shift: float
) -> None:
    dataset = prepare(
        DOSED.format(a=a, b=b, high="0.1", low="0.001"), kind="growth", dose_unit=unit
    )
    assert doses_of(dataset) == [[shift - 1, shift - 3]]


@pytest.mark.parametrize(
    ("a", "b", "unit"),
    [("log10_molar_1", "log10_molar_2", None), ("dose_1", "dose_2", "log10M")],
)
def test_logarithmic_doses_are_taken_as_they_are(
    prepare: Prepare, a: str, b: str, unit: str | None
) -> None:
    dataset = prepare(DOSED.format(a=a, b=b, high="-1", low="-7.5"), kind="growth", dose_unit=unit)
    assert doses_of(dataset) == [[-1, -7.5]]


def test_a_dose_of_zero_means_that_the_drug_was_not_given(prepare: Prepare) -> None:
    text = (
        "cell,drug_1,conc_1,drug_2,conc_2,growth\n"
        "A,x,1,y,0,50\nA,x,0,y,0.1,60\nA,x,0,y,0,100\nA,x,1,,0,51\nA,x,1,,,52\n"
    )
    dataset = prepare(text, kind="growth")
    assert rows_of(dataset) == [
        ("A", "x", None, 50.0),
        ("A", None, "y", 60.0),
        ("A", "x", None, 51.0),
        ("A", "x", None, 52.0),
    ]
    np.testing.assert_array_equal(
        doses_of(dataset), [[-6, np.nan], [np.nan, -7], [-6, np.nan], [-6, np.nan]]
    )
    assert dataset.manifest["made_by"]["dropped"]["no cell line or drug"] == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("A,x,-1,y,1,50", r"line 3, column 'conc_1' holds '-1'; a dose in uM must be 0 or more"),
        ("A,x,,y,1,50", r"line 3, column 'conc_1' is empty; 'drug_1' names a drug there"),
        ("A,x,1,,1,50", r"line 3, column 'conc_2' holds '1'; 'drug_2' names no drug there"),
        ("A,x,1,y,one,50", r"line 3, column 'conc_2' holds 'one'"),
        ("A,x,1,y,1,5O", r"line 3, column 'growth' holds '5O'; it must be a finite number"),
        ("A,x,1,y,1,inf", r"line 3, column 'growth' holds 'inf'"),
    ],
)
def test_a_bad_value_is_named_by_file_line_and_column(
    prepare: Prepare, tmp_path: Path, row: str, message: str
) -> None:
    head = "cell,drug_1,conc_1,drug_2,conc_2,growth\nA,x,1,y,1,50\n"
    with pytest.raises(InputError, match=rf"--responses: .*responses\.csv, {message}"):
        prepare(head + row, kind="growth")
    assert [p.name for p in tmp_path.iterdir()] == ["responses.csv"]  # nothing half-written


def test_rows_without_response_need_no_doses(prepare: Prepare) -> None:
    text = "cell,drug_1,conc_1,growth\nA,x,1,50\nA,x,,\n"
    assert len(prepare(text, kind="growth").responses) == 1


def test_a_bad_value_in_a_matrix_is_named_by_its_cell_line(prepare: Prepare) -> None:
    with pytest.raises(InputError, match="line 3, column 'B' holds 'x'"):
        prepare("drug_1,A,B\nd,1,2\ne,3,x\n", matrix=True)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("cel,drug_1,y\nA,x,1\n", {}, r"reads as 'cell_id'.* name it with --cell_column \(or, if"),
        ("cell,medicine,value\nA,x,1\n", {}, "reads as 'drug_1'.*name it with --drug_columns"),
        ("cell,drug_1,respons\nA,x,1\n", {}, "'response'; did you mean 'respons'.*--response_col"),
        (LONG, {"cell": "Cell_Line"}, r"'Cell_Line' \(--cell_column\); did you mean 'Cell Line'"),
        (LONG, {"drugs": ["Drug 1", "x"]}, r"no column 'x' \(--drug_columns\)"),
        (LONG, {"response": "score"}, r"no column 'score' \(--response_column\)"),
        (LONG, {"weight": "w"}, r"no column 'w' \(--weight_column\)"),
        (LONG, {"study": "s"}, r"no column 's' \(--study_column\)"),
        (LONG, {"kind": "growth"}, r"2 drug columns \(Drug 1, drug_2\) and 0 dose columns \(none"),
        (LONG, {"kind": "grwth"}, "unknown response 'grwth'; known are growth, viability"),
        ("drug_1,drug_2\nx,y\n", {"matrix": True}, "a matrix needs cell lines"),
        ("cell,drug_1,value\nA,x,NA\n,x,1\nA,,1\n", {}, r"no row with a cell line.* 1 \(missing"),
        ("cell,drug_1,value,weight\nA,x,1,-1\n", {}, "'weight' holds '-1'; a weight must be 0"),
        ("cell,drug_1,value,weight\nA,x,1,\n", {}, "line 2, column 'weight' is empty; a weight"),
        (
            "cell,drug_1,c (nM),drug_2,d (M),growth\nA,x,1,y,1,1\n",
            {"kind": "growth", "doses": ["c (nM)", "d (M)"]},
            "seem to be in M and nM; convert them to one unit",
        ),
    ],
)
def test_what_does_not_fit_says_how_to_mend_it(
    prepare: Prepare, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        prepare(text, **options)


def test_numbers_that_name_drugs_in_parquet_are_names(prepare: Prepare, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"cell": ["A", "A"], "drug_1": [740, 752], "drug_2": [752, np.nan], "value": [1.0, 2.0]}
    )
    frame.to_parquet(tmp_path / "r.parquet")
    dataset = prepare(tmp_path / "r.parquet", drug_table="NSC,mass\n740,1\n752,2\n")
    assert rows_of(dataset) == [("A", "740", "752", 1.0), ("A", "752", None, 2.0)]
    assert dataset.drugs.blocks["features"].values_EF.tolist() == [[1], [2]]


def test_many_batches_are_one_table(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("combo_lightning.data.sources.columns._BLOCK_BYTES", 256)
    monkeypatch.setattr("combo_lightning.data.sources.measurements._MEASUREMENTS", 7)
    rows = [(f"C{i % 7}", f"D{i % 11}", float(i)) for i in range(200)]
    text = "cell,drug,value\n" + "".join(f"{c},{d},{y}\n" for c, d, y in rows)
    assert rows_of(prepare(text)) == rows
    with pytest.raises(InputError, match="line 191, column 'value' holds 'bad'"):
        prepare(text.replace(",189.0", ",bad"))


@pytest.mark.real_data
def test_the_score_table_reads_as_the_sources_own_reader_reads_it(
    prepare: Prepare, shared_data: Path
) -> None:
    scores = shared_data / "almanac" / "DTP_NCI60_ALMANAC_COMBO_SCORE.csv.gz"
    dataset = prepare(scores, kind="combo_score", matrix=True)
    assert len(dataset.responses) == 275_761
    assert (len(dataset.cells), len(dataset.drugs)) == (59, 105)  # MDA-N has no score
    assert dataset.responses.response_N.mean() == pytest.approx(-22, abs=0.5)


def test_a_column_of_plates_shows_which_drift(prepare: Prepare) -> None:
    draw = np.random.default_rng(4)
    rows = [
        f"L{i % 6},d{i % 11},P{i % 7},{draw.normal(0, 10) + 60 * (i % 7 == 2):.2f}"
        for i in range(700)
    ]
    text = "\n".join(["cell,drug,plate,response", *rows])
    with pytest.raises(InputError, match=r"'P2' by \+\d+\.?\d* over 100 .*accept \[plates\]"):
        prepare(text)


def test_responses_in_another_unit_are_converted(prepare: Prepare) -> None:
    text = "cell,drug,ic50\nA,x,1\nB,x,0.001\nA,y,\n"
    dataset = prepare(text, kind="ic50", response_unit="uM")
    np.testing.assert_allclose(dataset.responses.response_N, [-6, -9])
    with pytest.raises(InputError, match="line 3: the ic50 of -1 uM cannot be converted to log10"):
        prepare(text.replace("0.001", "-1"), kind="ic50", response_unit="uM")


@pytest.mark.parametrize(
    ("column", "value", "log10_molar"),
    [
        ("IC50 (nM)", "10", -8.0),
        ("IC50_uM", "10", -5.0),
        ("ic50 [µM]", "10", -5.0),
        ("pIC50", "7.5", -7.5),
        ("log10_IC50 (uM)", "1", -5.0),
        ("LN_IC50_uM", "2.302585", -5.0),
        ("IC50 (M)", "1e-7", -7.0),
        ("ic50", "-7", -7.0),
    ],
)
def test_the_unit_of_a_potency_is_told_by_its_column(
    prepare: Prepare, column: str, value: str, log10_molar: float
) -> None:
    dataset = prepare(f"cell,drug,{column}\nA,x,{value}\n", kind="ic50")
    assert dataset.responses.response_N[0] == pytest.approx(log10_molar, abs=1e-6)


def test_an_option_that_contradicts_a_columns_unit_counts_and_is_said(
    prepare: Prepare, caplog: pytest.LogCaptureFixture
) -> None:
    text = "cell,drug,IC50 (nM)\nA,x,10\n"
    assert prepare(text, kind="ic50", response_unit="uM").responses.response_N[0] == -5
    assert "column 'IC50 (nM)' is named after nM, and taken as --response_unit uM" in caplog.text
    text = "cell,drug,dose_uM,growth\nA,x,10,5\n"
    doses = prepare(text, kind="growth", dose_unit="nM").responses.log10_molar_NK
    assert doses is not None
    assert doses[0, 0] == -8
    assert "(dose_uM) are named after uM, and taken as --dose_unit nM" in caplog.text


@pytest.mark.parametrize("column", ["dose (ug/mL)", "dose_pM", "conc µg/ml", "dose (ng per ml)"])
def test_doses_in_a_unit_that_is_not_read_are_not_taken_for_micromolar(
    prepare: Prepare, column: str
) -> None:
    text = f"cell,drug,{column},growth\nA,x,10,5\n"
    with pytest.raises(InputError, match=r"seems to be in .*; convert it to M, mM"):
        prepare(text, kind="growth", doses=[column])


def test_a_logarithm_of_unknown_base_is_refused(prepare: Prepare) -> None:
    with pytest.raises(InputError, match=r"column 'log_IC50_uM'.*log to which base"):
        prepare("cell,drug,log_IC50_uM\nA,x,1\n", kind="ic50")
    with pytest.raises(InputError, match="no column that reads as 'ic50'"):
        prepare("cell,drug,ln_IC50\nA,x,1\n", kind="ic50")


def test_what_viability_cannot_become_names_the_option(prepare: Prepare) -> None:
    text = "cell,drug,dose,viability\nA,x,1,50\n"
    message = "--response_unit viability_percent: viability cannot be converted to growth"
    with pytest.raises(InputError, match=message):
        prepare(text, kind="growth", response="viability", response_unit="viability_percent")


@pytest.mark.parametrize("option", [{"doses": ["dose"]}, {"dose_unit": "nM"}])
def test_options_of_doses_are_refused_where_there_are_none(
    prepare: Prepare, option: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=r"--dose_\w+: a response of kind 'ic50' has no doses"):
        prepare("cell,drug,dose,ic50\nA,x,1,-6\n", kind="ic50", **option)
