import numpy as np

from combo_lightning.evaluation.groups import scores_by_group
from combo_lightning.evaluation.scores import score


def test_groups_are_scored_as_each_on_its_own() -> None:
    draw = np.random.default_rng(0)
    p, y, w = draw.normal(size=(3, 200))
    w = np.abs(w)
    code = draw.integers(-1, 4, 200)
    code[code == 2] = 3  # group 2 has no rows
    frame = scores_by_group(p, y, w, code, ["a", "b", "c", "d"]).set_index("name")
    assert sorted(frame.index) == ["a", "b", "d"]
    for i, name in ((0, "a"), (1, "b"), (3, "d")):
        mine = code == i
        np.testing.assert_allclose(
            frame.loc[name].to_numpy(dtype=float),
            list(score(p[mine], y[mine], w[mine]).to_plain().values()),
        )


def test_groups_stand_with_the_best_r2_first() -> None:
    y = np.array([1.0, 2, 3, 1, 2, 3])
    frame = scores_by_group(
        np.array([1.0, 2, 2, 1, 2, 3]), y, None, np.array([0, 0, 0, 1, 1, 1]), ["so so", "exact"]
    )
    assert list(frame["name"]) == ["exact", "so so"]


def test_a_million_rows_in_a_thousand_groups_take_under_five_seconds() -> None:
    import time

    draw = np.random.default_rng(0)
    p, y = draw.normal(size=(2, 1_000_000))
    start = time.process_time()
    frame = scores_by_group(
        p, y, None, draw.integers(0, 1000, len(y)), [str(i) for i in range(1000)]
    )
    assert time.process_time() - start < 5  # about 1 s; Python work per row takes 10 s and more
    assert len(frame) == 1000
