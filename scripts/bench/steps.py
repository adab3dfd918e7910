"""Training steps and evaluation in this process, ours beside the dense twin's, interleaved."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.profiler import profile

from combo_lightning.model.layers import MaskGenerator, set_dropout_generator
from scripts.bench.machine import seconds
from scripts.bench.screen import MODES, Mode, PosterScreen
from scripts.bench.twin import WIDTH, DenseTwin, dense_batches, gather, loaded_batches

Step = Callable[[], object]


@dataclass
class Line:
    """One line of the table.

    Args:
        name: What ran.
        rows: Rows of one run.
        flop: FLOP of the matrix products of one run; 0: not counted.
        bf16: Whether the products take bf16 inputs.
        times: Seconds of a run, one a repeat.
    """

    name: str
    rows: int
    flop: float = 0.0
    bf16: bool = False
    times: list[float] = field(default_factory=list)

    def plain(self, rate: float, reference: "Line") -> dict[str, Any]:
        """Give the line's figures; `rate` is the GEMM rate in its arithmetic."""
        middle = median(self.times)
        return {
            "line": self.name,
            "ms": {
                "min": 1e3 * min(self.times),
                "median": 1e3 * middle,
                "max": 1e3 * max(self.times),
            },
            "rows_per_second": self.rows / middle,
            "mflop_per_row": self.flop / self.rows / 1e6,
            "share_of_gemm_rate": self.flop / middle / rate,
            "times_twin": (median(reference.times) / reference.rows) / (middle / self.rows),
        }


def autocast(device: str, *, bf16: bool) -> AbstractContextManager[object]:
    """Enter the arithmetic of Lightning's bf16-mixed, or none."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16)


def twin_step(
    screen: PosterScreen,
    batch_size: int,
    *,
    bf16: bool = False,
    loader: bool = False,
    fused: bool = False,
) -> Step:
    """Build a training step of the dense twin; `fused`: with the product's kind of optimizer."""
    network = DenseTwin(screen)
    optimizer = torch.optim.Adam(network.parameters(), fused=fused or None)
    batches = (loaded_batches if loader else dense_batches)(screen, batch_size)

    def step() -> None:
        x, y = next(batches)
        with autocast(screen.device, bf16=bf16):
            loss = nn.functional.mse_loss(network(x).float(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def our_step(screen: PosterScreen, batch_size: int, mode: Mode, *, bf16: bool = False) -> Step:
    """Build a training step of the product's network."""
    network = screen.network(mode).train()
    generator = MaskGenerator(torch.device(screen.device))
    set_dropout_generator(network, generator)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    batches = screen.batches(batch_size)
    count = 0

    def step() -> None:
        nonlocal count
        batch = next(batches)
        generator.seed([1, count])
        with autocast(screen.device, bf16=bf16):
            predicted = network(screen.cells, screen.drugs, batch.cell_B, batch.drug_BK)
            loss = (predicted - batch.response_B).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        count += 1

    return step


def our_flop(screen: PosterScreen, rows: int, mode: Mode, *, training: bool) -> float:
    """Count the FLOP of the products; the first layers need no input gradient."""
    cells, cell_features = screen.cells.features_EF.shape
    drugs, drug_features = screen.drugs.features_EF.shape
    first = cells * cell_features + drugs * drug_features
    # Two more layers an encoder, and the projections: once for the cell line, twice a drug.
    entities = cells * 3 + drugs * 4
    inner = rows * 2 + (entities if mode == "per_entity" else rows * (2 + 4 + 3))
    passes = (2, 3) if training else (1, 1)
    return 2.0 * WIDTH * (passes[0] * first + passes[1] * inner * WIDTH)


def training_lines(
    screen: PosterScreen, batch_size: int, steps: int, repeats: int, *, with_bf16: bool
) -> list[Line]:
    """Time training steps of all kinds in turn; the first line is the dense fp32 twin."""
    dense = DenseTwin(screen)
    dense_flop = dense.flop(batch_size, training=True)
    work: list[tuple[Line, Step]] = [
        (Line("dense twin, fp32", batch_size, dense_flop), twin_step(screen, batch_size)),
    ]
    if batch_size == 256:
        line = Line("dense twin, fp32, fused Adam", batch_size, dense_flop)
        work.append((line, twin_step(screen, batch_size, fused=True)))
        line = Line("dense twin, fp32, DataLoader", batch_size, dense_flop)
        work.append((line, twin_step(screen, batch_size, loader=True)))
    for bf16 in (False, True) if with_bf16 else (False,):
        name = "bf16" if bf16 else "fp32"
        if bf16:
            line = Line("dense twin, bf16", batch_size, dense_flop, bf16=True)
            work.append((line, twin_step(screen, batch_size, bf16=True)))
        for mode in MODES:
            flop = our_flop(screen, batch_size, mode, training=True)
            line = Line(f"{mode}, {name}", batch_size, flop, bf16)
            work.append((line, our_step(screen, batch_size, mode, bf16=bf16)))
    return _interleaved(work, steps, repeats, screen.device)


def evaluation_lines(
    screen: PosterScreen, rows: int, repeats: int, *, with_bf16: bool
) -> list[Line]:
    """Time the evaluation of test rows; the first line is the dense fp32 twin."""
    dense = DenseTwin(screen)
    dense.eval()
    network = screen.network("per_entity").eval()
    batches = screen.test_batches(2048, rows)
    few = batches[: max(1, len(batches) // 8)]
    counted = sum(len(b.cell_B) for b in few)

    @torch.inference_mode()
    def dense_run() -> None:
        for batch in few:
            dense(gather(screen, batch))

    def our_run(*, bf16: bool) -> Step:
        @torch.inference_mode()
        def run() -> None:
            with autocast(screen.device, bf16=bf16):
                encoded = network.encode(screen.cells, screen.drugs)
                for batch in batches:
                    network.respond(encoded, batch.cell_B, batch.drug_BK)

        return run

    rows = sum(len(b.cell_B) for b in batches)
    flop = our_flop(screen, rows, "per_entity", training=False)
    line = Line("dense twin, fp32", counted, dense.flop(counted, training=False))
    work: list[tuple[Line, Step]] = [(line, dense_run)]
    work.append((Line("evaluation, fp32", rows, flop), our_run(bf16=False)))
    if with_bf16:
        line = Line("evaluation, bf16", rows, flop, bf16=True)
        work.append((line, our_run(bf16=True)))
    return _interleaved(work, 1, repeats, screen.device)


def _interleaved(
    work: list[tuple[Line, Step]], steps: int, repeats: int, device: str
) -> list[Line]:
    def many(step: Step) -> Step:
        def run() -> None:
            for _ in range(steps):
                step()

        return run

    for _, step in work:
        step()
        step()
    for _ in range(repeats):
        for line, step in work:
            line.times.append(seconds(many(step), device) / steps)
    return [line for line, _ in work]


def twin_seconds_per_row(screen: PosterScreen, steps: int, batch_size: int = 256) -> float:
    """Time the dense twin's training steps by themselves, beside a command; their mean."""
    step = twin_step(screen, batch_size)
    step()

    def run() -> None:
        for _ in range(steps):
            step()

    return seconds(run, screen.device) / steps / batch_size


def twin_gemm_rate(screen: PosterScreen, batch_size: int = 256) -> float:
    """Measure the FLOP/s that the twin's matrix products reach within its training steps."""
    dense = DenseTwin(screen)
    step = twin_step(screen, batch_size)
    for _ in range(3):
        step()
    with profile() as record:
        for _ in range(4):
            step()
    spent = [
        event.self_device_time_total if screen.device != "cpu" else event.self_cpu_time_total
        for event in record.key_averages()
        if event.key in ("aten::mm", "aten::addmm")
    ]
    seconds_spent: float = sum(spent) / 1e6
    return 4 * dense.flop(batch_size, training=True) / seconds_spent
