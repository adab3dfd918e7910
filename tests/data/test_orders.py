from collections.abc import Sequence

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


def test_an_empty_slot_stays_last() -> None:
    recorded = orders((0, 1))
    assert recorded.weights(np.array([[2, -1], [-1, 2]])).tolist() == [[1, 0], [0, 1]]


def test_a_drug_with_itself_is_taken_in_both_orders_of_its_doses() -> None:
    for recorded in (orders((0, 1)), orders((3, 3))):
        assert recorded.weights(np.array([[3, 3]])).tolist() == [[0.5, 0.5]]


def test_nothing_recorded_weighs_all_orders_alike() -> None:
    never = RecordedOrders.from_rows(np.empty((0, 3), dtype=int), num_drugs=6)
    np.testing.assert_allclose(never.weights(np.array([[0, 1, 2]])), 1 / 6)
    weights = never.weights(np.array([[0, 1, -1]]))
    assert weights.tolist() == [[0.5, 0, 0.5, 0, 0, 0]]
    assert permutations(3)[2] == (1, 0, 2)


ROW = st.lists(st.integers(-1, 7), min_size=3, max_size=3).filter(lambda r: max(r) >= 0)


@given(st.lists(ROW, min_size=1, max_size=20), ROW, st.permutations(range(3)))
def test_any_order_of_a_row_gets_the_same_drugs_at_their_doses_with_the_same_weights(
    rows: list[list[int]], row: list[int], order: list[int]
) -> None:
    train = np.array([r for r in rows if max(r) < 6] or [[0, 1, 2]])
    recorded = RecordedOrders.from_rows(train, num_drugs=6)
    doses = [0 if drug < 0 else slot + 1 for slot, drug in enumerate(row)]

    def treatments(slots: Sequence[int]) -> dict[tuple[tuple[int, int], ...], float]:
        weights = recorded.weights(np.array([[row[i] for i in slots]]))[0]
        found: dict[tuple[tuple[int, int], ...], float] = {}
        for p, weight in zip(permutations(3), weights, strict=True):
            if weight:
                key = tuple((row[slots[i]], doses[slots[i]]) for i in p)
                found[key] = found.get(key, 0) + float(weight)
        return found

    mine = treatments(range(3))
    other = treatments(order)
    assert other.keys() == mine.keys()
    for treatment, weight in mine.items():
        assert abs(other[treatment] - weight) < 1e-6
        assert abs(weight - 1 / len(mine)) < 1e-6
    recorded_tuples = {tuple(r) for r in train.tolist()}
    used = {tuple(drug for drug, _ in treatment) for treatment in mine}
    if any(tuple(row[i] for i in p) in recorded_tuples for p in permutations(3)):
        assert used <= recorded_tuples


def test_plain_form_and_size_limit() -> None:
    recorded = orders((0, 1), (2, 1))
    again = RecordedOrders.from_plain(recorded.to_plain())
    assert again.contains(np.array([[2, 1], [1, 2]])).tolist() == [True, False]
    assert again.contains_any_order(np.array([[1, 2], [0, 2]])).tolist() == [True, False]
    with pytest.raises(InputError, match="more orders than 64 bits"):
        RecordedOrders.from_rows(np.zeros((1, 8), dtype=int), num_drugs=1_000_000)
