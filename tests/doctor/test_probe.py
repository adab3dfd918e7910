"""What may fail or hang on a node comes back as words; whole probes run in test_examination."""

import threading

import pytest

from combo_lightning.doctor import probe
from combo_lightning.errors import InputError


def test_what_works_is_given_and_what_fails_is_said_in_one_line() -> None:
    def fail() -> int:
        raise RuntimeError("Gloo connectFullMesh failed\n with a long trace")

    def refuse() -> int:
        raise InputError("nobody answered")

    assert probe._in_time(lambda: 7) == 7
    assert probe._in_time(fail) == "Gloo connectFullMesh failed"
    assert probe._in_time(refuse) == "nobody answered"


def test_what_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SUM_SECONDS", 0.1)
    end = threading.Event()
    assert probe._in_time(end.wait) == "no result within 0 s"
    end.set()
