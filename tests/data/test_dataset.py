import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.dataset import kind_named, read_dataset
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.entities import build_entities
from combo_lightning.errors import InputError
from tests.data.screens import make_cells, make_drugs


def write(out: Path, rows: pd.DataFrame, kind: str = "combo_score", slots: int = 2) -> Path:
    with DatasetWriter(out, kind_named(kind), slots) as writer:
        half = len(rows) // 2
        writer.append(rows[:half])
        writer.append(rows[half:])
        return writer.finish(make_cells(3), make_drugs(4), [], {"command": ["test"]})


ROWS = pd.DataFrame(
    {
        "cell_id": ["C0", "C1", "C2", "C0"],
        "drug_1": ["100", "101", "102", "103"],
        "drug_2": pd.Series(["101", None, "100", "100"], dtype=object),
        "response": [1.5, -2.0, 3.0, 4.0],
    }
)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    rows = ROWS.assign(
        weight=[1.0, 2.0, 0.5, 1.0], study=pd.Series(["a", "b", None, "a"], dtype=object)
    )
    dataset = read_dataset(write(tmp_path / "d", rows))
    responses = dataset.responses
    assert [dataset.cells.ids[i] for i in responses.cell_N] == list(rows["cell_id"])
    assert responses.drug_NK.tolist() == [[0, 1], [1, -1], [2, 0], [3, 0]]
    assert responses.drug_NK.dtype == np.int16
    assert responses.response_N.tolist() == list(rows["response"])
    assert responses.weight_N is not None
    assert responses.weight_N.tolist() == list(rows["weight"])
    assert responses.log10_molar_NK is None
    assert responses.study_N is not None
    assert [responses.studies[i] for i in responses.study_N] == ["a", "b", "", "a"]
    assert dataset.manifest["made_by"] == {"command": ["test"]}


def test_doses_are_kept_with_their_drugs(tmp_path: Path) -> None:
    rows = ROWS.assign(log10_molar_1=[-6.0, -5, -7, -8], log10_molar_2=[-5.0, np.nan, -6, -6])
    responses = read_dataset(write(tmp_path / "d", rows, kind="growth")).responses
    assert responses.log10_molar_NK is not None
    np.testing.assert_array_equal(responses.log10_molar_NK[0], [-6, -5])
    assert np.isnan(responses.log10_molar_NK[1, 1])


def test_missing_features_and_whole_blocks_survive(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    values[1] = np.nan
    values[2, 3] = np.nan
    block = FeatureBlock("microrna", ("a", "b", "c", "d"), "log2", values, {"kind": "x", "n": 2})
    cells = build_entities("cell", ["C0", "C1", "C2"], {"name": ["x", None, "z"]}, [block])
    with DatasetWriter(tmp_path / "d", kind_named("combo_score"), 2) as writer:
        writer.append(ROWS)
        writer.finish(cells, make_drugs(4), [], {})
    read = read_dataset(tmp_path / "d").cells
    np.testing.assert_array_equal(read.blocks["microrna"].values_EF, values)
    assert read.blocks["microrna"].feature_names == ("a", "b", "c", "d")
    assert read.blocks["microrna"].recipe == {"kind": "x", "n": 2}
    assert read.annotation("name") == ["x", None, "z"]


def test_equal_data_have_equal_fingerprints_and_other_data_others(tmp_path: Path) -> None:
    first = read_dataset(write(tmp_path / "a", ROWS)).fingerprint
    assert read_dataset(write(tmp_path / "b", ROWS)).fingerprint == first
    changed = ROWS.assign(response=ROWS["response"] + 1)
    assert read_dataset(write(tmp_path / "c", changed)).fingerprint != first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response": [1.0, np.inf, 0, 0]}, "row 1: response is inf"),
        ({"response": [1.0, 0, np.nan, 0]}, "row 2: response is nan"),
        ({"weight": [1.0, -1, 1, 1]}, "weights must be 0 or more"),
        ({"drug_1": ["100", None, "102", "103"]}, "no drug in any slot"),
        ({"cell_id": ["C0", "C1", "nowhere", "C0"]}, "not in the cell table: nowhere"),
        ({"drug_1": ["100", "101", "102", "999"]}, "not in the drug table: 999"),
        ({"log10_molar_1": [-6.0, np.nan, np.nan, np.nan]}, "needs no doses"),
    ],
)
def test_bad_rows_are_refused_and_leave_nothing(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write(tmp_path / "d", ROWS.assign(**change))
    assert not list(tmp_path.iterdir())


def test_a_dose_must_stand_with_each_drug(tmp_path: Path) -> None:
    rows = ROWS.assign(log10_molar_1=-6.0, log10_molar_2=-6.0)
    with pytest.raises(InputError, match=r"row 1: log10_molar_2 is -6\.0"):
        write(tmp_path / "d", rows, kind="growth")


def test_an_existing_directory_is_not_overwritten_unasked(tmp_path: Path) -> None:
    out = write(tmp_path / "d", ROWS)
    with pytest.raises(InputError, match="exists already"):
        DatasetWriter(out, kind_named("combo_score"), 2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="not a data set"):
        DatasetWriter(tmp_path / "other", kind_named("combo_score"), 2, overwrite=True)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "precious"


def test_damage_is_found_when_opened(tmp_path: Path) -> None:
    out = write(tmp_path / "d", ROWS)
    file = out / "responses.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="changed or damaged"):
        read_dataset(out)
    file.unlink()
    with pytest.raises(InputError, match="is missing"):
        read_dataset(out)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    out = write(tmp_path / "d", ROWS)
    manifest = json.loads((out / "dataset.json").read_text())
    manifest["schema_version"] = 99
    (out / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="schema version 99"):
        read_dataset(out)
    with pytest.raises(InputError, match="is no data set"):
        read_dataset(tmp_path)


def test_a_row_takes_about_twenty_bytes(tmp_path: Path) -> None:
    many = pd.concat([ROWS] * 500, ignore_index=True)
    responses = read_dataset(write(tmp_path / "d", many)).responses
    held = responses.cell_N.nbytes + responses.drug_NK.nbytes + responses.response_N.nbytes
    assert held / len(responses) <= 20
    # On disk features stand once an entity, never once a row.
    assert set(pq.read_schema(tmp_path / "d" / "responses.parquet").names) == {
        "cell_id", "drug_1", "drug_2", "log10_molar_1", "log10_molar_2", "response", "weight",
        "study",
    }  # fmt: skip
