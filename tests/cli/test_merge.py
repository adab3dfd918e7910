from collections.abc import Callable
from pathlib import Path

from combo_lightning.data.dataset import read_manifest
from tests.conftest import Outcome

RunHere = Callable[..., Outcome]


def test_studies_are_simulated_and_merged(run_here: RunHere, tmp_path: Path) -> None:
    made = run_here("simulate", "--preset=small", "--studies=3", f"--out={tmp_path / 'studies'}")
    assert made.code == 0, made.output
    studies = [tmp_path / "studies" / f"study-{n}" for n in (1, 2, 3)]
    merged = run_here("merge", *studies, "--out", tmp_path / "all")
    assert merged.code == 0, merged.output
    assert f"next: combo-lightning info {tmp_path / 'all'}" in merged.output
    again = run_here("merge", *studies[:2], "--out", tmp_path / "all")
    assert again.code == 2
    assert "exists already" in again.output
    renamed = run_here(
        "merge", *studies, "--out", tmp_path / "all", "--overwrite=true",
        "--study_names=[null,second,third]", "--separate_blocks=[microrna]",
    )  # fmt: skip
    assert renamed.code == 0, renamed.output
    blocks = read_manifest(tmp_path / "all")["blocks"]["cell"]
    assert [*blocks] == ["expression", "microrna_study-1", "microrna_second", "microrna_third"]
    assert "study-1, second, third" in run_here("info", tmp_path / "all").output


def test_a_merge_of_one_data_set_is_one_sentence(run_here: RunHere, tmp_path: Path) -> None:
    run_here("simulate", "--preset=small", f"--out={tmp_path / 'one'}")
    outcome = run_here("merge", tmp_path / "one", "--out", tmp_path / "all")
    assert outcome.code == 2
    assert "two data sets or more" in outcome.output


def test_raw_wells_of_several_studies_are_refused(run_here: RunHere, tmp_path: Path) -> None:
    outcome = run_here("simulate", "--raw=true", "--studies=2", f"--out={tmp_path / 'x'}")
    assert outcome.code == 2
    assert "--raw and --studies" in outcome.output
