from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.dataset import kind_named, read_dataset
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.duplicates import equal_drugs, merge_duplicates
from combo_lightning.data.entities import build_entities
from combo_lightning.data.identity import replicate_groups


def test_only_drugs_of_one_known_key_are_equal() -> None:
    groups = equal_drugs(["a", "b", "c", "d", "e"], ["X", None, "Y", "X", None])
    assert groups == [["a", "d"]]


def test_merged_drugs_are_one_in_rows_entities_and_blocks(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "cell_id": ["L", "L", "L"],
            "drug_1": ["761431", "753082", "3"],
            "drug_2": ["3", "3", None],
            "response": [1.0, 2.0, 3.0],
        }
    )
    annotations: dict[str, list[Any]] = {
        "name": ["three", "vemurafenib", "Vemu"],
        "inchikey": ["K3", "V", "V"],
        "synonyms": [[], ["NSC 761431"], ["NSC 753082"]],
    }
    block = FeatureBlock("f", ("x",), "u", np.array([[3], [1], [2]], dtype=np.float32))
    drugs = build_entities("drug", ["3", "761431", "753082"], annotations, [block])
    cells = build_entities("cell", ["L"], {"name": ["L"]}, [])
    with DatasetWriter(tmp_path / "d", kind_named("other"), 2) as writer:
        writer.append(rows)
        writer.append(rows.slice(1, 1))
        merged = merge_duplicates(writer, drugs)
        writer.append(rows.slice(2, 1))
        writer.finish(cells, merged, [], {})
    dataset = read_dataset(tmp_path / "d")
    assert dataset.drugs.ids == ("3", "761431")
    assert dataset.drugs.synonyms()[1] == ["NSC 761431", "753082", "Vemu", "NSC 753082"]
    np.testing.assert_array_equal(dataset.drugs.blocks["f"].values_EF, [[3], [1]])
    names = [[dataset.drugs.ids[d] for d in row if d >= 0] for row in dataset.responses.drug_NK]
    assert names == [["761431", "3"], ["761431", "3"], ["3"], ["761431", "3"], ["3"]]
    assert list(dataset.responses.response_N) == [1, 2, 3, 2, 3]
    # Rows that differed in the id alone are replicates now.
    assert len(set(replicate_groups(dataset.responses))) == 2


def test_rows_that_come_to_combine_a_compound_with_itself_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drugs = build_entities("drug", ["a", "b"], {"name": ["a", "b"], "inchikey": ["X", "X"]}, [])
    first, second = ["a", "b", "a", "b"], ["b", "a", "a", None]
    columns = {"cell_id": ["L"] * 4, "drug_1": first, "drug_2": second, "response": [0.0] * 4}
    with DatasetWriter(tmp_path / "d", kind_named("other"), 2) as writer:
        writer.append(pa.table(columns))
        merge_duplicates(writer, drugs)
    assert "2 rows combine a compound with itself since drugs were merged" in caplog.text


def test_nothing_is_rewritten_where_all_drugs_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drugs = build_entities("drug", ["a", "b"], {"inchikey": ["X", None]}, [])
    with DatasetWriter(tmp_path / "d", kind_named("other"), 1) as writer:
        monkeypatch.setattr(writer, "rename_drugs", None)
        assert merge_duplicates(writer, drugs) is drugs
