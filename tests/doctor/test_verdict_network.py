from dataclasses import replace

import pytest

from combo_lightning.doctor.examination import Examination, Speed
from combo_lightning.doctor.names import Reached
from combo_lightning.doctor.verdict_network import judge_clocks, judge_names, judge_sums
from tests.doctor.healthy import DOORS, address, healthy


@pytest.fixture
def found() -> Examination:
    return healthy("node1", "node2", "node3", "node4")


def only(found: Examination) -> str:
    """Judge names; give the one finding, which is broken."""
    (finding,) = judge_names(found)
    assert finding.broken
    return finding.text


def test_a_name_that_leads_to_another_node_is_named(found: Examination) -> None:
    refused = dict.fromkeys(DOORS, "!Connection refused")
    found.reached["node2"]["node3"] = Reached(address("node4"), "", refused)
    assert only(found) == (
        "node2 takes 10.0.0.4 for node3, but that is node4: correct node3 in /etc/hosts or DNS "
        "there; it has 10.0.0.3"
    )


def test_another_node_that_answers_is_named_although_its_address_is_unknown(
    found: Examination,
) -> None:
    found.reached["node2"]["node3"] = Reached("10.9.9.9", "", dict.fromkeys(DOORS, "node1"))
    assert "takes 10.9.9.9 for node3, but that is node1" in only(found)


def test_a_name_that_leads_nowhere_is_named_once_for_all_who_say_so(found: Examination) -> None:
    nowhere = Reached("192.0.2.1", "", dict.fromkeys(DOORS, "!no answer within 3 s"))
    for name in ("node1", "node2", "node4"):
        found.reached[name]["node3"] = nowhere
    assert only(found).startswith(
        "node1, node2 and node4 take 192.0.2.1 for node3, but that is no node of this job: "
    )


def test_a_name_without_an_address_is_named(found: Examination) -> None:
    found.reached["node1"]["node2"] = Reached("", "Name or service not known", {})
    assert only(found).startswith(
        "node1 knows no address of node2 (Name or service not known): correct node2"
    )


@pytest.mark.parametrize(
    ("closed", "ports"),
    [
        (DOORS[:1], "ports 10000 to 32767, where processes meet (no answer within 3 s)"),
        (DOORS[1:], "the ports that the system gives out, where gloo sums (no answer"),
        (DOORS, "where processes meet and the ports that the system gives out"),
    ],
)
def test_a_firewall_is_named_with_the_ports_that_it_closes(
    found: Examination, closed: list[int], ports: str
) -> None:
    doors = {port: "!no answer within 3 s" if port in closed else "node3" for port in DOORS}
    found.reached["node2"]["node3"] = Reached(address("node3"), "", doors)
    text = only(found)
    assert text.startswith("node2 cannot connect to node3 (10.0.0.3) on ")
    assert ports in text
    assert "let the firewalls between them pass TCP to node3 on all ports from 1024" in text


def test_an_own_name_that_leads_to_the_loopback_needs_an_interface(found: Examination) -> None:
    for name in ("node2", "node3"):
        found.places[name] = replace(found.places[name], own="127.0.1.1")
    assert only(found).startswith(
        "on node2 and node3 the node's own name is 127.0.1.1, and gloo announces that to the "
        "others: export GLOO_SOCKET_IFNAME=eth0"
    )
    for name in ("node2", "node3"):
        found.places[name] = replace(found.places[name], gloo_interface="eth0")
    assert judge_names(found) == []


def test_an_interface_that_is_not_there_is_named(found: Examination) -> None:
    found.places["node2"] = replace(found.places["node2"], gloo_interface="hsn0")
    assert only(found).startswith("GLOO_SOCKET_IFNAME is hsn0, but node2 has eth0 and lo")


def test_nodes_that_cannot_meet_or_sum_are_named(found: Examination) -> None:
    found.met["node2"] = "the first process did not answer"
    found.pairs["node1", "node3"] = "connection reset"
    met, pair = judge_sums(found)
    assert met.text == "node2 cannot meet the others: the first process did not answer"
    assert pair.text.startswith(
        "node1-node3 find each other, but cannot sum over gloo (connection reset)"
    )
    assert met.broken
    assert pair.broken


def test_a_slow_pair_is_worth_a_look(found: Examination) -> None:
    found.pairs["node2", "node4"] = Speed(0.0001, 0.08)
    (finding,) = judge_sums(found)
    assert finding.text.startswith("node2 and node4 take 10 times as long as other pairs")
    assert not finding.broken


def test_a_clock_that_is_off_is_worth_a_look_unless_it_was_read_too_roughly(
    found: Examination,
) -> None:
    found.clocks["node2"] = (-7.5, 0.1)
    found.clocks["node3"] = (8.0, 9.0)
    (finding,) = judge_clocks(found)
    assert finding.text.startswith("the clock of node2 is 7.5 s behind the others")
    assert not finding.broken
