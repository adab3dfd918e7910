import gzip
from pathlib import Path

import pytest

from combo_lightning.data.sources.raw_text import find_columns, read_rows, read_text
from combo_lightning.errors import InputError


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_line_ends_gzip_and_bom_do_not_matter(
    tmp_path: Path, line_end: str, packed: bool, bom: bytes
) -> None:
    content = bom + line_end.join(["a,b", '"1, x",2', "", "\x1a"]).encode()
    path = tmp_path / "x.csv"
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read_rows(path, "--x", ",") == [["a", "b"], ["1, x", "2"]]


def test_windows_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("a,\xb5M\n".encode("cp1252"))
    assert read_text(tmp_path / "x.csv", "--x") == "a,µM"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9], "damaged or truncated gzip"),
        (b"a;b\n1;2\n", "it looks separated by semicolons"),
        (b"a\tb\n1\t2\n", "it looks separated by tabs"),
        (b"\n\n", "is empty"),
        (b"a,b\x00\x00\n", "is not a text file"),
    ],
)
def test_a_bad_file_is_named_with_its_option(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"--scores: .*{message}"):
        read_rows(tmp_path / "x.csv", "--scores", ",")


def test_a_missing_file_gets_the_nearest_name_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("a,b\n")
    with pytest.raises(InputError, match=r"no file .*score\.csv; did you mean 'scores\.csv'"):
        read_text(tmp_path / "score.csv", "--scores")
    with pytest.raises(InputError, match="is a directory"):
        read_text(tmp_path, "--scores")


def test_a_missing_column_gets_the_nearest_one() -> None:
    assert find_columns(["nsc1", "B"], ["NSC1"], Path("x"), "--s") == {"NSC1": 0}
    with pytest.raises(InputError, match="no column 'NSC2'; did you mean 'NSC_2'"):
        find_columns(["NSC1", "NSC_2"], ["NSC2"], Path("x"), "--s")
