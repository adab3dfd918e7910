"""What the batch scripts' command makes of its options."""

from pathlib import Path

import pytest

from combo_lightning.cli.main import run_program
from combo_lightning.cli.slurm_run import configured


def test_the_last_file_or_option_counts(tmp_path: Path) -> None:
    base, overlay, broken = (tmp_path / name for name in ("base.yaml", "more.yaml", "bad.yaml"))
    base.write_text("data: {path: data/a}\nnum_groups: 2\n")
    overlay.write_text("data:\n  path: data/b\n")
    broken.write_text("data: [\n")
    words = ["--config", str(base), f"--config={overlay}", f"--config={broken}"]
    assert configured("data.path", words) == "data/b"
    assert configured("num_groups", words) == "2"
    assert configured("data.path", [*words, "--data.path", "data/c"]) == "data/c"
    assert configured("data.seed", words) is None


def test_a_resumed_run_has_its_own_configuration(tmp_path: Path) -> None:
    (tmp_path / "group_0").mkdir()
    (tmp_path / "group_0" / "config.yaml").write_text("num_groups: 4\n")
    assert configured("num_groups", ["--resume", str(tmp_path)]) == "4"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "--data.path=x"], "'slurm run' is for batch scripts"),
        (["predict"], "only fit is run this way"),
    ],
)
def test_what_is_not_for_it_is_refused(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert run_program(["slurm", "run", *words]) == 2
    assert said in capsys.readouterr().err
