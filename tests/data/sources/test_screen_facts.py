import pyarrow as pa

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
