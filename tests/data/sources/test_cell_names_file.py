import gzip
from pathlib import Path

import pytest

from combo_lightning.data.sources.cell_names_file import read_known_lines
from combo_lightning.errors import InputError
from tests.data.sources.profile_fixtures import CELLOSAURUS, MODEL
from tests.data.sources.xls import write_xls


def write(tmp_path: Path, text: str, name: str = "names.csv") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_depmaps_model_table_names_lines_in_all_registries(tmp_path: Path) -> None:
    known = read_known_lines([write(tmp_path, MODEL, "Model.csv")])
    for names in (
        ("MCF7", "MCF-7", "ACH-000019", "CVCL_0031", "SIDM00148", "905946", "MCF7_BREAST"),
        ("A549/ATCC", "ACH-000681", "RRID:CVCL_0023", "COSMIC:905949"),
        ("HL-60(TB)", "HL60", "ACH-000002"),
    ):
        assert len({known.find(name)[0] for name in names}) == 1, names
    assert known.tissue("MCF-7") == "Breast"
    assert known.find("MCF7")[1] == "Model.csv"


def test_cellosaurus_is_told_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, CELLOSAURUS, "names.csv")
    packed = tmp_path / "names.gz"
    packed.write_bytes(gzip.compress(CELLOSAURUS.encode(), mtime=0))
    for file in (path, packed):
        known = read_known_lines([file])
        assert len(known) == 3
        mcf7 = known.find("ACH-000019")[0]
        for name in ("Michigan Cancer Foundation-7", "CVCL_0031", "905946", "SIDM00148"):
            assert known.find(name)[0] == mcf7, name
        assert known.find("TT")[0] != known.find("T-T")[0] == known.find("T.T")[0]
        assert known.find("CVCL_9999")[0] == known.find("TT")[0]


@pytest.mark.parametrize(
    "text",
    [
        "name,synonyms\nA-1,old A;older A\nB-2,\n",
        "id\tsynonyms\nA-1\told A|older A\nB-2\t\n",
        "Cell Line;Aliases\nA-1;old A|older A\nB-2;NA\n",
        "\ufeffCell line name,Aliases\r\nA-1,old A ; older A\r\nB-2\r\n",
        'Sample Name,"COSMIC\nidentifier",Other names\nA-1,1,"old A; older A"\nB-2,2,\n',
    ],
)
def test_a_users_own_table_is_read(tmp_path: Path, text: str) -> None:
    known = read_known_lines([write(tmp_path, text)])
    assert len(known) == 2
    assert known.find("older A")[0] == known.find("A1")[0] == {0}
    assert known.find("B-2")[0] == {1}


def test_gdscs_workbook_is_read(tmp_path: Path) -> None:
    path = write_xls(
        tmp_path / "named_otherwise.xlsx",
        {
            "Read me": [["GDSC"]],
            "Cell line details": [
                ["Sample Name", "COSMIC identifier", "GDSC\nTissue descriptor 1"],
                ["MC-CAR", 683665.0, "blood"],
            ],
        },
    )
    known = read_known_lines([path])
    assert known.find("DATA.683665")[0] == known.find("MCCAR")[0] == {0}
    assert known.tissue("MC-CAR") == "blood"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("what,ever\n1,2\n", "has no column of names, such as 'name' or 'CellLineName'; it has"),
        ("name,synonyms\n", "names no cell line"),
        ("name\nA\n", "has one column in its first line"),
        ("PAR1", "is Parquet; save the table of names as CSV"),
    ],
)
def test_what_is_no_table_of_names_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_known_lines([write(tmp_path, text)])
    with pytest.raises(InputError, match="there is no file"):
        read_known_lines([tmp_path / "x.csv"])
