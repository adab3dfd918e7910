from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.ltfb.lineage import (
    ancestries,
    changes,
    distinct_ancestors,
    last_records,
    path_back,
)
from combo_lightning.ltfb.record import RoundRecord, Rounds
from tests.ltfb.records import adoption, by_round, record


def story() -> Rounds:
    """Round 1: 0 takes 1's model. Round 2: 2 takes 0's, and changes it; 0 changes its own."""
    return by_round(
        [
            adoption(1, 0, 1, learning_rate=0.2),
            record(1, 1),
            record(1, 2),
            record(2, 0, hyperparameters={"learning_rate": 0.3}),
            record(2, 1),
            adoption(2, 2, 0, learning_rate=0.25, mutated={"learning_rate": (0.2, 0.25)}),
            record(3, 0, hyperparameters={"learning_rate": 0.3}),
            record(3, 1),
            record(3, 2, hyperparameters={"learning_rate": 0.25}),
        ]
    )


def test_a_model_descends_from_what_its_source_entered_the_round_with() -> None:
    after = ancestries(story(), 3)
    assert after[1] == {0: {1: 1.0}, 1: {1: 1.0}, 2: {2: 1.0}}
    assert after[3] == after[2] == {0: {1: 1.0}, 1: {1: 1.0}, 2: {1: 1.0}}
    assert distinct_ancestors(story(), 3) == {1: 2, 2: 1, 3: 1}


def test_groups_that_swap_in_one_round_have_each_others_model() -> None:
    swapped = [adoption(1, 0, 1, learning_rate=0.1), adoption(1, 1, 0, learning_rate=0.1)]
    assert ancestries(by_round(swapped), 2)[1] == {0: {1: 1.0}, 1: {0: 1.0}}


def test_an_exchange_that_failed_leaves_the_model_where_it_was() -> None:
    failed = by_round([record(1, 0, met=(1,), source=1, adopted=False)])
    assert ancestries(failed, 2)[1][0] == {0: 1.0}
    assert path_back(failed, 0) == {-1: 0, 1: 0}


def test_a_mean_descends_from_all_whose_models_are_in_it() -> None:
    def mean(number: int, group: int, *met: int) -> RoundRecord:
        return record(number, group, met=met, reason="averaged", adopted=True)

    after = ancestries(by_round([mean(1, 0, 0, 1), mean(2, 0, 0, 2), mean(2, 1, 0)]), 3)
    assert after[1][0] == {0: 0.5, 1: 0.5}
    assert after[2][0] == {0: 0.25, 1: 0.25, 2: 0.5}
    assert after[2][1] == {0: 0.5, 1: 0.5}


def test_only_groups_that_took_part_count_as_living() -> None:
    rounds = by_round([record(1, 0), record(1, 1), record(2, 0)])
    assert distinct_ancestors(rounds, 3) == {1: 2, 2: 1}
    assert {g: r.round for g, r in last_records(rounds).items()} == {0: 2, 1: 1}


def test_the_path_back_goes_through_the_groups_that_had_the_model() -> None:
    assert path_back(story(), 2) == {-1: 1, 1: 0, 2: 2, 3: 2}
    assert path_back(story(), 1) == {-1: 1, 1: 1, 2: 1, 3: 1}
    assert path_back({}, 1) == {-1: 1}


def test_the_path_tells_where_group_or_hyperparameters_changed() -> None:
    told = [
        (a.round, a.group, a.came_from, a.change, a.hyperparameters["learning_rate"])
        for a in changes(story(), 2)
    ]
    assert told == [
        (-1, 1, 1, "start", 0.2),
        (1, 0, 1, "adopted", 0.2),
        (2, 2, 0, "adopted", 0.25),
    ]
    own = [(a.round, a.change, a.came_from) for a in changes(story(), 0)]
    assert own == [(-1, "start", 1), (1, "adopted", 1), (2, "mutated", 0)]
    assert changes({}, 0) == []


def test_the_start_has_the_hyperparameters_before_the_first_rounds_mutation() -> None:
    mutated = {"learning_rate": (0.2, 0.5)}
    rounds = by_round([adoption(1, 0, 1, learning_rate=0.5, mutated=mutated)])
    start, adopted = changes(rounds, 0)
    assert start.hyperparameters == {"learning_rate": 0.2}
    assert adopted.hyperparameters == {"learning_rate": 0.5}


def test_a_round_that_a_group_has_no_record_of_leaves_its_model_alone() -> None:
    rounds = by_round([adoption(1, 0, 1, learning_rate=0.1), record(2, 1), record(3, 0)])
    assert path_back(rounds, 0) == {-1: 1, 1: 0, 2: 0, 3: 0}


@given(sources=st.lists(st.tuples(*[st.integers(0, 3)] * 4), max_size=8), group=st.integers(0, 3))
def test_the_path_begins_at_the_ancestor(sources: list[tuple[int, ...]], group: int) -> None:
    rounds = by_round(
        record(number, g, source=source, adopted=source != g)
        for number, of_round in enumerate(sources)
        for g, source in enumerate(of_round)
    )
    start = path_back(rounds, group)[-1]
    if sources:
        assert ancestries(rounds, 4)[len(sources) - 1][group] == {start: 1.0}
    else:
        assert start == group
