from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pytest

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.simulator import SimulationConfig, preset_config, simulate
from combo_lightning.data.simulator_gdsc import CURVES, EXPRESSION, write_gdsc
from combo_lightning.data.sources.screen import ScreenRequest, prepare_screen
from combo_lightning.data.sources.screen_entities import EntityFiles
from combo_lightning.data.sources.screen_formats import FORMATS
from combo_lightning.errors import InputError

CONFIG = SimulationConfig(
    cells=15, drugs=9, response="ic50", num_slots=1, ceiling_r2=0.8, replicate_share=0.1
)


def prepare(raw: Path, response: str, out: Path) -> ScreenDataset:
    files = EntityFiles(
        [raw / "drugs.csv"], None, {"expression": raw / EXPRESSION}, None, ("maccs",)
    )
    request = ScreenRequest(raw / CURVES, response, files)
    return read_dataset(prepare_screen(request, FORMATS, Target(out)))


def test_what_was_simulated_is_what_is_read(tmp_path: Path) -> None:
    reached = write_gdsc(CONFIG, tmp_path / "raw", overwrite=False)
    simulation = simulate(CONFIG)
    dataset = prepare(tmp_path / "raw", "ic50", tmp_path / "ic50")
    np.testing.assert_allclose(dataset.responses.response_N, simulation.response_N, rtol=1e-5)
    lines = [dataset.cells.ids[c] for c in dataset.responses.cell_N]
    assert lines == [simulation.cells.ids[c] for c in simulation.cell_N]
    names = simulation.drugs.annotation("name")
    drugs = [dataset.drugs.ids[d] for d in dataset.responses.drug_NK[:, 0]]
    assert drugs == [names[d] for d in simulation.drug_NK[:, 0]]
    # Expression joins by COSMIC id alone.
    mine = dataset.cells.blocks["expression"].values_EF
    theirs = simulation.cells.blocks["expression"].values_EF
    place = [simulation.cells.ids.index(line) for line in dataset.cells.ids]
    np.testing.assert_allclose(mine, theirs[place], rtol=1e-6)
    assert reached["ic50"] == pytest.approx(0.8, abs=1e-6)


def test_zscores_are_those_of_each_drug(tmp_path: Path) -> None:
    reached = write_gdsc(CONFIG, tmp_path / "raw", overwrite=False)
    dataset = prepare(tmp_path / "raw", "zscore", tmp_path / "z")
    drug_N = dataset.responses.drug_NK[:, 0]
    for drug in range(len(dataset.drugs)):
        values = dataset.responses.response_N[drug_N == drug]
        assert abs(values.mean()) < 1e-5
        assert values.std() == pytest.approx(1, abs=1e-5)
    assert 0.2 < reached["zscore"] < 0.8
    auc = prepare(tmp_path / "raw", "auc", tmp_path / "auc").responses.response_N
    ic50 = np.asarray(pacsv.read_csv(tmp_path / "raw" / CURVES)["LN_IC50"])
    assert auc.min() > 0
    assert auc.max() <= 1
    assert np.corrcoef(auc, ic50)[0, 1] > 0.2


def test_only_such_folders_are_replaced(tmp_path: Path) -> None:
    write_gdsc(CONFIG, tmp_path / "raw", overwrite=False)
    with pytest.raises(InputError, match="exists already"):
        write_gdsc(CONFIG, tmp_path / "raw", overwrite=False)
    write_gdsc(CONFIG, tmp_path / "raw", overwrite=True)
    with pytest.raises(InputError, match="holds something else"):
        write_gdsc(CONFIG, tmp_path, overwrite=True)
    with pytest.raises(InputError, match="have structures"):
        write_gdsc(
            preset_config("poster", response="ic50", num_slots=1), tmp_path / "x", overwrite=False
        )


def test_single_drug_responses_are_of_one_drug() -> None:
    with pytest.raises(InputError, match="the ic50 is of one drug; use --slots 1"):
        simulate(preset_config("small", response="ic50"))
    screen = simulate(preset_config("small", response="zscore", num_slots=1))
    assert abs(screen.true_N.mean()) < 0.2
    assert screen.true_N.std() == pytest.approx(1, abs=0.1)
