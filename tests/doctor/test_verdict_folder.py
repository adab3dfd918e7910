from dataclasses import replace

import pytest

from combo_lightning.doctor.examination import Examination
from combo_lightning.doctor.folder import Folder, Swapped
from combo_lightning.doctor.verdict_folder import judge_folders
from tests.doctor.healthy import healthy


@pytest.fixture
def found() -> Examination:
    return healthy("node1", "node2", "node3")


def only(found: Examination, *, broken: bool = True) -> str:
    (finding,) = judge_folders(found)
    assert finding.broken == broken
    return finding.text


def test_a_node_with_another_folder_is_named_with_what_it_has(found: Examination) -> None:
    found.folders["node3"] = Folder("tmpfs at /shared", 10.0, "")
    found.notes = {
        "node1": ["node1", "node2"], "node2": ["node1", "node2"], "node3": ["node3"]
    }  # fmt: skip
    text = only(found)
    assert text.startswith("node3 does not see within 10 s what node1 and node2 wrote")
    assert "on node3 it is tmpfs at /shared, elsewhere nfs4 at /shared" in text


def test_a_node_without_the_folder_is_named(found: Examination) -> None:
    found.folders["node3"] = Folder("", 0.0, "/shared: No such file or directory")
    del found.notes["node3"]
    assert only(found).startswith(
        "node3 cannot write in the shared folder (/shared: No such file or directory)"
    )


def test_a_folder_that_shows_files_too_late_is_named(found: Examination) -> None:
    found.balls["node2"] = None
    assert only(found).startswith("node1 and node2 do not see new files of each other within 70 s")


def test_a_link_that_two_made_is_not_safe(found: Examination) -> None:
    found.races["node2"] = [4, 7]
    assert only(found).startswith("of 30 hard links that all nodes tried to make at once, 2 were")


def test_a_folder_without_links_is_named(found: Examination) -> None:
    found.races = dict.fromkeys(found.nodes, "Operation not permitted")
    findings = judge_folders(found)
    assert len(findings) == 3
    assert "node1 cannot make a hard link in the shared folder" in findings[0].text


def test_a_torn_file_is_not_safe(found: Examination) -> None:
    found.swaps["node2"] = Swapped(3, 1, 49, "Stale file handle")
    text = only(found)
    assert "torn 3 times of 49, missing 1 times, and then: Stale file handle" in text


def test_little_room_is_worth_a_look(found: Examination) -> None:
    found.folders["node2"] = replace(found.folders["node2"], free_gigabytes=0.3)
    assert "has 0.3 GB of room on node2" in only(found, broken=False)
