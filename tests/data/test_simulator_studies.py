from pathlib import Path

import numpy as np
import pytest

from combo_lightning.data.dataset import read_dataset
from combo_lightning.data.simulator import SimulationConfig, simulate
from combo_lightning.data.simulator_studies import write_studies
from combo_lightning.errors import InputError

CONFIG = SimulationConfig(cells=9, drugs=9, ceiling_r2=0.8)


def test_each_study_is_its_scale_and_offset_of_one_truth(tmp_path: Path) -> None:
    whole = simulate(CONFIG)
    keys = whole.drugs.annotation("inchikey")
    true = {
        (c, frozenset(keys[d] for d in pair)): y
        for c, pair, y in zip(whole.cell_N, whole.drug_NK, whole.true_N, strict=True)
    }
    for number, path in enumerate(write_studies(CONFIG, 3, tmp_path, {}, overwrite=False), 1):
        study = read_dataset(path)
        stated = study.manifest["made_by"]["study"]
        lines = [int(name.replace("_", "-").split("-")[-1]) - 1 for name in study.cells.ids]
        own = study.drugs.annotation("inchikey")
        expected = [
            stated["offset"] + stated["scale"] * true[lines[c], frozenset(own[d] for d in pair)]
            for c, pair in zip(study.responses.cell_N, study.responses.drug_NK, strict=True)
        ]
        measured = study.responses.response_N.astype(float)
        error = np.sum((measured - expected) ** 2) / np.sum((measured - measured.mean()) ** 2)
        assert 1 - error == pytest.approx(CONFIG.ceiling_r2, abs=1e-5)
        assert (len(study.cells), len(study.drugs)) == (6, 6)
        assert stated["number"] == number


def test_equal_seeds_give_equal_studies_and_platforms_differ(tmp_path: Path) -> None:
    a = write_studies(CONFIG, 2, tmp_path / "a", {}, overwrite=False)
    b = write_studies(CONFIG, 2, tmp_path / "b", {}, overwrite=False)
    assert [read_dataset(p).fingerprint for p in a] == [read_dataset(p).fingerprint for p in b]
    first, second = (read_dataset(p).cells.blocks["expression"].values_EF for p in a)
    # Single values may differ by which lines a study has; ten of them by the platform alone.
    assert np.abs(np.nanmedian(first, axis=0) - np.nanmedian(second, axis=0)).max() > 1.5


def test_too_few_studies_or_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--studies is 1"):
        write_studies(CONFIG, 1, tmp_path, {}, overwrite=False)
    tiny = SimulationConfig(cells=3, drugs=4, combinations=12)
    with pytest.raises(InputError, match="study 1 would have"):
        write_studies(tiny, 2, tmp_path, {}, overwrite=False)
