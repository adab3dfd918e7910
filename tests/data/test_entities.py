from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from combo_lightning.data.entities import (
    FeatureBlock,
    build_entities,
    entities_from_table,
    entities_to_table,
    read_entities,
)
from combo_lightning.errors import InputError

VALUES = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 4)),
    elements=st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.float32(np.nan))),
)


@given(VALUES)
def test_any_pattern_of_missing_values_survives(values: np.ndarray) -> None:
    names = tuple(f"f{i}" for i in range(values.shape[1]))
    ids = [f"e{i}" for i in range(len(values))]
    entities = build_entities("drug", ids, {}, [FeatureBlock("b", names, "u", values)])
    read = entities_from_table(entities_to_table(entities), "drug", Path("x"))
    np.testing.assert_array_equal(read.blocks["b"].values_EF, values)
    assert read.ids == tuple(ids)


def test_infinite_features_are_refused_by_name() -> None:
    values = np.array([[1.0, np.inf]], dtype=np.float32)
    with pytest.raises(InputError, match="entity 0, feature 'b' is infinite"):
        FeatureBlock("x", ("a", "b"), "u", values)


def test_equal_names_are_refused() -> None:
    with pytest.raises(InputError, match="'a' more than once"):
        FeatureBlock("x", ("a", "a"), "u", np.zeros((1, 2), dtype=np.float32))
    with pytest.raises(InputError, match="'e' stands twice"):
        build_entities("cell", ["e", "e"], {}, [])


def test_synonyms_and_missing_annotations_read_as_plain_lists() -> None:
    entities = build_entities("cell", ["a", "b"], {"synonyms": [["x"], None]}, [])
    assert entities.synonyms() == [["x"], []]
    assert entities.annotation("tissue") == [None, None]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cells.parquet"
    file.write_text("no parquet")
    with pytest.raises(InputError, match=r"cannot read .*cells\.parquet as Parquet"):
        read_entities(file, "cell")
