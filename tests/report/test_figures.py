from pathlib import Path

import matplotlib.image
import numpy as np
import numpy.typing as npt
import pytest

from combo_lightning.report.figures import hexbin


def colours(path: Path) -> int:
    pixels = np.asarray(matplotlib.image.imread(path))[..., :3]
    return len(np.unique(pixels.reshape(-1, 3), axis=0))


def test_the_picture_shows_the_rows_in_colours_of_their_number(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    y = draw.normal(0, 50, 20_000)
    hexbin(y + draw.normal(0, 20, len(y)), y, "ComboScore", tmp_path / "deep" / "full.png")
    hexbin(np.zeros(0), np.zeros(0), "ComboScore", tmp_path / "empty.png")
    # The colour bar and the axes are there in both.
    assert colours(tmp_path / "deep" / "full.png") > colours(tmp_path / "empty.png") + 100


@pytest.mark.parametrize(
    ("prediction", "response"),
    [
        ([1.0], [2.0]),
        ([3.0, 3.0], [3.0, 3.0]),
        ([np.nan, np.inf, 1.0], [1.0, 2.0, 3.0]),
        ([np.nan], [1.0]),
    ],
)
def test_the_oddest_predictions_are_drawn_without_a_warning(
    tmp_path: Path, prediction: list[float], response: list[float]
) -> None:
    hexbin(np.array(prediction), np.array(response), "percent", tmp_path / "odd.png")
    assert [path.name for path in tmp_path.iterdir()] == ["odd.png"]


def drawn_titles(
    monkeypatch: pytest.MonkeyPatch, path: Path, weight_N: npt.NDArray[np.float64] | None
) -> list[str]:
    from matplotlib.axes import Axes

    titles: list[str] = []
    monkeypatch.setattr(Axes, "set_title", lambda self, label, **_: titles.append(label))
    prediction, response = np.array([1.0, 2.0, 3.0, 500.0]), np.array([1.0, 2.0, 4.0, 5.0])
    hexbin(prediction, response, "percent", path, weight_N=weight_N)
    return titles


def test_the_title_holds_the_weighted_scores_and_counts_what_lies_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = drawn_titles(monkeypatch, tmp_path / "a.png", np.array([1.0, 1.0, 1.0, 0.0]))
    assert titles == ["3 test rows, R² = 0.786, r = 0.982 (1 outside)"]


def test_drawing_leaves_no_figure_open_in_pyplot(tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    hexbin(np.arange(9.0), np.arange(9.0), "percent", tmp_path / "a.png")
    assert plt.get_fignums() == []
