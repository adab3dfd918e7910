"""Names are looked up and doors knocked at, on this machine's loopback."""

import socket

from combo_lightning.doctor.names import Doors, find_place, interface_addresses, reach, reach_all
from combo_lightning.ports import HIGHEST_PORT, LOWEST_PORT


def test_a_node_has_a_door_of_each_kind_and_tells_its_name_at_both() -> None:
    doors = Doors("node7")
    meeting, other = doors.ports
    assert LOWEST_PORT <= meeting <= HIGHEST_PORT
    assert other > HIGHEST_PORT
    found = reach("localhost", doors.ports)
    assert found.address == "127.0.0.1"
    assert found.doors == {meeting: "node7", other: "node7"}


def test_a_closed_door_says_why() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
    assert reach("127.0.0.1", [port]).doors == {port: "!Connection refused"}


def test_a_door_that_never_answers_is_not_waited_for_long() -> None:
    with socket.create_server(("", 0)) as silent:
        port = silent.getsockname()[1]
        assert reach("127.0.0.1", [port]).doors == {port: "!no answer within 3 s"}


def test_a_name_without_an_address_says_so_and_disturbs_no_other() -> None:
    doors = Doors("node7")
    found = reach_all({"node9.invalid": doors.ports, "localhost": doors.ports})
    assert found["node9.invalid"]["address"] == ""
    assert found["node9.invalid"]["error"]
    assert set(found["localhost"]["doors"].values()) == {"node7"}


def test_this_machine_knows_its_addresses() -> None:
    assert interface_addresses()["lo"] == "127.0.0.1"
    place = find_place(Doors("node7"))
    assert place.hostname == socket.gethostname()
    assert "127.0.0.1" not in place.outer_addresses.values()
