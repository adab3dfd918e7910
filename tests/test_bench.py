"""The benchmark's own parts: its twin is the published network, its FLOP are the products'."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from combo_lightning.data.simulator import preset_config, simulate, write_simulation
from combo_lightning.data.sources.matrix_file import JoinedMatrix, open_matrix
from combo_lightning.model.layers import MaskGenerator, set_dropout_generator
from scripts.bench import dense, gpu, steps
from scripts.bench.report import text
from scripts.bench.screen import MODES, Mode, PosterScreen
from scripts.bench.steps import Line
from scripts.bench.twin import DenseTwin, gather


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> PosterScreen:
    out = tmp_path_factory.mktemp("bench") / "data"
    return PosterScreen(write_simulation(simulate(preset_config("small")), out, {}), "cpu")


def test_the_twin_is_the_products_network_row_by_row(screen: PosterScreen) -> None:
    network, twin = screen.network("per_sample").eval(), DenseTwin(screen).eval()
    ours, join = dict(network.named_parameters()), network.join
    with torch.no_grad():
        for part, encoder in (("cell", network.cell_encoder), ("drug", network.drug_encoder)):
            for i, layer in enumerate(encoder.layers):
                theirs: Any = getattr(twin, part)[3 * i]
                theirs.weight.copy_(layer.weight)
                theirs.bias.copy_(layer.bias)
        tower, last = twin.head
        first: Any = tower[0]  # type: ignore[index]
        first.weight.copy_(torch.cat([join.cell.weight, *(d.weight for d in join.drug)], 1))  # type: ignore[list-item]
        first.bias.copy_(join.bias)
        for i in (0, 1):
            hidden: Any = tower[3 * (i + 1)]  # type: ignore[index]
            hidden.weight.copy_(ours[f"head.{i}.weight"])
            hidden.bias.copy_(ours[f"head.{i}.bias"])
        last.weight.copy_(ours["head.2.weight"])  # type: ignore[operator]
        last.bias.copy_(ours["head.2.bias"])  # type: ignore[operator]
        batch = next(screen.batches(64))
        mine = network(screen.cells, screen.drugs, batch.cell_B, batch.drug_BK)
        torch.testing.assert_close(mine, twin(gather(screen, batch)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_the_flop_are_those_that_torch_counts(screen: PosterScreen, mode: Mode) -> None:
    network = screen.network(mode).train()
    batch = next(screen.batches(64))
    # The counter does not know oneDNN's products.
    with (
        patch("combo_lightning.model.products.onednn_is_faster", return_value=False),
        FlopCounterMode(display=False) as counter,
    ):
        network(screen.cells, screen.drugs, batch.cell_B, batch.drug_BK).sum().backward()
    counted = steps.our_flop(screen, 64, mode, training=True)
    # Left out: the last layer, of one output.
    assert counted == pytest.approx(counter.get_total_flops(), rel=2e-3)
    twin = DenseTwin(screen).train()
    with FlopCounterMode(display=False) as counter:
        twin(gather(screen, batch)).sum().backward()
    assert twin.flop(64, training=True) == pytest.approx(counter.get_total_flops(), rel=2e-3)


@pytest.mark.parametrize("per_call", [1, 3])
def test_static_steps_train_as_ordinary_steps(screen: PosterScreen, per_call: int) -> None:
    static = gpu.StaticSteps(screen, "per_entity", 32, per_call, bf16=False)
    network = screen.network("per_entity").train()
    network.load_state_dict(static.network.state_dict())
    generator = MaskGenerator(torch.device("cpu"))
    set_dropout_generator(network, generator)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    batches = screen.batches(32)
    for call in range(2):
        chosen = [next(batches) for _ in range(per_call)]
        static(
            torch.cat([b.cell_B for b in chosen]),
            torch.cat([b.drug_BK for b in chosen]),
            torch.cat([b.response_B for b in chosen]),
            call,
        )
        generator.seed([1, call])
        for b in chosen:
            error = network(screen.cells, screen.drugs, b.cell_B, b.drug_BK) - b.response_B
            optimizer.zero_grad()
            error.square().mean().backward()
            optimizer.step()
    for mine, theirs in zip(static.network.parameters(), network.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_without_a_gpu_its_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu"])
    assert gpu.main() == 2
    assert "there is no GPU here" in capsys.readouterr().err


def test_a_line_compares_rows_of_equal_count() -> None:
    twin = Line("twin", 100, 1e9, times=[2.0, 4.0, 3.0])
    ours = Line("ours", 200, 1e9, times=[1.0, 1.0, 9.0])
    plain = ours.plain(2e9, twin)
    assert plain["times_twin"] == pytest.approx(6.0)
    assert plain["rows_per_second"] == 200
    assert plain["share_of_gemm_rate"] == pytest.approx(0.5)
    assert plain["ms"] == {"min": 1e3, "median": 1e3, "max": 9e3}
    figures = {
        "machine": {
            "date": "today",
            "processor": "P",
            "flags": [],
            "cores": 2,
            "threads": 2,
            "wait_policy": "passive",
            "load": [0.0],
            "versions": {"torch": "2"},
        },
        "gemm_gflops": {"fp32": 1.0, "bf16": 2.0, "twin": 1.0},
        "r": 2.0,
        "in_process": {"Steps": [plain]},
        "commands": [{"line": "screen", "seconds": 1.5}],
    }
    shown = text(figures)
    assert "| ours | 1000.0 | 1000.0 | 9000.0 |" in shown
    assert "- screen: seconds 1.5" in shown


def test_the_dense_benchmarks_files_hold_one_matrix(tmp_path: Path) -> None:
    dense.write_npy(tmp_path / "x.npy", 40)
    dense.write_csv(tmp_path / "x.csv", 40)
    (read,) = JoinedMatrix((open_matrix(tmp_path / "x.csv", "--x"),)).chunks()
    assert read.shape == (40, 8579)
    np.testing.assert_array_equal(read, np.load(tmp_path / "x.npy"))
