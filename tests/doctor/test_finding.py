from combo_lightning.doctor.finding import by_value, differences, listed


def test_names_become_a_list_for_a_sentence() -> None:
    assert listed(["node1"]) == "node1"
    assert listed(["node1", "node2"]) == "node1 and node2"
    assert listed(["node1", "node2", "node3"]) == "node1, node2 and node3"


def test_what_is_said_of_whom_is_grouped() -> None:
    groups = by_value({"node1": 1, "node2": 2, "node3": 1}, lambda number: f"v{number}")
    assert groups == {"v1": ["node1", "node3"], "v2": ["node2"]}
    assert differences(groups) == "v1 on node1 and node3; v2 on node2"
