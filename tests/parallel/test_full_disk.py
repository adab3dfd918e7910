"""Saving onto a disk that is really full: a small tmpfs in a namespace of the run's own."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
from tests.parallel.started import (
    SHORT,
    Started,
    assert_a_restart_reaches,
    assert_nothing_is_left_over,
    options_of,
)

pytestmark = pytest.mark.slow

# The run folder is the small disk; what it holds at the end is copied out of the namespace.
WITHIN = """
mount -t tmpfs -o "$1" full run || exit 99
shift
"$@"
code=$?
cp -a run kept
exit $code
"""


def within(limits: str) -> list[str]:
    return ["unshare", "-Urm", "sh", "-c", WITHIN, "sh", limits]


@pytest.fixture(scope="module")
def _can_mount(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("mount")
    (folder / "run").mkdir()
    tried = subprocess.run([*within("size=64k"), "true"], cwd=folder, capture_output=True)
    if tried.returncode:
        pytest.skip(f"no mount in a user namespace here: {tried.stderr.decode()}")


# A checkpoint takes 500 kB in five inodes where it is sharded, else 250 kB in one; the rest of the
# run folder 24 kB in six. There is room for the first checkpoint, and of the second one for:
@pytest.mark.parametrize(
    ("config", "limits"),
    [
        pytest.param("fsdp.yaml", "size=800k", id="fsdp-some-of-the-shards"),
        pytest.param("fsdp.yaml", "size=8m,nr_inodes=14", id="fsdp-the-shards"),
        pytest.param("fsdp.yaml", "size=8m,nr_inodes=15", id="fsdp-the-shards-and-their-table"),
        pytest.param("ddp.yaml", "size=400k", id="ddp-half-the-file"),
        pytest.param(None, "size=400k", id="one-process-half-the-file"),
    ],
)
@pytest.mark.usefixtures("_can_mount")
def test_a_full_disk_ends_the_run_with_one_sentence_and_a_restart_goes_on(
    config: str | None,
    limits: str,
    started: list[Started],
    small_screen: Path,
    tmp_path: Path,
    whole_run: dict[str, torch.Tensor],
) -> None:
    run_dir, kept = tmp_path / "run", tmp_path / "kept"
    run_dir.mkdir()
    options = options_of(config, small_screen, tmp_path, *SHORT)
    run = Started("run", tmp_path, *options, within=within(limits))
    started.append(run)
    assert run.process.wait(60) == 2, run.log.read_text()
    said = run.log.read_text()
    assert len(re.findall(r"error:|Error", said)) == 1, said
    best = run_dir / "checkpoints" / "best.ckpt"
    assert f"error: {best}: No space left on device" in said
    assert "Traceback" not in said
    assert [path.name for path in (kept / "checkpoints").glob("*.ckpt")] == ["last.ckpt"]
    assert load_checkpoint(kept / "checkpoints" / "last.ckpt")["global_step"] == 2
    assert_nothing_is_left_over(kept / "checkpoints")
    run_dir.rmdir()
    shutil.move(kept, run_dir)
    assert_a_restart_reaches(whole_run, run_dir, started)
