"""Who adopts from whom."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.errors import InputError
from combo_lightning.ltfb.strategies import (
    Choice,
    RandomPairwise,
    RegularizedEvolution,
    Strategy,
    TreeAveraging,
    TruncationSelection,
)
from combo_lightning.ltfb.tournament import Rule, Standing, draw_partners

RULE = Rule(["mse"])
STRATEGIES: list[Strategy] = [
    RandomPairwise(),
    TruncationSelection(0.25),
    TruncationSelection(0.5),
    RegularizedEvolution(1),
    RegularizedEvolution(3),
]
EACH = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: f"{type(s).__name__}")
SCORES = st.dictionaries(
    st.integers(0, 300),
    st.one_of(st.floats(0, 10), st.sampled_from([math.nan, math.inf, -math.inf, 1.0])),
    min_size=1,
    max_size=20,
)
ROUNDS, SEEDS = st.integers(0, 1000), st.integers(0, 1000)


def standings(scores: dict[int, float], ages: dict[int, int] | None = None) -> dict[int, Standing]:
    return {g: Standing({"mse": s}, age=(ages or {}).get(g, 0)) for g, s in scores.items()}


def plain(choices: dict[int, Choice]) -> dict[int, tuple[int, bool, str, str]]:
    return {g: (c.source, c.mutate, str(c.margin), c.reason) for g, c in choices.items()}


@EACH
@given(SCORES, ROUNDS, SEEDS, st.randoms())
def test_equal_facts_in_any_order_give_equal_decisions(
    strategy: Strategy, scores: dict[int, float], round_index: int, seed: int, chance: object
) -> None:
    names = list(scores)
    chance.shuffle(names)  # type: ignore[attr-defined]
    here = strategy.decide(standings(scores), RULE, round_index, seed)
    there = strategy.decide(standings({g: scores[g] for g in names}), RULE, round_index, seed)
    assert plain(here) == plain(there)
    assert set(here) == set(scores)


@EACH
@given(SCORES, ROUNDS, SEEDS)
def test_a_source_keeps_its_model_and_is_finite(
    strategy: Strategy, scores: dict[int, float], round_index: int, seed: int
) -> None:
    choices = strategy.decide(standings(scores), RULE, round_index, seed)
    for group, choice in choices.items():
        assert choice.mutate == (choice.source != group)
        if choice.source != group:
            assert choices[choice.source].source == choice.source
            assert math.isfinite(scores[choice.source])


@EACH
@given(SCORES, SEEDS)
def test_nan_never_spreads_and_dies_out_where_anybody_is_finite(
    strategy: Strategy, scores: dict[int, float], seed: int
) -> None:
    now, ages = dict(scores), dict.fromkeys(scores, 0)
    broken = {g for g, s in now.items() if not math.isfinite(s)}
    for round_index in range(60):
        choices = strategy.decide(standings(now, ages), RULE, round_index, seed)
        now = {g: now[c.source] for g, c in choices.items()}
        ages = {g: 0 if c.mutate else ages[g] + 1 for g, c in choices.items()}
        left = {g for g, s in now.items() if not math.isfinite(s)}
        assert left <= broken
        broken = left
        # Whatever is decided, some model is left.
        assert set(now) == set(scores)
    assert not broken or len(broken) == len(scores)


@EACH
@given(SCORES, ROUNDS, SEEDS)
def test_only_the_old_give_way_to_what_did_not_beat_them(
    strategy: Strategy, scores: dict[int, float], round_index: int, seed: int
) -> None:
    if isinstance(strategy, RegularizedEvolution):
        return
    for group, choice in strategy.decide(standings(scores), RULE, round_index, seed).items():
        if choice.source != group:
            there, here = (
                Standing({"mse": scores[choice.source]}),
                Standing({"mse": scores[group]}),
            )
            assert RULE.beats(there, here, [0]).wins


@given(SCORES, ROUNDS, SEEDS)
def test_a_pair_decides_for_itself_as_all_would_have(
    scores: dict[int, float], round_index: int, seed: int
) -> None:
    strategy, everybody = RandomPairwise(), standings(scores)
    choices = strategy.decide(everybody, RULE, round_index, seed)
    partners = draw_partners(list(scores), round_index, seed)
    for group in scores:
        met = strategy.meets(group, list(scores), round_index, seed)
        assert met == [p for p in (partners[group],) if p != group]
        pair = {g: everybody[g] for g in (group, *met)}
        assert (
            plain(strategy.decide(pair, RULE, round_index, seed))[group] == (plain(choices)[group])
        )


def test_a_pair_is_paired_whatever_the_draw_would_say() -> None:
    for round_index in range(50):
        choices = RandomPairwise().decide(standings({3: 1.0, 8: 2.0}), RULE, round_index, 5)
        assert plain(choices) == {
            3: (3, False, "-1.0", "worse"),
            8: (3, True, "1.0", "better"),
        }


def test_nobody_to_meet_means_alone() -> None:
    assert RandomPairwise().meets(4, [4], 0, 0) == []
    assert RandomPairwise().decide(standings({4: 1.0}), RULE, 0, 0)[4].reason == "alone"


@pytest.mark.parametrize("strategy", STRATEGIES[1:], ids=lambda s: type(s).__name__)
def test_strategies_over_all_meet_all(strategy: Strategy) -> None:
    assert strategy.meets(4, [7, 1, 4], 0, 0) == [1, 7]


@pytest.mark.parametrize(("groups", "replaced"), [(1, 0), (2, 1), (3, 1), (4, 1), (8, 2), (9, 2)])
def test_truncation_replaces_its_share_of_the_worst_by_some_of_the_best(
    groups: int, replaced: int
) -> None:
    sources = set()
    for round_index in range(40):
        scores = {g: float(g) for g in range(groups)}
        choices = TruncationSelection(0.25).decide(standings(scores), RULE, round_index, 0)
        losers = [g for g, c in choices.items() if c.source != g]
        assert losers == list(range(groups - replaced, groups))
        sources |= {choices[g].source for g in losers}
    assert sources == set(range(replaced))


def test_truncation_asks_the_rule_before_a_model_is_given_up() -> None:
    rule = Rule(["mse"], margin=5.0)
    choices = TruncationSelection(0.5).decide(standings({0: 1.0, 1: 2.0}), rule, 0, 0)
    assert plain(choices)[1] == (1, False, "1.0", "within the margin")


def test_truncation_knows_which_way_is_better() -> None:
    rule = Rule(["mse"], "max")
    choices = TruncationSelection(0.5).decide(standings({0: 1.0, 1: 2.0}), rule, 0, 0)
    assert (choices[0].source, choices[1].source) == (1, 1)


def test_truncation_replaces_all_that_are_not_finite_at_once() -> None:
    scores = {0: math.nan, 1: math.inf, 2: 5.0, 3: math.nan}
    choices = TruncationSelection(0.25).decide(standings(scores), RULE, 0, 0)
    assert {c.source for c in choices.values()} == {2}


def test_evolution_lets_the_oldest_go_even_if_it_is_better_than_its_heir() -> None:
    scores, ages = {0: 1.0, 1: 3.0, 2: 2.0}, {0: 9, 1: 2, 2: 3}
    heirs = set()
    for round_index in range(50):
        now = standings(scores, ages)
        choices = RegularizedEvolution(2).decide(now, RULE, round_index, 0)
        assert [choices[g].source for g in (1, 2)] == [1, 2]
        assert choices[0].reason == "oldest"
        heirs.add(choices[0].source)
    # Whatever sample holds 0 has it as parent: it stays. The sample {1, 2} replaces it by 2.
    assert heirs == {0, 2}


def test_evolution_compares_scores_below_one() -> None:
    scores = {0: 0.5, 1: 0.2, 2: 0.1}
    choices = RegularizedEvolution(3).decide(standings(scores), RULE, 0, 0)
    assert choices[0].source == 2
    assert choices[0].margin == pytest.approx(0.4)


def test_evolution_replaces_what_is_not_finite_before_the_oldest() -> None:
    scores, ages = {0: 1.0, 1: math.nan, 2: 2.0}, {0: 9, 1: 0, 2: 3}
    choices = RegularizedEvolution(2).decide(standings(scores, ages), RULE, 0, 0)
    assert plain(choices)[1] == (0, True, "nan", "not finite")
    assert choices[0].source == 0


def test_everybody_has_its_turn_to_be_the_oldest() -> None:
    ages, replaced = dict.fromkeys(range(5), 0), []
    for round_index in range(30):
        now = standings({g: float(g != 2) for g in range(5)}, ages)
        choices = RegularizedEvolution(1).decide(now, RULE, round_index, 1)
        replaced += [g for g, c in choices.items() if c.mutate]
        ages = {g: 0 if c.mutate else ages[g] + 1 for g, c in choices.items()}
    assert set(replaced) == set(range(5))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: TruncationSelection(0.0), "fraction is 0.0"),
        (lambda: TruncationSelection(0.6), "fraction is 0.6"),
        (lambda: TruncationSelection(math.nan), "fraction is nan"),
        (lambda: RegularizedEvolution(0), "sample_size is 0"),
        (lambda: TreeAveraging(1.0), "outer_momentum is 1.0"),
        (lambda: TreeAveraging(0.5, 0.0), "outer_learning_rate is 0.0"),
        (lambda: TreeAveraging(0.5, math.inf), "outer_learning_rate is inf"),
    ],
)
def test_numbers_that_cannot_work_are_refused(make: Callable[[], object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        make()


@given(st.sets(st.integers(0, 2000), min_size=1, max_size=70), ROUNDS, SEEDS)
def test_the_tree_spans_the_living_and_is_shallow(
    living: set[int], round_index: int, seed: int
) -> None:
    tree = TreeAveraging().tree(sorted(living, reverse=True), round_index, seed)
    assert tree == TreeAveraging().tree(sorted(living), round_index, seed)
    assert set(tree) == living
    (root,) = [g for g, (parent, _) in tree.items() if parent is None]
    level, seen, depth = [root], [root], 0
    while level:
        for group in level:
            assert len(tree[group][1]) <= 2
            assert all(tree[child][0] == group for child in tree[group][1])
        level = [child for group in level for child in tree[group][1]]
        seen += level
        depth += 1
    assert sorted(seen) == sorted(living)
    assert depth == len(living).bit_length()


def test_every_group_is_the_root_at_some_time() -> None:
    trees = [TreeAveraging().tree(range(5), r, 0) for r in range(80)]
    assert {g for tree in trees for g, (parent, _) in tree.items() if parent is None} == set(
        range(5)
    )


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_without_momentum_the_outer_step_is_the_mean_bit_for_bit(
    anchor: float, mean: float
) -> None:
    weights, _ = TreeAveraging().outer_step(np.array([anchor]), np.array([mean]), np.zeros(1))
    assert weights[0] == mean


def test_the_outer_step_is_torchs_sgd_with_nesterovs_momentum() -> None:
    import torch

    averaging = TreeAveraging(0.9, 0.7)
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    weights = torch.zeros(8, dtype=torch.float64)
    velocity = torch.zeros_like(weights)
    other = torch.nn.Parameter(weights.clone())
    outer = torch.optim.SGD([other], lr=0.7, momentum=0.9, nesterov=True)
    for mean in means:
        weights, velocity = averaging.outer_step(weights, mean, velocity)
        other.grad = other.detach() - mean
        outer.step()
        torch.testing.assert_close(weights, other.detach())
