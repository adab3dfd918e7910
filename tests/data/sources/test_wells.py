from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from combo_lightning.data.sources.screen_facts import SeenDrugs, SeenLines
from combo_lightning.data.sources.wells import Block, WellsSource, grid_of, slots_of

NONE = -np.inf


def block(
    wells: Sequence[tuple[float, float, float]], drugs: tuple[str, str] = ("A", "B")
) -> Block:
    values = np.array(wells, dtype=np.float64)
    return Block("X", drugs, values[:, :2], values[:, 2], "S")


def source(response: str, *blocks: Block) -> WellsSource:
    return WellsSource(
        num_slots=slots_of(response), lines=SeenLines(),
        drugs=SeenDrugs(Path("x"), "--x", "x"), blocks=iter(blocks), response=response,
    )  # fmt: skip


def rows(of: WellsSource) -> list[dict[str, Any]]:
    return [row for table in of.rows() for row in table.to_pylist()]


FOUR = [(NONE, NONE, 99), (-6, NONE, 60), (NONE, -7, 50), (-6, -7, 20)]


def test_a_grid_has_rising_doses_and_means_of_replicates() -> None:
    found = grid_of(block([*FOUR[::-1], (-6 + 1e-9, -7, 30), (-6, -7, np.nan)]))
    assert found is not None
    first, second, inhibition = found
    np.testing.assert_allclose(first, [NONE, -6])
    np.testing.assert_allclose(second, [NONE, -7])
    np.testing.assert_allclose(inhibition, [[1, 50], [40, 75]])


@pytest.mark.parametrize("without", [1, 2, 3])
def test_a_block_without_a_side_is_no_grid(without: int) -> None:
    wells = [well for i, well in enumerate(FOUR) if i != without]
    assert grid_of(block(wells)) is None
    of = source("bliss", block(wells), block(FOUR))
    assert [row["response"] for row in rows(of)] == [pytest.approx(80 - (40 + 50 - 20))]
    assert of.dropped["block without wells of both drugs and of each alone"] == 1


def test_untreated_wells_need_not_be_there() -> None:
    assert len(rows(source("hsa", block(FOUR[1:])))) == 1


def test_blocks_of_different_size_keep_their_order() -> None:
    more = [*FOUR, (-5, NONE, 40), (-5, -7, 10)]
    of = source("hsa", block(FOUR), block(more, ("C", "D")), block(FOUR, ("E", "F")))
    assert [(row["drug_1"], row["response"]) for row in rows(of)] == [
        ("A", 30), ("C", pytest.approx((30 + 30) / 2)), ("E", 30),
    ]  # fmt: skip
    assert of.drugs.names() == ["A", "C", "E", "B", "D", "F"]


def test_too_few_doses_for_a_curve_are_counted() -> None:
    of = source("zip", block(FOUR))
    assert rows(of) == []
    assert of.dropped["block with too few doses for a zip score"] == 1
    of = source("auc", block(FOUR))
    assert rows(of) == []
    assert of.dropped["single drug with fewer than three doses"] == 2


def test_ic50s_beyond_the_doses_are_kept_and_told() -> None:
    x = np.array([-8, -7, -6.0])
    wells = [(d, NONE, 100 / (1 + 10 ** (d + 5.5))) for d in x]
    of = source("ic50", block(wells, ("A", "")))
    ((row),) = rows(of)
    assert row["response"] == pytest.approx(-5.5, abs=1e-3)
    assert dict(of.notes) == {"IC50s lie beyond the doses tested (kept as fitted)": 1}


def test_poor_curves_are_told() -> None:
    wells = [(-8, NONE, 0), (-7, NONE, 100), (-6, NONE, 0), (-5, NONE, 100)]
    of = source("auc", block(wells, ("A", "")))
    assert len(rows(of)) == 1
    assert list(of.notes.values()) == [1]
