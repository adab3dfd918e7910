"""Real processes over gloo, and a training run in each, for tests of the parallel room."""

import contextlib
import multiprocessing
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor

from combo_lightning.ports import free_port

TIMEOUT_SECONDS = 120


def _child(
    rank: int, world: int, port: int, out: str, work: Callable[..., Any], args: Any
) -> None:
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(world),
        "NODE_RANK": "0",
        "LOCAL_RANK": str(rank),
        "RANK": str(rank),
    }
    torch.set_num_threads(1)
    log = open(f"{out}.log", "w", buffering=1)  # noqa: SIM115  it lives as long as the process
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    try:
        result = work(*args)
        torch.save(result, out)
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(Exception):
        torch.distributed.destroy_process_group()
    os._exit(code)


def run_on_ranks(world: int, folder: Path, work: Callable[..., Any], *args: Any) -> list[Any]:
    """Run a function in `world` processes and give what each returned.

    Raises:
        AssertionError: If one fails, with what it said.
    """
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["combo_lightning.cli.lightning_cli"])
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    outs = [str(folder / f"rank_{rank}.pt") for rank in range(world)]
    children = [
        context.Process(target=_child, args=(rank, world, port, outs[rank], work, args))
        for rank in range(world)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(TIMEOUT_SECONDS)
    codes = [child.exitcode for child in children]
    for child in children:
        child.kill()
    said = "\n".join(Path(f"{out}.log").read_text()[-3000:] for out in outs)
    assert codes == [0] * world, f"{codes}\n{said}"
    return [torch.load(out, weights_only=False) for out in outs]


@dataclass(frozen=True)
class Run:
    """A short training run.

    Args:
        data: The data set.
        layout: "one", "ddp", "fsdp", "hsdp", "tp" or "tp_fsdp".
        world: Processes.
        steps: Training steps.
        folder: Where its checkpoints go.
        network: Options of `small_network`.
        precision: Lightning's.
        batch_size: Rows of a step.
        clip: Largest norm of the gradient; None: not clipped.
        resume: A checkpoint to go on from.
        save_at: A step after which ``mid.ckpt`` is saved; 0: none.
        spread_from: Tables of more entities are spread over processes.
        wide_from: Inputs of so many features are cut by features.
        validation_fraction: Share of the rows for validation.
    """

    data: str
    layout: str
    world: int
    steps: int
    folder: str
    network: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    precision: Any = "32-true"
    batch_size: int = 64
    clip: float | None = None
    resume: str | None = None
    save_at: int = 0
    spread_from: int = 8192
    wide_from: int = 20_000
    validation_fraction: float = 0.2

    def on(self, layout: str, world: int, folder: Path) -> "Run":
        """Give the same run in another layout."""
        return replace(self, layout=layout, world=world, folder=str(folder))


def small_network(
    dropout: float = 0.0, mode: str = "per_entity", activation: Any = "relu", **options: Any
) -> Any:
    """Build a network's configuration of the published shape, small."""
    from combo_lightning.model import EncoderConfig, HeadConfig, NetworkConfig

    encoder = EncoderConfig(widths=[16, 12, 8], dropout=dropout, activation=activation)
    head = HeadConfig(widths=[12, 16, 8], dropout=dropout, activation=activation)
    both = {"cell_encoder": encoder, "drug_encoder": encoder, "head": head}
    return NetworkConfig(**{**both, "dropout_mode": mode, **options})


def strategy_of(layout: str) -> Any:
    """Build the strategy of a layout."""
    from combo_lightning.parallel import DataParallel, MeshParallel

    if layout == "one":
        return "auto"
    if layout == "ddp":
        return DataParallel()
    options: dict[str, dict[str, Any]] = {
        "fsdp": {},
        "hsdp": {"replicas": 2},
        "tp": {"shards": 1, "tensor_parallel_size": 2},
        "tp_fsdp": {"tensor_parallel_size": 2},
    }
    return MeshParallel(**options[layout])


class Record(pl.Callback):
    """What happens in a run: losses of whole batches, rows, whole weights at its end.

    Args:
        save_at: A step after which ``mid.ckpt`` is saved; 0: none.
    """

    def __init__(self, save_at: int = 0) -> None:
        self.save_at = save_at
        self.losses: list[float] = []
        self.rows: list[Tensor] = []
        self.weights: dict[str, Tensor] = {}

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, index: int) -> None:
        parts = [batch.cell_B[:, None], batch.drug_BK, batch.response_B[:, None]]
        self.rows.append(torch.cat([x.double() for x in parts], dim=1))

    def on_train_batch_end(self, trainer: Any, task: Any, outputs: Any, *_: Any) -> None:
        loss = trainer.strategy.reduce(outputs["loss"].detach().clone(), reduce_op="mean")
        self.losses.append(float(loss))
        if trainer.global_step == self.save_at:
            trainer.save_checkpoint(Path(trainer.default_root_dir) / "mid.ckpt")

    def on_train_end(self, trainer: Any, task: Any) -> None:
        for name, weight in task.named_parameters():
            whole = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
            self.weights[name] = whole.detach().clone()


def build(run: Run, *callbacks: pl.Callback) -> tuple[pl.Trainer, Any, Any]:
    """Build a run's trainer, task and data."""
    from combo_lightning import task as task_module
    from combo_lightning.data.datamodule import ComboDataModule
    from combo_lightning.data.splits import SplitConfig
    from combo_lightning.model import cache, combo
    from combo_lightning.optimizer import OptimizerConfig
    from combo_lightning.parallel import shard, tensor
    from combo_lightning.runs.checkpointing import AtomicCheckpointIO
    from combo_lightning.task import ComboTask

    # So that layers of this small network are units of their own, too.
    shard.UNIT_SIZE = 100
    tensor.WIDE_INPUTS = run.wide_from
    for module in (task_module, cache, combo):
        vars(module)["ENTITIES_AT_ONCE"] = run.spread_from
    split = SplitConfig(
        kind="random", test_fraction=0.1, validation_fraction=run.validation_fraction
    )
    data = ComboDataModule(run.data, split=split, batch_size=run.batch_size, eval_batch_size=50)
    optimizer = OptimizerConfig(**{"learning_rate": 1e-3, **run.optimizer})
    task = ComboTask(network=small_network(**run.network), optimizer=optimizer)
    trainer = pl.Trainer(
        accelerator="cpu",
        strategy=strategy_of(run.layout),
        devices=run.world,
        precision=run.precision,
        max_steps=run.steps,
        max_epochs=-1,
        gradient_clip_val=run.clip,
        plugins=[AtomicCheckpointIO()],
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=run.folder,
    )
    return trainer, task, data


def fit(run: Run) -> dict[str, Any]:
    """Train in this process, one of the run's, and give what came of it.

    Returns:
        ``losses`` of the whole batches, ``weights`` whole, ``rows`` of this process in each step,
        ``scores`` of the last validation; where the run goes on from a checkpoint, ``before``: the
        validation scores of that checkpoint.
    """
    before: dict[str, float] = {}
    if run.resume:
        trainer, task, data = build(run)
        (scores,) = trainer.validate(task, data, ckpt_path=run.resume, verbose=False)
        before = dict(scores)
    record = Record(run.save_at)
    trainer, task, data = build(run, record)
    trainer.fit(task, datamodule=data, ckpt_path=run.resume)
    scores = {k: float(v) for k, v in trainer.callback_metrics.items()}
    return {
        "losses": record.losses,
        "weights": record.weights,
        "rows": record.rows,
        "scores": scores,
        "before": before,
    }


def validate(run: Run) -> dict[str, float]:
    """Score the run's checkpoint in this process, one of the run's."""
    trainer, task, data = build(run)
    (scores,) = trainer.validate(task, data, ckpt_path=run.resume, verbose=False)
    return {**scores, "rows": len(data.split.validation_rows)}


def assert_scores_equal(mine: dict[str, float], theirs: dict[str, float], relative: float) -> None:
    """Compare scores of the same rows whose predictions differ by fp32's rounding."""
    assert mine.keys() == theirs.keys()
    for name, value in theirs.items():
        # Predictions that rounding swaps move a rank each: some 1e-6 of Spearman's correlation.
        tolerance = 3e-5 if name.endswith("spearman") else relative
        assert mine[name] == pytest.approx(value, rel=relative, abs=tolerance), name
