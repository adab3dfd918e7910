"""The exact best are kept, whatever the error within its bound."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.inference import candidates
from combo_lightning.inference.candidates import Candidates


@given(
    seed=st.integers(0, 1000),
    top=st.integers(1, 20),
    error=st.sampled_from([0.0, 0.01, 0.5]),
    restarts=st.booleans(),
)
def test_the_exact_best_are_among_the_kept(
    seed: int, top: int, error: float, *, restarts: bool
) -> None:
    draw = np.random.default_rng(seed)
    exact = draw.normal(size=(2, 3000))
    # Rounded scores tie; noise of both signs up to the bound.
    noisy = (exact + draw.choice([-error, 0.0, error], size=exact.shape)).astype(np.float32)
    found = Candidates(2, top, 2 * error + 1e-6)
    with patch.object(found, "_limit", [50, 50]):
        for start in range(0, 3000, 100):
            for group in range(2):
                part = slice(start, start + 100)
                ids = np.arange(start, start + 100)
                found.offer(group, noisy[group, part], ids, ids + 1)
            if restarts and start == 1500:
                state = found.to_arrays()
                found = Candidates(2, top, 2 * error + 1e-6)
                found.add(state)
    for group in range(2):
        kept = found.kept(group)
        best = set(np.argsort(-exact[group])[:top].tolist())
        assert best <= set(kept["first"].tolist())
        assert (kept["second"] == kept["first"] + 1).all()
        if error < 0.1:
            assert len(kept) < 200  # and few others
    assert not found.overflowed


def test_endless_ties_are_cut_and_told() -> None:
    with patch.object(candidates, "MOST_KEPT", 500):
        found = Candidates(1, 10, 1.0)
    for start in range(0, 20_000, 1000):
        ids = np.arange(start, start + 1000)
        found.offer(0, np.zeros(1000, dtype=np.float32), ids, ids)
    assert len(found.kept(0)) == 500
    assert found.overflowed


def test_nan_is_not_lost() -> None:
    found = Candidates(1, 1, 0.0)
    ids = np.arange(3)
    found.offer(0, np.array([1.0, np.nan, 0.0], dtype=np.float32), ids, ids)
    found.offer(0, np.array([np.nan, -1.0, 2.0], dtype=np.float32), ids, ids)
    assert np.isnan(found.kept(0)["score"]).sum() == 2
