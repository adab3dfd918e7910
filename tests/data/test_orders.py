import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.orders import RecordedOrders, permutations
from combo_lightning.errors import InputError


def orders(*rows: tuple[int, ...]) -> RecordedOrders:
    return RecordedOrders.from_rows(np.array(rows), num_drugs=6)


def test_a_recorded_pair_is_put_into_its_recorded_order() -> None:
    recorded = orders((0, 1), (3, 2))
    weights = recorded.weights(np.array([[0, 1], [1, 0], [2, 3], [3, 2]]))
    assert permutations(2) == [(0, 1), (1, 0)]
    assert weights.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]


def test_a_pair_recorded_in_both_orders_or_in_none_gets_the_mean() -> None:
    recorded = orders((0, 1), (1, 0))
    assert recorded.weights(np.array([[0, 1], [4, 5], [5, 4]])).tolist() == [[0.5, 0.5]] * 3


def test_new_drugs_are_not_recorded() -> None:
    assert orders((0, 1)).weights(np.array([[0, 6], [99, 7]])).tolist() == [[0.5, 0.5]] * 2


def test_an_empty_slot_stays_last_and_equal_drugs_count_once() -> None:
    recorded = orders((0, 1))
    assert recorded.weights(np.array([[2, -1], [-1, 2], [3, 3]])).tolist() == [
        [1, 0],
        [0, 1],
        [1, 0],
    ]


def test_nothing_recorded_weighs_all_orders_alike() -> None:
    never = RecordedOrders.from_rows(np.empty((0, 3), dtype=int), num_drugs=6)
    np.testing.assert_allclose(never.weights(np.array([[0, 1, 2]])), 1 / 6)
    weights = never.weights(np.array([[0, 1, -1]]))
    assert weights.sum() == 1
    assert (weights > 0).sum() == 2


ROW = st.lists(st.integers(-1, 7), min_size=3, max_size=3).filter(lambda r: max(r) >= 0)


@given(st.lists(ROW, min_size=1, max_size=20), ROW, st.permutations(range(3)))
def test_any_order_of_a_row_gets_the_same_tuples_with_the_same_weights(
    rows: list[list[int]], row: list[int], order: list[int]
) -> None:
    train = np.array([r for r in rows if max(r) < 6] or [[0, 1, 2]])
    recorded = RecordedOrders.from_rows(train, num_drugs=6)

    def tuples(asked: list[int]) -> dict[tuple[int, ...], float]:
        weights = recorded.weights(np.array([asked]))[0]
        found: dict[tuple[int, ...], float] = {}
        for p, weight in zip(permutations(3), weights, strict=True):
            if weight:
                key = tuple(asked[i] for i in p)
                assert key not in found
                found[key] = float(weight)
        return found

    mine = tuples(row)
    assert tuples([row[i] for i in order]) == mine
    assert abs(sum(mine.values()) - 1) < 1e-6
    recorded_tuples = {tuple(r) for r in train.tolist()}
    if any(t in recorded_tuples for t in mine):
        assert set(mine) <= recorded_tuples


def test_plain_form_and_size_limit() -> None:
    recorded = orders((0, 1), (2, 1))
    again = RecordedOrders.from_plain(recorded.to_plain())
    assert again.contains(np.array([[2, 1], [1, 2]])).tolist() == [True, False]
    assert again.contains_any_order(np.array([[1, 2], [0, 2]])).tolist() == [True, False]
    with pytest.raises(InputError, match="more orders than 64 bits"):
        RecordedOrders.from_rows(np.zeros((1, 8), dtype=int), num_drugs=1_000_000)
