import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.names import cell_key
from combo_lightning.data.simulator_raw import HEADER
from combo_lightning.data.sources.almanac_growth import prepare_growth
from combo_lightning.data.sources.screen_entities import EntityFiles
from combo_lightning.errors import InputError
from tests.data.sources.fixtures import block, well, write_growth

NO_FILES = EntityFiles(drugs=[], cells=None, profiles={}, genes=None, chemistry=())
PERCENT = [50.0, 40.5, 30.0, 20.0, -10.0, 0.0, 5.0, 60.0, 70.25]
EXPECTED: list[float | None] = [60.0, 40.0, 30.5, 20.0, 0.0, -5.0, 5.5, 60.0, 80.0]
# score of each well, by hand: 10 -1 1 0 10 -5 1 0 10
POINTS = 26.0


def prepare(path: Path, response: str, *, fraction: bool = False) -> ScreenDataset:
    target = Target(path.parent / f"{path.stem}-{response}", overwrite=fraction)
    return read_dataset(prepare_growth(path, response, NO_FILES, target, fraction=fraction))


def rows(dataset: ScreenDataset) -> list[tuple[Any, ...]]:
    responses = dataset.responses
    ids = [*dataset.drugs.ids, None]
    return [
        (dataset.cells.ids[c], *(ids[d] for d in pair), round(float(y), 3))
        for c, pair, y in zip(
            responses.cell_N, responses.drug_NK, responses.response_N, strict=True
        )
    ]


def test_every_well_is_a_row_with_its_doses(tmp_path: Path) -> None:
    wells = [
        well("740", "1e-06", growth="95.5"),
        well("740", "1e-06", "752", "2e-07", "30", "40"),
        well("752", "0.01", growth="-80", CONCINDEX1="-1", SCREENER="1A"),
    ]
    dataset = prepare(write_growth(tmp_path / "g.csv", wells), "growth")
    assert rows(dataset) == [
        ("MCF7", "740", None, 95.5),
        ("MCF7", "740", "752", 30.0),
        ("MCF7", "752", None, -80.0),
    ]
    doses = dataset.responses.log10_molar_NK
    assert doses is not None
    np.testing.assert_allclose(doses[1], [-6, np.log10(2e-7)], rtol=1e-6)
    assert np.isnan(doses[0, 1])
    assert dataset.cells.annotation("tissue") == ["Breast"]


def test_every_reason_of_dropping_a_row_is_counted(tmp_path: Path) -> None:
    wells = [
        well(),
        HEADER,
        well(VALID="N"),
        well(CONCUNIT1="uM"),
        well(growth=""),
        well(conc1="0"),
        well(conc1=""),
        well(nsc2="752"),
        well(cell=""),
    ]
    dataset = prepare(write_growth(tmp_path / "g.csv", wells), "growth")
    assert len(dataset.responses) == 1
    assert dataset.manifest["made_by"]["dropped"] == {
        "end-of-file mark": 1,
        "repeated header line": 1,
        "VALID other than Y": 1,
        "no cell line or drug": 1,
        "concentration not molar": 1,
        "missing growth": 1,
        "dose missing or not above 0": 3,
    }


@pytest.mark.parametrize("packed", [False, True])
def test_a_block_sums_to_its_combo_score(tmp_path: Path, packed: bool) -> None:
    path = write_growth(
        tmp_path / "g.csv",
        [
            *block("740", "752", PERCENT, EXPECTED),
            *block("740", "752", PERCENT, EXPECTED, STUDY="S2", PLATE="P2"),
            *block("752", "740", PERCENT, EXPECTED, cell="SR")[:8],
            well(),
        ],
    )
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    dataset = prepare(path, "combo-score")
    # The same pair on another plate is a replicate, and stays a row of its own.
    assert rows(dataset) == [("MCF7", "740", "752", POINTS)] * 2
    dropped = dataset.manifest["made_by"]["dropped"]
    assert dropped["well of an incomplete block"] == 8
    assert dropped["single-agent well (used for expected growth)"] == 1


def test_missing_expected_growth_follows_from_the_single_agents(tmp_path: Path) -> None:
    doses = ["1e-08", "1e-07", "1e-06"]
    alone = {"740": [90.0, 50.0, 20.0], "752": [120.0, 80.0, -30.0]}
    singles = [
        well(nsc, dose, growth=str(g))
        for nsc, grown in alone.items()
        for dose, g in zip(doses, grown, strict=True)
    ]
    # Repeated singles average; those of another study say nothing.
    singles += [well("740", "1e-06", growth="20"), well("740", "1e-06", growth="99", STUDY="S9")]
    combo = block("740", "752", [0.0] * 9, [None] * 9)
    path = write_growth(tmp_path / "g.csv", [*singles, *combo])
    expected = [90, 72, -30, 50, 40, -30, 20, 16, -30]
    assert rows(prepare(path, "combo-score")) == [("MCF7", "740", "752", float(sum(expected)))]
    alone_only = write_growth(tmp_path / "h.csv", combo)
    with pytest.raises(InputError, match="holds no combo-score to compute"):
        prepare(alone_only, "combo-score")


def test_min_growth_is_the_lowest_of_a_pair_in_a_line(tmp_path: Path) -> None:
    path = write_growth(
        tmp_path / "g.csv",
        [
            *block("740", "752", PERCENT, EXPECTED),
            *block("752", "740", [g + 1 for g in PERCENT], EXPECTED),
            *block("740", "752", [g + 2 for g in PERCENT], EXPECTED, cell="SR"),
            well(growth="-99"),
        ],
    )
    assert rows(prepare(path, "min-growth")) == [
        ("MCF7", "740", "752", -10.0),
        ("MCF7", "752", "740", -9.0),
        ("SR", "740", "752", -8.0),
    ]
    fraction = prepare(path, "min-growth", fraction=True)
    assert rows(fraction)[0] == ("MCF7", "740", "752", -0.1)
    assert fraction.kind.unit == "fraction growth"
    with pytest.raises(InputError, match="--fraction is for growth"):
        prepare(path, "combo-score", fraction=True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("CELLNAME", "CELL_NAME", "no column 'CELLNAME'; did you mean 'CELL_NAME'"),
        ("97.5", "much", "line 3, column 'PERCENTGROWTH' holds 'much', which is no number"),
        ("97.5", "inf", "line 3, column 'PERCENTGROWTH' is infinite"),
        ("97.5,", "97.5,,,", "cannot read"),
        (",", ";", "no column 'STUDY'"),
    ],
)
def test_a_bad_file_is_refused_by_line_and_column(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write_growth(tmp_path / "g.csv", [well(VALID="N"), well(growth="97.5")])
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        prepare(path, "growth")
    assert [p.name for p in tmp_path.iterdir()] == ["g.csv"]


def test_a_truncated_gzip_an_empty_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    path = write_growth(tmp_path / "g.csv.gz", [well(growth=str(i)) for i in range(9999)])
    path.write_bytes(gzip.compress(path.read_bytes())[:-2000])
    with pytest.raises(InputError, match="is damaged or truncated"):
        prepare(path, "growth")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match="is empty"):
        prepare(tmp_path / "empty.csv", "growth")
    with pytest.raises(InputError, match="there is no file"):
        prepare(tmp_path / "none.csv", "growth")


@pytest.mark.real_data
def test_all_blocks_of_the_real_sample_are_reproduced_exactly(
    shared_data: Path, tmp_path: Path
) -> None:
    almanac = shared_data / "almanac"
    sample = almanac / "ComboDrugGrowth_sample.csv"
    out = prepare_growth(sample, "combo-score", NO_FILES, Target(tmp_path / "d"))
    mine = {(cell_key(str(c)), a, b): y for c, a, b, y in rows(read_dataset(out))}
    assert len(mine) == 152
    wells = pd.read_csv(sample, dtype={"NSC1": str, "NSC2": str})
    pairs = wells.dropna(subset="NSC2").assign(CELL=wells["CELLNAME"].map(cell_key))
    stated = pairs.groupby(["CELL", "NSC1", "NSC2"])["SCORE"].sum()
    assert stated.to_dict() == mine
    wide = pd.read_csv(
        almanac / "DTP_NCI60_ALMANAC_COMBO_SCORE.csv.gz", dtype={"NSC1": str, "NSC2": str}
    )
    long = wide.rename(columns=lambda c: c.strip("\ufeff")).melt(["NSC1", "NSC2"]).dropna()
    table = {
        (cell_key(line), a, b): value
        for a, b, line, value in long.itertuples(index=False)
        if (cell_key(line), a, b) in mine
    }
    # Eighteen of the 152 are withheld in the table.
    assert len(table) == 134
    assert all(mine[key] == value for key, value in table.items())
