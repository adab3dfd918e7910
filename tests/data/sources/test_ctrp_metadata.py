from pathlib import Path

import pyarrow as pa
import pytest

from combo_lightning.data.sources.ctrp_files import CtrpFiles
from combo_lightning.data.sources.ctrp_metadata import CtrpMetadata, CurveRanges
from combo_lightning.errors import InputError
from tests.data.sources.screen_fixtures import ctrp_tables, write_ctrp
from tests.data.sources.screen_reading import edited

LINES, POINTS = "v20.meta.per_cell_line.txt", "v20.data.per_cpd_post_qc.txt"


def test_experiments_lead_to_lines_and_their_tissues(tmp_path: Path) -> None:
    metadata = CtrpMetadata.read(CtrpFiles.find(write_ctrp(tmp_path, ctrp_tables()), None))
    experiments = pa.array(["2", "1", "9", None, "3"])
    lines = metadata.lines_of(experiments)
    assert lines.to_pylist() == ["KARPAS299", "MCF7", None, None, "KARPAS299"]
    assert metadata.tissues_of(lines).to_pylist()[:2] == [
        "haematopoietic and lymphoid tissue", "breast"
    ]  # fmt: skip
    assert metadata.unconfirmed(pa.array(["1", "2", "3"])).tolist() == [False, False, True]


def test_names_that_stand_for_several_get_their_number(tmp_path: Path) -> None:
    tables = ctrp_tables()
    tables[LINES] = edited(tables[LINES], 1, ccl_name="MCF7")
    metadata = CtrpMetadata.read(CtrpFiles.find(write_ctrp(tmp_path, tables), None))
    named = metadata.lines_of(pa.array(["1", "2"])).to_pylist()
    assert named == ["MCF7 (CTRP 130)", "MCF7 (CTRP 569)"]
    assert metadata.tissues_of(pa.array(named)).to_pylist()[0] == "breast"


def test_the_range_of_a_curve_is_that_of_its_points(tmp_path: Path) -> None:
    files = CtrpFiles.find(write_ctrp(tmp_path, ctrp_tables(steps=7)), None)
    low, high = CurveRanges.read(files).of(pa.array(["1", "9"]), pa.array(["10", "10"]))
    assert high[0] - low[0] == pytest.approx(7, abs=0.01)
    assert low[1] != low[1]
    tables = ctrp_tables()
    tables[POINTS] = edited(tables[POINTS], 2, cpd_conc_umol="0")
    with pytest.raises(InputError, match=r"line 4, column 'cpd_conc_umol' holds '0'; above 0"):
        CurveRanges.read(CtrpFiles.find(write_ctrp(tmp_path / "bad", tables), None))
