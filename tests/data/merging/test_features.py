from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.merging.features import merge_entities
from combo_lightning.data.merging.joining import join_entities
from combo_lightning.data.merging.lines import LineSeeker
from combo_lightning.errors import InputError

NAN = float("nan")


def cells(
    ids: Sequence[str],
    values: Sequence[Sequence[float]],
    features: Sequence[str],
    unit: str = "log2",
    recipe: dict[str, Any] | None = None,
    **annotations: Sequence[Any],
) -> Entities:
    block = FeatureBlock(
        "expression", tuple(features), unit, np.array(values, dtype="f4"), recipe or {}
    )
    return build_entities("cell", ids, annotations, [block])


def merge(*sets: Entities, apart: Sequence[str] = ()) -> tuple[Entities, list[str]]:
    titles = ["one", "two", "three"][: len(sets)]
    return merge_entities(sets, titles, join_entities(sets, titles, LineSeeker(None)), apart)


def test_features_are_aligned_by_name_and_what_is_missing_stays_missing() -> None:
    merged, notes = merge(
        cells(["A", "B"], [[1, 2], [NAN, NAN]], ["g1", "g2"]),
        cells(["C", "B"], [[30, 10], [50, 60]], ["g3", "g1"]),
    )
    block = merged.blocks["expression"]
    assert merged.ids == ("A", "B", "C")
    assert block.feature_names == ("g1", "g2", "g3")
    np.testing.assert_array_equal(
        block.values_EF, np.array([[1, 2, NAN], [60, NAN, 50], [10, NAN, 30]], dtype="f4")
    )
    assert merged.annotations["expression_origin"] == ["one", "two", "two"]
    assert notes == ["block 'expression' has 3 features: 2 in one, 2 in two"]


def test_a_lines_values_are_of_one_data_set_and_differences_are_counted() -> None:
    merged, notes = merge(
        cells(["A", "B"], [[1, NAN], [5, 6]], ["g1", "g2"]),
        cells(["A", "B"], [[1.5, 9], [5, 6.0000001]], ["g1", "g2"]),
    )
    values = merged.blocks["expression"].values_EF
    np.testing.assert_array_equal(values, np.array([[1, NAN], [5, 6]], dtype="f4"))
    assert notes == [
        "block 'expression' differs for 1 of 2 cells that several data sets measured, by up to "
        "0.5; the first one's values stand"
    ]


def test_two_units_are_never_mixed() -> None:
    pair = (cells(["A"], [[1]], ["g"]), cells(["B"], [[2]], ["g"], unit="log2(TPM + 1)"))
    with pytest.raises(InputError, match=r"'log2' and 'log2\(TPM \+ 1\)'.*--separate_blocks"):
        merge(*pair)
    merged, _ = merge(*pair, apart=["expression"])
    assert {n: b.unit for n, b in merged.blocks.items()} == {
        "expression_one": "log2", "expression_two": "log2(TPM + 1)",
    }  # fmt: skip
    assert np.isnan(merged.blocks["expression_one"].values_EF[1]).all()


def test_another_recipe_is_refused_with_both() -> None:
    with pytest.raises(
        InputError, match=r"kind morgan, bits 1; kind morgan, bits 2.*prepare both"
    ):
        merge(
            cells(["A"], [[1]], ["g"], recipe={"kind": "morgan", "bits": 1}),
            cells(["B"], [[2]], ["g"], recipe={"kind": "morgan", "bits": 2}),
        )


def test_annotations_come_from_the_first_that_has_them_and_names_become_synonyms() -> None:
    merged, notes = merge(
        cells(["A-1"], [[1]], ["g"], name=["Line A"], tissue=[None]),
        cells(["A1", "B"], [[1], [2]], ["g"], tissue=["Lung", "Skin"], cosmic=[7, None]),
        cells(["a1"], [[1]], ["g"], tissue=["Colon"], cosmic=["8"], synonyms=[["Alpha"]]),
    )
    assert merged.annotations["tissue"] == ["Lung", "Skin"]
    assert merged.annotations["cosmic"] == [7, None]
    assert merged.synonyms() == [["A1", "a1", "Alpha"], []]
    assert "tissue differs for 1, the first stands: A-1 (Lung, Colon)" in notes


def test_origins_of_a_merged_data_set_stay() -> None:
    first, _ = merge(cells(["A"], [[1]], ["g"]), cells(["B"], [[2]], ["g"]))
    titles = ["both", "new"]
    sets = [first, cells(["C"], [[3]], ["g"])]
    merged, _ = merge_entities(sets, titles, join_entities(sets, titles, LineSeeker(None)), [])
    assert merged.annotations["expression_origin"] == ["one", "two", "new"]
