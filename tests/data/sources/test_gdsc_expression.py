import logging
from pathlib import Path

import pytest

from combo_lightning.data.sources.profile_file import read_profile
from combo_lightning.errors import InputError
from tests.data.sources.profile_fixtures import GDSC


def test_replicates_are_averaged_and_rows_without_a_symbol_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.txt").write_text(GDSC)
    with caplog.at_level(logging.INFO):
        profile = read_profile(tmp_path / "x.txt", "--expression")
    assert profile.layout == "GDSC"
    assert profile.cell_names == ("COSMIC:905946", "COSMIC:905949", "COSMIC:1503362")
    assert profile.feature_names == ("TSPAN6", "TP53")
    assert profile.values_EF.tolist() == [[7.5, 6.25], [3, 5], [3, 2]]
    assert "3 lines, 2 genes; dropped 1 rows without a symbol" in caplog.text
    assert "the mean of replicates for COSMIC 1503362" in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("GENE_SYMBOLS", "what", "no column 'GENE_SYMBOLS'; it has what, GENE_title"),
        ("6.25", "6,25", r"line 4, column 'DATA.905946' holds '6,25'"),
        ("DATA.905949", "DATA.905946", "has two columns named 'DATA.905946'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "x.txt").write_text(GDSC.replace(old, new))
    with pytest.raises(InputError, match=message):
        read_profile(tmp_path / "x.txt", "--expression")
    (tmp_path / "x.txt").write_text(GDSC.replace("TSPAN6\t", "\t").replace("TP53\t", "\t"))
    with pytest.raises(InputError, match="no row with a gene symbol"):
        read_profile(tmp_path / "x.txt", "--expression")
