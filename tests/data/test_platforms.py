from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from combo_lightning.data.blocks import FeatureBlock
from combo_lightning.data.catalog import KnownEntities
from combo_lightning.data.entities import Entities, build_entities
from combo_lightning.data.platforms import AlignedBlock, align_entities
from combo_lightning.data.transforms import FittedBlock, TransformConfig

LINES, FEATURES = 60, 4


def cells(origins: Sequence[str | None] | None = None) -> Entities:
    """Lines of one distribution, those of "two" measured at half scale and 100 off."""
    draw = np.random.default_rng(1)
    values = draw.normal(7, 2, (LINES, FEATURES))
    values[::2] = values[::2] / 2 + 100
    values[4, 1] = np.nan
    names = tuple(f"g{i}" for i in range(FEATURES))
    block = FeatureBlock("expression", names, "log2", values.astype("f4"))
    own = list(origins) if origins else ["two", "one"] * (LINES // 2)
    ids = [f"C{i}" for i in range(LINES)]
    return build_entities("cell", ids, {"expression_origin": own}, [block])


ALL = np.arange(LINES)


@pytest.mark.parametrize("how", ["mean_variance", "quantile"])
def test_lines_of_two_platforms_come_onto_one_scale(how: Any) -> None:
    entities = align_entities(cells(), ALL, how, None)
    block = entities.blocks["expression"]
    assert isinstance(block, AlignedBlock)
    values = block.values_EF
    first, second = values[1::2], values[::2]
    # 30 lines have three quantiles, which bring means together but roughly; apart they are 96.
    near = {"mean_variance": 1e-3, "quantile": 0.5}[how]
    np.testing.assert_allclose(first.mean(0), np.nanmean(second, 0), atol=near)
    np.testing.assert_array_equal(np.concatenate(list(block.chunks())), values)
    assert np.isnan(values[4, 1])


def test_maps_are_fitted_on_training_lines_alone() -> None:
    entities = cells()
    rows = ALL[:40]
    wild = entities.blocks["expression"].values_EF.copy()
    wild[40:] = 1e5
    block = replace(entities.blocks["expression"], values_EF=wild)  # type: ignore[type-var]
    other = replace(entities, blocks={"expression": block})
    for a, b in [(entities, other)]:
        fitted = [align_entities(e, rows, "mean_variance", None).blocks["expression"]
                  for e in (a, b)]  # fmt: skip
        assert isinstance(fitted[0], AlignedBlock)
        assert isinstance(fitted[1], AlignedBlock)
        np.testing.assert_equal(fitted[0].platforms.to_plain(), fitted[1].platforms.to_plain())


def test_one_origin_or_none_changes_nothing() -> None:
    one = cells(["one"] * LINES)
    assert align_entities(one, ALL, "quantile", None).blocks == one.blocks
    none = cells([None] * LINES)
    assert align_entities(none, ALL, "quantile", None).blocks == none.blocks
    assert align_entities(cells(), ALL, "quantile", ["other"]).blocks.keys() == {"expression"}


def test_too_few_lines_stay_as_they_are_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    few = cells(["few"] * 4 + ["one"] * (LINES - 4))
    block = align_entities(few, ALL, "mean_variance", None).blocks["expression"]
    raw = few.blocks["expression"].values_EF
    np.testing.assert_array_equal(block.values_EF[:4], raw[:4])
    assert "4 training lines have 'expression' of few, at least 5" in caplog.text


def test_a_new_line_of_a_known_platform_reads_as_a_known_one() -> None:
    entities = cells()
    seen = np.ones(LINES, dtype=bool)
    config = TransformConfig(harmonize_cells="mean_variance", clip=None)
    known = KnownEntities.fit(entities, seen, config)
    block = FittedBlock.from_plain(known.blocks[0].to_plain())
    assert block.platforms is not None
    raw = entities.blocks["expression"].values_EF[:6]
    aligned = block.platforms.align(raw, ["two", "one"] * 3)
    np.testing.assert_array_equal(block.apply(aligned), known.features_EG[:6])
    np.testing.assert_array_equal(block.platforms.align(raw, [None] * 6), raw)
