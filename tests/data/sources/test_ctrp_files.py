import gc
import zipfile
from pathlib import Path

import pytest

from combo_lightning.data.sources.ctrp_files import (
    COMPOUNDS,
    CURVES,
    EXPERIMENTS,
    LINES,
    POINTS,
    REFIT,
    CtrpFiles,
    holds_responses,
    kind_of,
)
from combo_lightning.errors import InputError
from tests.data.sources.screen_fixtures import ctrp_tables, write_ctrp, zip_folder

KINDS = {CURVES, POINTS, COMPOUNDS, LINES, EXPERIMENTS}


def test_tables_are_told_by_their_columns_and_not_by_their_names(tmp_path: Path) -> None:
    folder = write_ctrp(tmp_path / "release", ctrp_tables())
    (folder / "v20._README.txt").write_text("contextual information\n")
    for number, file in enumerate(sorted(folder.glob("v20.[dm]*"))):
        file.rename(folder / f"{number}.txt")
    files = CtrpFiles.find(folder, None)
    assert set(files.tables) == KINDS
    assert files.responses == CURVES


def test_a_table_of_responses_finds_the_others_beside_it(tmp_path: Path) -> None:
    folder = write_ctrp(tmp_path / "release", ctrp_tables())
    files = CtrpFiles.find(folder / "v20.data.per_cpd_post_qc.txt", None)
    assert (files.responses, set(files.tables)) == (POINTS, KINDS)
    assert holds_responses(folder / "v20.data.curves_post_qc.txt")
    assert not holds_responses(folder / "v20.meta.per_compound.txt")


def test_an_archive_is_unpacked_while_it_is_read(tmp_path: Path) -> None:
    folder = write_ctrp(tmp_path / "release", ctrp_tables())
    packed = zip_folder(tmp_path / "x.zip", folder)
    assert holds_responses(packed)
    files = CtrpFiles.find(packed, None)
    assert set(files.tables) == KINDS
    where = files.tables[CURVES]
    assert where.is_file()
    assert not where.is_relative_to(tmp_path)
    del files
    gc.collect()
    assert not where.exists()


def test_what_holds_no_responses_is_none_of_ctrp(tmp_path: Path) -> None:
    assert not holds_responses(tmp_path)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("x.csv", "a,b\n1,2\n")
    assert not holds_responses(tmp_path / "x.zip")
    (tmp_path / "broken.zip").write_bytes((tmp_path / "x.zip").read_bytes()[:-30])
    assert not holds_responses(tmp_path / "broken.zip")


def test_refitted_curves_are_told_from_the_published_ones() -> None:
    refit = ["area_under_curve", "ec50_log2_umol", "pred_pv_high_conc", "master_cpd_id"]
    assert kind_of([*refit, "experiment_id", "master_ccl_id", "growth_mode_id"]) == REFIT
    assert kind_of(["experiment_id"]) is None


def test_rows_that_disagree_are_refused(tmp_path: Path) -> None:
    folder = write_ctrp(tmp_path / "release", ctrp_tables())
    files = CtrpFiles.find(folder, None)
    told = files.read(EXPERIMENTS, "experiment_id", "master_ccl_id")
    assert told["experiment_id"].to_pylist() == ["1", "2", "3"]
    with pytest.raises(InputError, match=r"different things of experiment_id 2 in several rows"):
        files.read(EXPERIMENTS, "experiment_id", "experiment_date")
    (folder / "v20.meta.per_compound.txt").unlink()
    with pytest.raises(InputError, match=r"has no table of compounds \(v20.meta.per_compound.txt"):
        CtrpFiles.find(folder, None).open(COMPOUNDS)
