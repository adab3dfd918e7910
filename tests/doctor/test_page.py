from dataclasses import replace

from combo_lightning.doctor.examination import Speed
from combo_lightning.doctor.finding import Finding
from combo_lightning.doctor.page import examination_lines, page_text
from combo_lightning.doctor.settings import Setting
from tests.doctor.healthy import healthy, machine

WIDTH = 100


def test_a_page_fits_its_width_and_ends_with_what_to_set_and_the_verdict() -> None:
    found = healthy("node1", "node2", "node3")
    text = page_text("job 7", examination_lines(found), [], [Setting("export X=1", "why")], WIDTH)
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert all(line == line.rstrip() for line in lines)
    assert lines[0] == "job 7"
    assert lines[-4:] == ["what to set", "export X=1  why", "", "healthy"]


def test_what_is_broken_stands_before_what_is_worth_a_look() -> None:
    findings = [Finding("slow", broken=False), Finding("lost"), Finding("gone")]
    text = page_text("job 7", [], findings, [], WIDTH)
    assert "broken\n1.  lost\n2.  gone\n\nworth a look\n1.  slow\n" in text
    assert text.endswith("nothing  mend what is broken\n\n2 things are broken\n")


def test_a_command_is_not_cut() -> None:
    command = f"combo-lightning {'x' * 120}"
    assert command.split()[1] in page_text("job 7", [("a", "b", command)], [], [], WIDTH).split()


def test_equal_nodes_are_one_line_and_others_have_their_own() -> None:
    found = healthy("node1", "node2", "node3")
    found.machines["node2"] = replace(machine(), processor="Xeon: amx_bf16")
    said = [line for line in examination_lines(found) if "EPYC" in line[2] or "Xeon" in line[2]]
    assert said == [
        ("processor", "node1 node3", machine().processor),
        ("", "node2", "Xeon: amx_bf16"),
    ]
    assert ("precision", "all", "--precision auto is bf16-mixed (avx512_bf16)") in (
        examination_lines(found)
    )


def test_all_pairs_of_few_nodes_are_shown_and_of_many_the_slowest() -> None:
    few = examination_lines(healthy("node1", "node2", "node3"))
    assert ("", "node1 node3", "4 bytes 0.1 ms, 8 MB 8 ms (1,049 MB/s)") in few
    many = healthy(*(f"node{i}" for i in range(1, 21)))
    many.pairs["node4", "node17"] = Speed(0.002, 0.5)
    shown = [line for line in examination_lines(many) if "4 bytes" in line[2] and not line[0]]
    assert len(shown) == 5
    assert ("", "node4 node17", "4 bytes 2 ms, 8 MB 500 ms (17 MB/s)") in shown


def test_a_single_node_has_no_pairs() -> None:
    topics = [line[0] for line in examination_lines(healthy("node1"))]
    assert "all-reduce" not in topics
    assert "clocks" not in topics
    assert {"install", "shared folder"} <= set(topics)
