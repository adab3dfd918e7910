"""Processes of one step agree on a port, and never meet another step; threads stand for them."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from combo_lightning.errors import InputError
from combo_lightning.slurm.rendezvous import ask_port, meeting_ports, tell_port

HOST = "127.0.0.1"


def test_all_processes_of_a_step_get_the_same_port_beside_another_step() -> None:
    with ThreadPoolExecutor(8) as pool:
        ranks = {
            step: [
                *(pool.submit(ask_port, step, rank, HOST, 30) for rank in (1, 2)),
                pool.submit(tell_port, step, 3, 30),
            ]
            for step in ("17.0", "17.1")
        }
        ports = {step: {rank.result() for rank in of} for step, of in ranks.items()}
    assert all(len(found) == 1 for found in ports.values())
    assert ports["17.0"] != ports["17.1"]


def test_a_port_that_somebody_else_has_is_passed_over() -> None:
    with socket.create_server(("", meeting_ports("18.0")[0])) as other:
        other.settimeout(30)
        with ThreadPoolExecutor(3) as pool:
            first = pool.submit(tell_port, "18.0", 2, 30)
            second = pool.submit(ask_port, "18.0", 1, HOST, 30)
            # It takes the other for the first process, until that one says something else.
            other.accept()[0].close()
            assert second.result() == first.result()


def test_where_the_port_is_given_the_processes_make_sure_there_that_they_are_one_step() -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(tell_port, "24.0.1", 2, 30, fixed=port)
        # A rank of the job's last start, and one of another step, are not let in.
        for other in ("24.0.0", "24.1.1"):
            with pytest.raises(InputError, match=f"step {other} did not answer"):
                ask_port(other, 1, HOST, patience=1, fixed=port)
        assert ask_port("24.0.1", 1, HOST, 30, fixed=port) == first.result() == port
    # Torch's store listens there next.
    socket.create_server((HOST, port)).close()


def test_a_given_port_that_is_in_use_is_refused() -> None:
    with (
        socket.create_server(("", 0)) as other,
        pytest.raises(InputError, match=r"where port \d+ is in use"),
    ):
        tell_port("25.0.0", 2, patience=1, fixed=other.getsockname()[1])


def test_a_stranger_does_not_disturb() -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(tell_port, "19.0", 2, 30)
        for said in (b"", b"GET / HTTP/1.1\r\n", b"20.0 1\n", b"\xff\xff \n"):
            with _connected("19.0") as stranger:
                stranger.sendall(said)
                stranger.shutdown(socket.SHUT_WR)
                assert stranger.recv(100) == b""
        assert ask_port("19.0", 1, HOST, 30) == first.result()


def _connected(step: str) -> socket.socket:
    for _ in range(1000):
        for port in meeting_ports(step):
            try:
                return socket.create_connection((HOST, port), 5)
            except ConnectionRefusedError:
                continue
    raise AssertionError("nobody listens")


def test_processes_that_do_not_come_are_named() -> None:
    with pytest.raises(InputError, match=r"of the 3 processes of step 21.0.*: 1, 2;"):
        tell_port("21.0", 3, patience=0.05)


def test_a_first_process_that_does_not_answer_is_named() -> None:
    with pytest.raises(InputError, match=r"step 22.0 did not answer on 127.0.0.1"):
        ask_port("22.0", 1, HOST, patience=0.05)


def test_a_first_node_without_an_address_is_named() -> None:
    with pytest.raises(InputError, match=r"first node is node1.invalid, and .* knows no"):
        ask_port("23.0", 1, "node1.invalid", patience=30)
