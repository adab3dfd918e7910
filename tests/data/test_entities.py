from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from combo_lightning.data.blocks import CHUNK, FeatureBlock
from combo_lightning.data.entities import build_entities, read_entities, write_entities
from combo_lightning.errors import InputError

VALUES = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 4)),
    elements=st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.float32(np.nan))),
)


@given(VALUES)
def test_any_pattern_of_missing_values_survives(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray
) -> None:
    file = tmp_path_factory.mktemp("entities") / "drugs.parquet"
    names = tuple(f"f{i}" for i in range(values.shape[1]))
    ids = [f"e{i}" for i in range(len(values))]
    entities = build_entities("drug", ids, {}, [FeatureBlock("b", names, "u", values)])
    write_entities(entities, file)
    read = read_entities(file, "drug")
    np.testing.assert_array_equal(read.blocks["b"].values_EF, values)
    assert read.ids == tuple(ids)


def test_a_table_of_many_pieces_is_read_as_it_was_written(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    count = 2 * CHUNK + 70
    blocks = []
    for name, width in (("a", 3), ("b", 5)):
        values = draw.normal(size=(count, width)).astype(np.float32)
        values[draw.random(count) < 0.1] = np.nan
        values[draw.random(values.shape) < 0.1] = np.nan
        blocks.append(FeatureBlock(name, tuple(map(str, range(width))), "u", values, {"kind": 1}))
    # Each piece alone would not tell the type of a column that is empty in it.
    synonyms = [["x"] if i == count - 1 else None for i in range(count)]
    names = ["late" if i == count - 1 else None for i in range(count)]
    ids = [f"e{i}" for i in range(count)]
    entities = build_entities("drug", ids, {"name": names, "synonyms": synonyms}, blocks)
    write_entities(entities, tmp_path / "drugs.parquet")
    read = read_entities(tmp_path / "drugs.parquet", "drug")
    assert read.ids == entities.ids
    assert read.annotation("name") == names
    assert read.synonyms()[-2:] == [[], ["x"]]
    for block in blocks:
        stored = read.blocks[block.name]
        np.testing.assert_array_equal(stored.values_EF, block.values_EF)
        assert [len(part) for part in stored.chunks()] == [CHUNK, CHUNK, 70]
        assert (stored.unit, stored.recipe, len(stored)) == ("u", {"kind": 1}, count)
    # A table in one row group, as earlier versions wrote it.
    pq.write_table(pq.read_table(tmp_path / "drugs.parquet"), tmp_path / "old.parquet")
    assert pq.ParquetFile(tmp_path / "old.parquet").num_row_groups == 1
    old = read_entities(tmp_path / "old.parquet", "drug")
    for block in blocks:
        np.testing.assert_array_equal(old.blocks[block.name].values_EF, block.values_EF)
        assert max(len(part) for part in old.blocks[block.name].chunks()) <= CHUNK


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
