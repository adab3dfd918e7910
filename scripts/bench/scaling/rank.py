"""One process of a world that waits for orders: train so many steps so, and tell the time.

An order is a line of JSON on standard input (`Setting` without its world), the answer one on
standard output. A world that waits takes no processor.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from combo_lightning.data.batches import Batch
from combo_lightning.model.layers import MaskGenerator, set_dropout_generator
from combo_lightning.parallel import collectives
from combo_lightning.parallel.layout import Layout, data_parallel_layout
from combo_lightning.parallel.strategies import BUCKET_MB
from combo_lightning.process import keep_freed_memory
from scripts.bench.screen import Mode, PosterScreen
from scripts.bench.steps import autocast


class Clock:
    """Adds up the time spent in messages."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, work: Any) -> Any:
        """Wrap a function so that its time counts."""

        def run(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = work(*args, **options)
            self.seconds += time.perf_counter() - start
            return result

        return run


class Trainer:
    """The published network on this process's share of each batch, as `DataParallel` trains it.

    Args:
        screen: The data.
        layout: This process's place.
        mode: Dropout mode.
        bf16: Whether products take bf16 inputs.
        clock: Counts the time of messages.
    """

    def __init__(
        self, screen: PosterScreen, layout: Layout, mode: Mode, clock: Clock, *, bf16: bool
    ) -> None:
        self.screen, self.layout, self.bf16 = screen, layout, bf16
        network = screen.network(mode).train()
        self.generator = MaskGenerator(torch.device(screen.device))
        set_dropout_generator(network, self.generator)
        self.network: Any = network
        if layout.data_size > 1:
            on_gpu = [torch.cuda.current_device()] if screen.device != "cpu" else None
            self.network = DistributedDataParallel(
                network, on_gpu, gradient_as_bucket_view=True, bucket_cap_mb=BUCKET_MB
            )
            if on_gpu is None:
                self.network.register_comm_hook(None, self._mean(clock))
        self.optimizer = torch.optim.Adam(network.parameters(), fused=True)
        self.steps = 0

    def _mean(self, clock: Clock) -> Any:
        size = self.layout.data_size
        reduce = clock.timed(dist.all_reduce)

        def hook(_: Any, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:  # type: ignore[name-defined]
            buffer: Tensor = bucket.buffer().div_(size)
            reduce(buffer)
            done: torch.futures.Future[Tensor] = torch.futures.Future()
            done.set_result(buffer)
            return done

        return hook

    def step(self, batch: Batch) -> None:
        """Train on a batch of which this process has its share."""
        self.generator.seed([1, self.steps])
        part = None
        if batch.whole is not None:
            part = self.layout.part(batch.whole.cell_N, batch.whole.drug_NK)
        with autocast(self.screen.device, bf16=self.bf16):
            predicted = self.network(
                self.screen.cells, self.screen.drugs, batch.cell_B, batch.drug_BK, None, part
            )
            error = (predicted - batch.response_B).square().sum()
            loss = error * (self.layout.data_size / batch.total)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.steps += 1


def main() -> None:
    """Wait for orders until standard input ends."""
    keep_freed_memory()
    device = "cuda" if torch.cuda.is_available() and os.environ.get("ON_GPU") else "cpu"
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    layout = Layout()
    if int(os.environ["WORLD_SIZE"]) > 1:
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["RANK"]))
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
        layout = data_parallel_layout()
    clock = Clock()
    for name in ("_gather_into", "_scatter_into"):
        setattr(collectives, name, clock.timed(getattr(collectives, name)))
    screen = PosterScreen(Path(sys.argv[1]), device)
    screen.data.share = (layout.data_rank, layout.data_size)
    trainers: dict[tuple[str, bool], Trainer] = {}
    for line in sys.stdin:
        order = json.loads(line)
        key = (order["mode"], order["bf16"])
        if key not in trainers:
            trainers[key] = Trainer(screen, layout, key[0], clock, bf16=key[1])
        source = screen.batches(order["batch"])
        trainers[key].step(next(source))
        if layout.data_size > 1:
            dist.barrier()
        clock.seconds, start, fetched = 0.0, time.perf_counter(), 0.0
        for _ in range(order["steps"]):
            before = time.perf_counter()
            batch = next(source)
            fetched += time.perf_counter() - before
            trainers[key].step(batch)
        if device == "cuda":
            torch.cuda.synchronize()
        spent = time.perf_counter() - start
        answer = {"step": spent, "messages": clock.seconds, "rest": fetched}
        told = {name: value / order["steps"] for name, value in answer.items()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
