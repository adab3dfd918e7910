import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.growth import expected_growth, percent_growth
from combo_lightning.data.simulator import SimulationConfig, preset_config
from combo_lightning.data.simulator_raw import WELLS, write_raw
from combo_lightning.errors import InputError

CONFIG = SimulationConfig(cells=4, drugs=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "raw"
    write_raw(CONFIG, out, overwrite=False)
    return out


@pytest.fixture(scope="module")
def wells(folder: Path) -> pd.DataFrame:
    with (folder / WELLS).open() as file:
        header, *rows = list(csv.reader(file))
    frame = pd.DataFrame([r for r in rows if r != header and r != ["\x1a"]], columns=header)
    return frame.assign(**{c: pd.to_numeric(frame[c]) for c in header if c not in TEXT})


TEXT = {"SCREENER", "STUDY", "TESTDATE", "PLATE", "PREFIX1", "CONCUNIT1", "PREFIX2"} | {
    "CONCUNIT2", "VALID", "PANEL", "CELLNAME"
}  # fmt: skip


@pytest.mark.real_data
def test_the_header_is_the_real_files_own(folder: Path, shared_data: Path) -> None:
    sample = shared_data / "almanac" / "ComboDrugGrowth_sample.csv"
    with sample.open() as real, (folder / WELLS).open() as mine:
        assert mine.readline() == real.readline()


def test_the_file_repeats_its_header_and_ends_in_a_dos_mark(folder: Path) -> None:
    lines = (folder / WELLS).read_bytes().split(b"\n")
    assert len(lines[0].split(b",")) == 29
    assert lines.count(lines[0]) == 2
    assert lines[-2:] == [b"\x1a", b""]


def test_growth_expected_growth_and_score_follow_the_published_rules(wells: pd.DataFrame) -> None:
    growth = percent_growth(
        *(wells[name].to_numpy(dtype=float) for name in ("TESTVALUE", "CONTROLVALUE", "TZVALUE"))
    )
    np.testing.assert_allclose(growth, wells["PERCENTGROWTH"], atol=6e-4)  # three decimals
    single = wells[wells["NSC2"].isna()]
    alone = single.set_index(["STUDY", "CELLNAME", "NSC1", "CONC1"])["PERCENTGROWTH"]
    assert alone.index.is_unique
    pair = wells[wells["NSC2"].notna()]
    parts = [
        alone.loc[list(zip(*(pair[c] for c in ("STUDY", "CELLNAME", n, d)), strict=True))]
        for n, d in (("NSC1", "CONC1"), ("NSC2", "CONC2"))
    ]
    expected = expected_growth(np.stack([p.to_numpy() for p in parts], axis=1))
    np.testing.assert_allclose(expected, pair["EXPECTEDGROWTH"], atol=6e-4)
    difference = pair["EXPECTEDGROWTH"] - pair["PERCENTGROWTH"]
    # Rounding may only move a score by half a point.
    assert (np.abs(difference - pair["SCORE"]) <= 0.5 + 1e-9).all()
    assert (pair["SCORE"] == pair["SCORE"].round()).all()


def test_every_combination_has_nine_wells_whatever_response_was_asked_for(
    wells: pd.DataFrame, tmp_path: Path
) -> None:
    pair = wells[wells["NSC2"].notna()]
    blocks = pair.groupby(["STUDY", "CELLNAME", "NSC1", "NSC2"])["CONC1"]
    assert (blocks.size() == 9).all()
    assert (pair.groupby(["NSC1", "NSC2", "CELLNAME"])["CONC2"].nunique() == 3).all()
    # 36 pairs in 4 lines, and a few replicates.
    assert 144 <= len(blocks) < 160
    for response in ("growth", "min_growth"):
        config = SimulationConfig(cells=4, drugs=9, response=response)
        assert write_raw(config, tmp_path / response, overwrite=False) == len(wells)


def test_single_agents_and_screener_1a_look_as_in_the_real_file(wells: pd.DataFrame) -> None:
    single = wells["NSC2"].isna()
    for name in ("CONC2", "SAMPLE2", "EXPECTEDGROWTH", "SCORE"):
        assert wells.loc[single, name].isna().all()
        assert wells.loc[~single, name].notna().all()
    assert (wells.loc[single, "CONCINDEX2"] == 0).all()
    at_1a = wells["SCREENER"] == "1A"
    assert wells.loc[at_1a, "PERCENTGROWTHNOTZ"].isna().all()
    assert wells.loc[~at_1a, "PERCENTGROWTHNOTZ"].notna().all()
    assert set(wells.loc[wells["CONCINDEX1"] == -1, "SCREENER"]) == {"1A"}
    assert wells["CONC1"].between(1e-9, 1e-2).all()
    assert set(wells["CONCUNIT1"]) == {"M"}


def test_some_wells_of_a_large_file_are_invalid(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    rows = write_raw(preset_config("demo", cells=10, drugs=20), out, overwrite=False)
    text = (out / WELLS).read_text()
    assert text.count(",N,") == rows // 5000 > 0


def test_equal_seeds_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write_raw(CONFIG, tmp_path / "again", overwrite=False)
    for file in folder.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_only_raw_files_are_replaced(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        write_raw(CONFIG, folder, overwrite=False)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        write_raw(CONFIG, tmp_path, overwrite=True)
    with pytest.raises(InputError, match="use --slots 2"):
        write_raw(SimulationConfig(num_slots=3), tmp_path / "x", overwrite=False)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
