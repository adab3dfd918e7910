"""What a fit will be, before there are processes for it: read by fit's own parser, and checked."""

import logging
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from combo_lightning.checkpoint import build_network
from combo_lightning.cli.group_of_fit import config_of
from combo_lightning.cli.known_warnings import silence_known_warnings
from combo_lightning.cli.lightning_cli import ComboCLI, start_cli
from combo_lightning.cli.misfits import let_groups_meet, refuse_misfits
from combo_lightning.cli.slurm_step import set_sizes
from combo_lightning.cli.words import value_of
from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.errors import InputError
from combo_lightning.parallel.strategies import MeshParallel
from combo_lightning.parallel.tensor import PlannedMesh, cut_network
from combo_lightning.slurm.step import Step
from combo_lightning.task import ComboTask

# Each weight in fp32, and two moments of it.
BYTES_A_WEIGHT = 12
# best.ckpt, last.ckpt, and one aside while it is written; a trainer group keeps the last two
# rounds, the newest that all have, and its final model besides.
FILES, FILES_OF_A_GROUP = 3, 7
# Lightning's own, where neither steps nor epochs are given.
DEFAULT_EPOCHS = 1000


@dataclass(frozen=True)
class PlannedFit:
    """A fit that fits its data and its processes.

    Args:
        data: The data set.
        resumed: Whether it goes on with a run.
        joins: Whether it is one trainer group that meets others, who may be there already.
        fingerprint: The data set's.
        parameters: Weights of a model.
        num_groups: Trainer groups.
        rows: Training rows of an epoch, of a group.
        batch_size: Rows of a step, of a group.
        steps: Training steps, at most.
        checkpoint_bytes: What all checkpoints will take.
    """

    data: Path
    resumed: bool
    joins: bool
    fingerprint: str
    parameters: int
    num_groups: int
    rows: int
    batch_size: int
    steps: int
    checkpoint_bytes: int


class _Planner(ComboCLI):
    """fit's command line up to the training.

    A launch of `tasks_per_node` is handed over by `plan_fit`, which makes a class of its own.
    """

    tasks_per_node: tuple[int, ...] | None = None
    words: Sequence[str] = ()
    planned: PlannedFit

    def before_instantiate_classes(self) -> None:
        """Lay the processes out as the job will."""
        config = self.config.fit
        refuse_misfits(config)
        let_groups_meet(config)
        tasks = self.tasks_per_node
        if tasks is not None and sum(tasks) > 1:
            # Its number is not known yet.
            set_sizes(config, self.words, Step("JOB", "0", 0, 0, 0, tasks, "", ""))

    def _instantiate_trainer(
        self, config: dict[str, Any], callbacks: list[pl.Callback]
    ) -> pl.Trainer:
        # Only its callbacks are looked at: the nodes have other devices than this machine.
        self.strategy = config.get("strategy")
        own = config.get("callbacks") or []
        own = own if isinstance(own, list) else [own]
        return pl.Trainer(accelerator="cpu", devices=1, logger=False, callbacks=own)

    def fit(self, model: ComboTask, datamodule: ComboDataModule) -> None:
        """Check what needs the data, and count."""
        config = self.config.fit
        datamodule.trainer_group = (config.group or 0, config.num_groups)
        datamodule.setup("fit")
        self._check_monitors(datamodule)
        catalog = datamodule.catalog
        with torch.device("meta"):
            network = build_network(model.network_config, catalog)
        parameters = sum(weight.numel() for weight in network.parameters())
        tables = (catalog.cells.features_EG, catalog.drugs.features_EG)
        size = parameters * BYTES_A_WEIGHT + sum(table.nbytes for table in tables)
        files = FILES if config.num_groups == 1 else FILES_OF_A_GROUP
        groups = config.num_groups if config.group is None else 1
        self._check_mesh(network)
        rows = datamodule.trainer_group_rows.epoch_rows
        self.planned = PlannedFit(
            data=datamodule.path,
            resumed=bool(config.resume),
            joins=config.group is not None,
            fingerprint=catalog.data_fingerprint,
            parameters=parameters,
            num_groups=config.num_groups,
            rows=rows,
            batch_size=datamodule.batch_size,
            steps=_steps(config.trainer, math.ceil(rows / datamodule.batch_size)),
            checkpoint_bytes=size * files * groups,
        )

    def _check_mesh(self, network: Any) -> None:
        """Lay a group's processes out as replicas x shards x parts, and cut the network."""
        strategy, trainer = self.strategy, self.config.fit.trainer
        sizes = (trainer.num_nodes, trainer.devices)
        if not isinstance(strategy, MeshParallel) or not all(isinstance(n, int) for n in sizes):
            return
        strategy.num_nodes = trainer.num_nodes
        strategy.parallel_devices = [torch.device("cpu")] * trainer.devices
        parts = strategy.mesh_shape(math.prod(sizes))[2]
        if parts > 1:
            cut_network(network, PlannedMesh(parts))


def _steps(trainer: Any, steps_of_epoch: int) -> int:
    """Count the training steps, at most."""
    limits = [trainer.max_steps] if trainer.max_steps > 0 else []
    epochs = trainer.max_epochs
    if epochs is None and not limits:
        epochs = DEFAULT_EPOCHS
    if epochs is not None and epochs > 0:
        limits.append(epochs * steps_of_epoch)
    return int(min(limits, default=0))


def plan_fit(words: Sequence[str], tasks_per_node: tuple[int, ...] | None) -> PlannedFit:
    """Read fit's options as it will, and check what can be checked before it runs.

    The data set is read and split, the network is built without its weights, and cut for tensor
    parallel.

    Args:
        words: Options of fit.
        tasks_per_node: The job's processes; None: not known yet.

    Raises:
        InputError: If something does not fit.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    resume = value_of("--resume", words)
    read = ["--config", str(config_of(Path(resume))), *words] if resume else list(words)
    planner = type("Planner", (_Planner,), {"tasks_per_node": tasks_per_node, "words": words})
    with warnings.catch_warnings():
        silence_known_warnings(fits=True)
        try:
            planned: PlannedFit = start_cli(planner, ["fit", *read]).planned
        except MisconfigurationException as error:
            raise InputError(f"the trainer's options do not fit: {error}") from error
    return planned
