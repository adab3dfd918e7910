import socket

import pytest

from combo_lightning import ports
from combo_lightning.ports import free_port


def test_a_free_port_is_none_that_the_system_gives_to_connections() -> None:
    found = {free_port() for _ in range(20)}
    assert len(found) > 10
    assert all(ports.LOWEST_PORT <= port <= ports.HIGHEST_PORT for port in found)
    for port in found:
        socket.create_server(("127.0.0.1", port)).close()


def test_a_port_in_use_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("", free_port())) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "LOWEST_PORT", port)
        monkeypatch.setattr(ports, "HIGHEST_PORT", port)
        with pytest.raises(OSError, match="none of 64 ports"):
            free_port()
    assert free_port() == port
