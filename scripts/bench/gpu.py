"""``python -m scripts.bench.gpu``: the network on a GPU, its training steps as CUDA graphs.

It measures an epoch of the poster's data set at batch 256 (replayed), `fit` through the program
and screening, and writes runs/bench/gpu.json. `StaticSteps` itself runs anywhere: on a CPU the
same steps run one by one, which is how its equality is tested.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from combo_lightning.model.layers import MaskGenerator, set_dropout_generator
from combo_lightning.model.pairs import PairScorer
from scripts.bench import machine, product
from scripts.bench.report import write_json
from scripts.bench.screen import Mode, PosterScreen

WARM_UP = 3


class StaticSteps:
    """Training steps whose inputs stand in fixed buffers, captured as one CUDA graph on a GPU.

    Args:
        screen: Data and device.
        mode: Dropout mode.
        batch_size: Rows of a step.
        steps: Steps of one call: several where launching a replay takes longer than a step.
        bf16: Whether products take bf16 inputs.
    """

    def __init__(
        self, screen: PosterScreen, mode: Mode, batch_size: int, steps: int, *, bf16: bool
    ) -> None:
        self.screen = screen
        self.steps = steps
        self.batch_size = batch_size
        self.bf16 = bf16
        self.network = screen.network(mode).train()
        self.generator = MaskGenerator(torch.device(screen.device))
        set_dropout_generator(self.network, self.generator)
        on_gpu = screen.device != "cpu"
        self.optimizer = torch.optim.Adam(self.network.parameters(), fused=True, capturable=on_gpu)
        rows = steps * batch_size
        self.cell_B = torch.zeros(rows, dtype=torch.int64, device=screen.device)
        self.drug_BK = torch.zeros(rows, 2, dtype=torch.int64, device=screen.device)
        self.response_B = torch.zeros(rows, device=screen.device)
        self._graph: Any = self._capture() if on_gpu else None

    def __call__(self, cell_B: Tensor, drug_BK: Tensor, response_B: Tensor, seed: int) -> None:
        """Train on `steps` batches laid end to end, with dropout drawn from a seed."""
        self.cell_B.copy_(cell_B)
        self.drug_BK.copy_(drug_BK)
        self.response_B.copy_(response_B)
        self.generator.seed([1, seed])
        if self._graph is None:
            self._run()
        else:
            self._graph.replay()

    def _run(self) -> None:
        for start in range(0, len(self.cell_B), self.batch_size):
            rows = slice(start, start + self.batch_size)
            with torch.autocast(
                torch.device(self.screen.device).type,
                torch.bfloat16,
                enabled=self.bf16,
                cache_enabled=False,  # a cached cast would not be replayed
            ):
                predicted = self.network(
                    self.screen.cells, self.screen.drugs, self.cell_B[rows], self.drug_BK[rows]
                )
                loss = (predicted - self.response_B[rows]).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def _capture(self) -> Any:
        """Run some steps aside, as capturing asks, undo them, and capture."""
        before = [p.detach().clone() for p in self.network.parameters()]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        if self.generator.torch_generator is not None:
            graph.register_generator_state(self.generator.torch_generator)
        with torch.cuda.graph(graph):
            self._run()
        with torch.no_grad():
            for parameter, value in zip(self.network.parameters(), before, strict=True):
                parameter.copy_(value)
            for state in self.optimizer.state.values():
                for moment in state.values():
                    moment.zero_()
        return graph


def epoch_seconds(screen: PosterScreen, steps: int, *, bf16: bool) -> float:
    """Time an epoch of full batches, `steps` of them a call."""
    static = StaticSteps(screen, "per_entity", 256, steps, bf16=bf16)
    rows = screen.all_training_rows()
    size = 256 * steps
    calls = len(rows.cell_B) // size

    def epoch() -> None:
        order = torch.randperm(len(rows.cell_B), device=screen.device)[: calls * size]
        cell, drug, response = rows.cell_B[order], rows.drug_BK[order], rows.response_B[order]
        for call in range(calls):
            part = slice(call * size, (call + 1) * size)
            static(cell[part], drug[part], response[part], call)

    epoch()
    return min(machine.seconds(epoch, screen.device) for _ in range(3))


def screening_rate(screen: PosterScreen, *, bf16: bool) -> float:
    """Count the scores a second of all pairs in ten lines."""
    network = screen.network("per_entity").eval()
    drugs = torch.arange(len(screen.drugs.id_E), device=screen.device)
    first, second = torch.cartesian_prod(drugs, drugs).T.contiguous()
    with torch.inference_mode():
        encoded = network.encode(screen.cells, screen.drugs)
        scorer = PairScorer(network, encoded, torch.bfloat16 if bf16 else torch.float32)
        scorer.load_block(drugs, drugs)
        repeat = -(-scorer.pairs_at_once // len(first))
        first, second = (x.repeat(repeat)[: scorer.pairs_at_once] for x in (first, second))

        def work() -> None:
            for line in range(10):
                scorer.load_line(line)
                scorer.score(first, second)

        work()
        return 10 * len(first) / min(machine.seconds(work, screen.device) for _ in range(5))


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("runs/bench/poster"))
    parser.add_argument("--out", type=Path, default=Path("runs/bench/gpu.json"))
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.stderr.write("there is no GPU here; nothing was measured\n")
        return 2
    screen = PosterScreen(arguments.data, "cuda")
    figures: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "gemm_tflops": {
            str(t): machine.gemm_rate(t, "cuda", 8192) / 1e12
            for t in (torch.float32, torch.bfloat16)
        },
    }
    for steps in (1, 5):
        figures[f"epoch_seconds_graph_{steps}_steps"] = epoch_seconds(screen, steps, bf16=True)
    figures["screening_scores_per_second"] = screening_rate(screen, bf16=True)
    with tempfile.TemporaryDirectory() as folder:
        options = ("--model.network.dropout_mode", "per_entity", "--precision", "auto")
        clock = product.fit(arguments.data, Path(folder) / "run", *options)
        figures["fit_epoch_seconds"] = clock["steps_end"] - clock["train_start"]
    write_json(arguments.out, figures)
    sys.stdout.write("\n".join(f"{k}: {v}" for k, v in figures.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
