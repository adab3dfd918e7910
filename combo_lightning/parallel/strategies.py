"""Lightning strategies: how processes start, and which mesh they form.

``trainer.devices`` (and ``num_nodes``) says how many processes there are, on CPUs too;
``batch_size`` stays the rows of one step of all of them.
"""

import secrets
import time
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.optim import Optimizer

from combo_lightning.errors import InputError, RunStopped, SaveFailed
from combo_lightning.model import ComboModel
from combo_lightning.parallel.gradients import like_weight, local, map_moments, spread_like
from combo_lightning.parallel.layout import ALONE, Layout, data_parallel_layout
from combo_lightning.parallel.saving import as_of_now, save_shards
from combo_lightning.parallel.shard import shard_network
from combo_lightning.parallel.shards import SHARDS, SUFFIX, flatten, remove_other_shards
from combo_lightning.parallel.tensor import cut_network
from combo_lightning.parallel.watch import SILENCE_SECONDS, TOKEN_BYTES, RankWatch, host_name

# One bucket: a network of 14 million weights is one message of 55 MB.
BUCKET_MB = 1024
# A process that fails because another has gone waits so long for the watch to name that one.
LINGER_SECONDS = 5.0
# A process that has found a mistake in the input waits so long for the others to find it.
FIND_SECONDS = 2.0


class _Watched:
    """What both strategies have of the watch over their processes; see `RankWatch`."""

    _watch: RankWatch | None = None
    _silence_seconds = SILENCE_SECONDS

    def _start_watch(self, strategy: Strategy, timeout_seconds: float) -> None:
        if dist.get_world_size() == 1:
            return
        hosts: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(hosts, host_name())
        self._watch = RankWatch(dist.get_rank(), hosts, timeout_seconds, self._silence_seconds)
        port, token = 0, b""
        if strategy.is_global_zero:
            port, token = self._watch.listen(), secrets.token_bytes(TOKEN_BYTES)
        assert isinstance(strategy, DDPStrategy | ModelParallelStrategy)
        assert strategy.cluster_environment is not None
        address = strategy.cluster_environment.main_address
        self._watch.start(address, *strategy.broadcast((port, token)))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Note progress."""
        if self._watch is not None:
            self._watch.progressed()

    def on_validation_start(self) -> None:
        """Note progress."""
        if self._watch is not None:
            self._watch.progressed()

    def on_exception(self, exception: BaseException) -> None:
        """Wait for the watch to tell what has happened, unless this process knows."""
        # What all processes know ends each of them.
        if self._watch is None or isinstance(exception, RunStopped | SaveFailed):
            return
        if isinstance(exception, InputError):
            self._watch.fail(FIND_SECONDS)
        else:
            known = isinstance(exception, KeyboardInterrupt)
            self._watch.abandon(0 if known else LINGER_SECONDS)

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.leave()


class DataParallel(_Watched, DDPStrategy):
    """Data parallel: each process holds the network and takes a share of each batch.

    Gradients are summed in one all-reduce. Feature tables are never sent.

    Args:
        timeout_seconds: After how long without progress of any process the run ends.
        silence_seconds: After how long without an answer of a process the run ends.
    """

    def __init__(
        self, timeout_seconds: float = 300.0, silence_seconds: float = SILENCE_SECONDS
    ) -> None:
        super().__init__(
            # Longer than the watch, which tells who is late.
            timeout=timedelta(seconds=2 * timeout_seconds),
            gradient_as_bucket_view=True,
            bucket_cap_mb=BUCKET_MB,
        )
        self._timeout_seconds = timeout_seconds
        self._silence_seconds = silence_seconds

    def setup_environment(self) -> None:
        """Start the processes' group, and the watch over it."""
        super().setup_environment()
        self._start_watch(self, self._timeout_seconds)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint on rank 0; all processes call it, and learn how that went.

        Raises:
            SaveFailed: On all processes, if it could not be written; the one before is as it was.
        """
        failure: OSError | None = None
        try:
            super().save_checkpoint(checkpoint, filepath, storage_options)
        except OSError as error:
            failure = error
        failure = self.broadcast(failure)
        if failure is not None:
            raise SaveFailed(failure, str(filepath)) from failure

    def teardown(self) -> None:
        """End the watch, and everything else."""
        self._end_watch()
        super().teardown()


class MeshParallel(_Watched, ModelParallelStrategy):
    """Sharded and tensor parallel on a mesh of replicas x shards x tensor parts.

    Args:
        replicas: Copies of the sharded network (HSDP when above 1).
        shards: Parts of each weight over data-parallel processes (FSDP2); "auto": as many as
            there are processes for.
        tensor_parallel_size: Parts of each layer (tensor parallel).
        timeout_seconds: After how long without progress of any process the run ends.
        silence_seconds: After how long without an answer of a process the run ends.
    """

    def __init__(
        self,
        replicas: int = 1,
        shards: int | Literal["auto"] = "auto",
        tensor_parallel_size: int = 1,
        timeout_seconds: float = 300.0,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        sizes = {"replicas": replicas, "tensor_parallel_size": tensor_parallel_size}
        if shards != "auto":
            sizes["shards"] = shards
        for name, value in sizes.items():
            if value < 1:
                raise InputError(f"trainer.strategy: {name} is {value}; it must be 1 or more")
        super().__init__(
            data_parallel_size="auto",
            tensor_parallel_size=tensor_parallel_size,
            # Longer than the watch, which tells who is late.
            timeout=timedelta(seconds=2 * timeout_seconds),
        )
        self.replicas = replicas
        self.shards = shards
        self.parts = tensor_parallel_size
        self._timeout_seconds = timeout_seconds
        self._silence_seconds = silence_seconds
        self._layout = ALONE
        self._saving: Future[None] | None = None
        self._saving_group: Any = None

    def mesh_shape(self, processes: int) -> tuple[int, int, int]:
        """Lay processes out as replicas x shards x tensor parts.

        Raises:
            InputError: If they do not multiply out.
        """
        fitting = max(1, processes // (self.replicas * self.parts))
        shards = fitting if self.shards == "auto" else self.shards
        shape = (self.replicas, shards, self.parts)
        if shape[0] * shape[1] * shape[2] != processes:
            raise InputError(
                f"trainer.strategy: replicas {shape[0]} x shards {shape[1]} x "
                f"tensor_parallel_size {shape[2]} is {shape[0] * shape[1] * shape[2]}, but there "
                f"are {processes} processes (trainer.num_nodes {self.num_nodes} x trainer.devices "
                f"{self.num_processes}); make them equal"
            )
        return shape

    def setup_environment(self) -> None:
        """Start the processes' group and form the mesh."""
        replicas, shards, parts = self.mesh_shape(self.num_nodes * self.num_processes)
        self._data_parallel_size = replicas * shards
        super().setup_environment()
        mesh = init_device_mesh(
            self.root_device.type,
            (replicas, shards, parts),
            mesh_dim_names=("replicate", "shard", "tensor_parallel"),
        )
        data = mesh["replicate", "shard"]._flatten("data_parallel")
        self._device_mesh = mesh
        self._layout = Layout(
            data_rank=data.get_local_rank(),
            data_size=data.size(),
            data_group=data.get_group(),
            tensor_rank=mesh.get_local_rank("tensor_parallel"),
            tensor_size=parts,
            tensor_group=mesh.get_group("tensor_parallel"),
        )

        self._start_watch(self, self._timeout_seconds)
        # Saving goes on in a thread beside training, and talks through a group of its own.
        self._saving_group = dist.new_group(backend="gloo", timeout=self._timeout)

    @property
    def layout(self) -> Layout:
        """This process's place in the mesh."""
        return self._layout

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Whether Lightning hands the optimizers' states to `load_optimizer_state_dict`."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Give the weights, each process its parts."""
        return dict(self._module().state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Give an optimizer's state, moments spread as their weights are."""
        state: dict[str, Any] = getattr(optimizer, "_optimizer", optimizer).state_dict()
        weights = dict(self._module().named_parameters())
        return map_moments(state, lambda name, moment: like_weight(moment, weights[name]))

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any | None = None
    ) -> None:
        """Copy what is to be saved and write it beside training; all processes call it.

        The file appears when every process has written its part.
        """
        self.finish_saving()
        path = Path(filepath)
        rest, tensors = flatten(checkpoint)
        token = f"{checkpoint['global_step']}-{time.time_ns():x}"
        name = self.broadcast(f".{path.name}.{token}{SUFFIX}")
        content = as_of_now({**rest, SHARDS: name}) if self.is_global_zero else {}

        def publish() -> None:
            self.checkpoint_io.save_checkpoint(content, path)

        self._saving = save_shards(
            tensors,
            path.with_name(name),
            path,
            group=self._saving_group,
            publish=publish if self.is_global_zero else None,
        )

    def finish_saving(self) -> None:
        """Wait until the checkpoint that is being written has appeared.

        Its `SaveFailed` is raised here, on all processes.
        """
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def remove_checkpoint(self, filepath: str | Path) -> None:
        """Remove a checkpoint file and its shards."""
        super().remove_checkpoint(filepath)
        if self.is_global_zero:
            remove_other_shards(Path(filepath), None)

    def load_checkpoint(
        self,
        checkpoint_path: str | Path,
        weights_only: bool | None = None,  # noqa: FBT001  Lightning's signature
    ) -> dict[str, Any]:
        """Read a checkpoint of any layout, whole; each process takes its parts from it."""
        found: dict[str, Any] = self.checkpoint_io.load_checkpoint(checkpoint_path)
        return found

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:  # noqa: FBT001, FBT002  Lightning's signature
        """Take this process's parts of the weights."""
        weights = dict(self._module().named_parameters())
        with torch.no_grad():
            for name, whole in checkpoint["state_dict"].items():
                local(weights[name]).copy_(local(spread_like(whole, weights[name])))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take this process's parts of the optimizers' moments."""
        weights = dict(self._module().named_parameters())
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            here = map_moments(
                state,
                lambda name, moment: local(
                    spread_like(moment, weights[name]) if moment.dim() else moment
                ),
            )
            optimizer.load_state_dict(here)

    def teardown(self) -> None:
        """Finish what is being written, and end."""
        self.finish_saving()
        self._end_watch()
        super().teardown()

    def _module(self) -> pl.LightningModule:
        assert self.lightning_module is not None
        return self.lightning_module

    def spread(self, network: ComboModel) -> None:
        """Cut and shard a network that is equal on all processes, in place."""
        mesh: DeviceMesh = self.device_mesh
        if self._layout.tensor_size > 1:
            cut_network(network, mesh["tensor_parallel"])
        if self._layout.data_size > 1:
            hybrid = mesh["replicate", "shard"] if self.replicas > 1 else mesh["shard"]
            bf16 = self.precision_plugin.precision == "bf16-mixed"
            shard_network(network, hybrid, bf16=bf16)


def layout_of(strategy: Strategy) -> Layout:
    """Tell a process's place under a strategy; for one process, that it is alone."""
    if isinstance(strategy, MeshParallel):
        return strategy.layout
    if isinstance(strategy, DDPStrategy):
        return data_parallel_layout()
    return ALONE
