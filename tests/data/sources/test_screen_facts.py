import pyarrow as pa
import pytest

from combo_lightning.data.sources.screen_facts import SeenLines


def test_a_name_that_several_lines_share_tells_none_but_an_identifier_stays() -> None:
    lines = SeenLines()
    names = pa.array(["TT", "TT (oesophagus)", "MCF7", "MCF-7", None])
    short = pa.array(["TT", "TT", "MCF7", "MCF7", "X"])
    cosmic = pa.array(["910706", "753624", "905946", "905946", "1"])
    lines.add(names, pa.array(["thyroid", None, "breast", "breast", "x"]), [short, cosmic])
    assert [(line.name, line.others, line.tissue) for line in lines.known()] == [
        ("TT", ("910706",), "thyroid"),
        ("TT (oesophagus)", ("753624",), None),
        ("MCF7", ("905946",), "breast"),
        ("MCF-7", ("905946",), "breast"),
    ]


def test_identifiers_that_disagree_with_names_are_told(caplog: pytest.LogCaptureFixture) -> None:
    lines = SeenLines()
    lines.add(
        pa.array(["A", "A", "B", "C"]),
        None,
        [pa.array(["905946", "905947", "905949", "905949"])],
    )
    lines.known()
    assert [record.getMessage() for record in caplog.records] == [
        "'A' has several COSMIC ids (905946, 905947) and is taken as one line",
        "COSMIC id 905949 stands for 'B', 'C', which stay 2 lines",
    ]
