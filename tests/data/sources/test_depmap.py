import logging
from pathlib import Path

import numpy as np
import pytest

from combo_lightning.data.sources.depmap import gene_symbol, is_depmap
from combo_lightning.data.sources.profile import Profile
from combo_lightning.data.sources.profile_file import read_profile
from combo_lightning.errors import InputError
from tests.data.sources.profile_fixtures import DEPMAP_NEW, DEPMAP_OLD

VALUES = [[4.5, 1.25, 0], [0, 2.5, np.nan], [0.125, 3, 7]]


def read(tmp_path: Path, text: str) -> Profile:
    (tmp_path / "x.csv").write_text(text)
    return read_profile(tmp_path / "x.csv", "--expression")


@pytest.mark.parametrize("text", [DEPMAP_OLD, DEPMAP_NEW])
def test_both_layouts_give_one_row_a_line(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        profile = read(tmp_path, text)
    assert profile.layout == "DepMap"
    assert profile.cell_names == ("ACH-000019", "ACH-000681", "ACH-000002")
    assert profile.feature_names == profile.genes == ("TSPAN6", "TP53", "ZNF781")
    np.testing.assert_array_equal(profile.values_EF, np.array(VALUES, np.float32))
    assert "taken as a DepMap matrix: 3 lines" in caplog.text
    assert ("dropped 2 rows that are no default" in caplog.text) == (text is DEPMAP_NEW)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Yes", "True"),
        ("IsDefaultEntryForModel", "is_default_entry_for_model"),
        ("ModelID", "model_id"),
        ("SequencingID", "ProfileID"),
        (",4.5,", ", +4.5 ,"),
    ],
)
def test_other_spellings_read_alike(tmp_path: Path, old: str, new: str) -> None:
    text = DEPMAP_NEW.replace(old, new)
    if new == "True":
        text = text.replace("No", "False")
    np.testing.assert_array_equal(read(tmp_path, text).values_EF, np.array(VALUES, np.float32))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("IsDefaultEntryForModel", "mark", r"'ACH-000019' stands in several rows of column "
         r"'ModelID' and there is no IsDefaultEntryForModel"),
        (",No,9", ",Yes,9", r"'ACH-000019' stands in several rows of .*'IsDefaultEntryForModel'"),
        ("Yes,", "?,", r"has no row whose 'IsDefaultEntryForModel' is Yes"),
        ("2.5", "abc", r"x\.csv, line 4, column 'TP53 \(7157\)' holds 'abc'"),
        ("2.5", '"2,5"', r"line 4, column 'TP53 \(7157\)' holds '2,5'"),
        ("2.5", "1e39", r"line 4, column 'TP53 \(7157\)' holds '1e39'; it must be a finite"),
        ("2.5,", "2.5,1,", r"has a row of 10 fields, the header has 9"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, DEPMAP_NEW.replace(old, new))


def test_a_column_that_is_no_gene_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile = read(tmp_path, DEPMAP_NEW.replace("TP53 (7157)", "TP53"))
    assert profile.feature_names == ("TSPAN6", "ZNF781")
    assert "left out 1 columns that are no gene as DepMap names them: TP53" in caplog.text


def test_genes_without_a_column_of_ids_are_refused(tmp_path: Path) -> None:
    text = "a,b,A (1),B (2)\nx,y,1,2\n"
    with pytest.raises(InputError, match="but no column 'ModelID'"):
        read(tmp_path, text)


def test_the_symbol_is_cut_out_of_a_gene_and_nothing_else() -> None:
    assert gene_symbol("HLA-DQB1 (3119)") == "HLA-DQB1"
    assert gene_symbol("ZNF781 (Unknown)") == "ZNF781"
    for name in ("TP53", "conc (uM)", "A (B) (1)", ""):
        assert gene_symbol(name) is None
    assert not is_depmap(["name", "conc_1 (1)", "a", "b"])
