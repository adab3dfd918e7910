from pathlib import Path

import pytest

from combo_lightning import precision
from combo_lightning.precision import bf16_unit, choose_precision

ZEN_4 = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n"
ZEN_3 = "processor\t: 0\nflags\t\t: fpu avx2\n\nprocessor\t: 1\nflags\t\t: fpu avx2\n"
GRAVITON_3 = "processor\t: 0\nFeatures\t: fp asimd sve bf16\n"


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(precision, "CPUINFO", path)
    return path


@pytest.mark.parametrize(
    ("text", "unit"), [(ZEN_4, "avx512_bf16"), (ZEN_3, None), (GRAVITON_3, "bf16"), ("", None)]
)
def test_auto_is_bf16_where_the_processor_has_a_unit(
    cpuinfo: Path, text: str, unit: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    cpuinfo.write_text(text)
    caplog.set_level("INFO")
    assert bf16_unit("cpu") == unit
    chosen = choose_precision("auto", "cpu")
    assert chosen == ("32-true" if unit is None else "bf16-mixed")
    assert f"precision: {chosen}" in caplog.text


def test_bf16_without_a_unit_is_done_and_warned_of(
    cpuinfo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_precision("bf16-mixed", "cpu") == "bf16-mixed"
    assert "has no bf16 unit" in caplog.text
    assert choose_precision("64-true", "cpu") == "64-true"
