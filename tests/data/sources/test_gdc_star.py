import gzip
from pathlib import Path

import numpy as np
import pytest

from combo_lightning.data.sources.gdc_star import is_sample_sheet
from combo_lightning.data.sources.profile_file import read_profile
from combo_lightning.errors import InputError
from tests.data.sources.profile_fixtures import STAR_HEADER, star, write_star_folder


def test_a_folder_with_its_sample_sheet_is_read(tmp_path: Path) -> None:
    profile = read_profile(write_star_folder(tmp_path), "--expression")
    assert profile.layout == "GDC"
    assert profile.cell_names == ("sample-0", "sample-1")
    assert profile.feature_names == ("TSPAN6", "TP53", "TP53#2")
    assert profile.genes == ("TSPAN6", "TP53", "TP53")
    np.testing.assert_allclose(profile.values_EF, [[2, 0, 1], [3, 1, 0]])


def test_without_a_sheet_a_sample_is_named_by_its_file(tmp_path: Path) -> None:
    profile = read_profile(write_star_folder(tmp_path, sheet=False), "--expression")
    assert profile.cell_names == ("f0", "f1")


@pytest.mark.parametrize("packed", [False, True])
def test_one_file_is_one_sample(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "s1.rna_seq.tsv"
    content = star((3, 0, 1)).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    profile = read_profile(path, "--expression")
    assert profile.cell_names == ("s1",)
    np.testing.assert_allclose(profile.values_EF, [[2, 0, 1]])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\t3.0\t", "\t-3\t", "the gene TSPAN6 has the TPM -3.0; it must be 0 or more"),
        ("\t3.0\t", "\t\t", "the gene TSPAN6 has the TPM nan"),
        ("\t3.0\t", "\tx\t", r"line 7, column 'tpm_unstranded' holds 'x'"),
        ("tpm_unstranded", "tpm", "has no column 'tpm_unstranded'; counts alone give no TPM"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "x.tsv").write_text(star((3.0, 0, 1)).replace(old, new))
    with pytest.raises(InputError, match=message):
        read_profile(tmp_path / "x.tsv", "--expression")


def test_a_folder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder without files of the GDC"):
        read_profile(tmp_path, "--expression")
    folder = write_star_folder(tmp_path)
    sheet = next(folder.glob("*.tsv"))
    text = sheet.read_text()
    sheet.write_text(text.replace("sample-1", "sample-0"))
    with pytest.raises(InputError, match=r"names both f0.* and f1.* 'sample-0'; keep one file"):
        read_profile(folder, "--expression")
    sheet.write_text(text.replace("f1.rna", "f7.rna"))
    with pytest.raises(InputError, match="has no row for the file f1"):
        read_profile(folder, "--expression")
    sheet.write_text(text)
    (folder / "sheet_2.tsv").write_text(text)
    with pytest.raises(InputError, match="holds two sample sheets"):
        read_profile(folder, "--expression")
    (folder / "sheet_2.tsv").unlink()
    other = next(folder.rglob("f1*.tsv"))
    other.write_text(other.read_text().replace("TSPAN6", "TSPAN7"))
    with pytest.raises(InputError, match=r"f1.* has other genes than f0"):
        read_profile(folder, "--expression")


def test_a_sample_sheet_is_told_by_its_columns() -> None:
    assert is_sample_sheet(["File ID", "File Name", "Sample ID"])
    assert not is_sample_sheet(STAR_HEADER.split("\t"))
