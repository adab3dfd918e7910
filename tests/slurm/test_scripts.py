"""What all scripts that users submit have in common; that they run is shown elsewhere."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPTS = sorted((ROOT / "scripts" / "slurm").glob("*.sbatch"))
pytestmark = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def test_a_script_is_short_and_begins_with_its_usage(script: Path) -> None:
    lines = script.read_text().splitlines()
    assert len(lines) <= 40
    assert lines[0] == "#!/usr/bin/env bash"
    assert re.match(rf"# sbatch .*scripts/slurm/{script.name} --?\w|# sbatch .*{script.name} \w",
                    lines[1])  # fmt: skip


def test_a_script_fails_early_and_passes_all_words_on(script: Path) -> None:
    text = script.read_text()
    lines = text.replace("\\\n", "").splitlines()
    code = [line for line in lines if line and not line.startswith("#")]
    assert code[0] == "set -euo pipefail"
    assert code[-1].endswith('"$@"')
    assert "combo-lightning" in code[-1]
    done = subprocess.run(
        ["bash", "-n", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_script_has_one_block_for_the_site_which_does_nothing(script: Path) -> None:
    blocks = script.read_text().split("\n\n")
    (site,) = [block for block in blocks if block.startswith("# The site: ")]
    assert all(line.startswith("# ") for line in site.splitlines())
    assert "# source .venv/bin/activate" in site
    assert "GPU" in site


def test_a_scripts_requests_stand_before_its_code(script: Path) -> None:
    lines = script.read_text().splitlines()
    requests = [i for i, line in enumerate(lines) if line.startswith("#SBATCH ")]
    # Slurm reads none behind the first command.
    assert requests
    assert max(requests) < lines.index("set -euo pipefail")
    words = " ".join(lines[i] for i in requests)
    for option in ("--job-name=combo-", "--time=", "--output=%x-%", "--nodes=", "requeue"):
        assert option in words
