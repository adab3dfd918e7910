"""Sums between two processes; threads stand for them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from combo_lightning.parallel.probe import connect, measure, open_store


def test_two_processes_time_their_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    store = open_store()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(measure, store, "pair", 0, 2)
        second = pool.submit(measure, connect("127.0.0.1", store.port), "pair", 1, 2)
        for small, large in (first.result(60), second.result(60)):
            assert 0 < small < large
