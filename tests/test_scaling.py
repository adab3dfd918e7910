"""The cost model of the scaling study."""

from dataclasses import replace

import pytest

from scripts.bench.scaling.__main__ import plan
from scripts.bench.scaling.cost_model import (
    TERMS,
    CostModel,
    Setting,
    flop,
    messages,
    of_link,
    terms,
)
from scripts.bench.scaling.picture import RANKS, side_by_side, speedup

ONE = Setting("per_entity", True, 256, 1)


def test_what_is_held_out_is_not_fitted() -> None:
    fitted, held_out = plan(2)
    assert not set(fitted) & set(held_out)
    assert len(fitted) >= 12
    assert {s.ranks for _, s in held_out} == {1, 2, 4}
    assert any(s.delay_seconds for _, s in held_out)


def test_costs_are_found_again_from_the_steps_that_they_make() -> None:
    fitted, held_out = plan(2)
    true = CostModel((5e-12, 1.3e-12, 1e-12, 3e-13, 2e-11, 4e-3, 1e-4, 8e-10, 4.0, 0.1))
    found = CostModel.fit([s for _, s in fitted], [true.predict(s) for _, s in fitted])
    for _, setting in held_out:
        assert found.predict(setting) == pytest.approx(true.predict(setting), rel=1e-6)


def test_ranks_share_the_products_and_add_messages() -> None:
    two = replace(ONE, ranks=2)
    assert flop(two) == pytest.approx(flop(ONE) / 2)
    assert messages(ONE) == (0.0, 0.0)
    count, sent = messages(two)
    # All gradients in fp32 go out once, and the encoded entities beside them.
    assert 4 * 13_760_001 < sent < 1.1 * 4 * 13_760_001
    assert count == 2 + 3 * 3
    slow = replace(two, delay_seconds=1e-3, link_bytes=1e8)
    assert of_link(slow) == pytest.approx(count * 1e-3 + sent / 1e8)
    assert terms(slow)[TERMS.index("bytes on this host")] == 0
    assert terms(two)[TERMS.index("further latencies a message")] == 0


def test_batch_256_stops_scaling_where_a_growing_batch_and_more_models_do_not() -> None:
    one = replace(ONE, cores=0)
    strong = speedup("A100 (312 TFLOP/s)", "10 GbE", one, RANKS)
    wide = replace(one, batch=4096)
    weak = speedup("A100 (312 TFLOP/s)", "InfiniBand NDR", wide, RANKS, weak=True)
    models = side_by_side("A100 (312 TFLOP/s)", "InfiniBand NDR", one, RANKS)
    assert strong[0] == weak[0] == models[0] == pytest.approx(1)
    assert max(strong) < 4
    assert weak[-1] > 100
    assert 0.9 * RANKS[-1] < models[-1] < RANKS[-1]
