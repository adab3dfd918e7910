"""Training, validation and test of the Combo network: loss, optimizer, scores, checkpoint content.

Shapes: B rows of a batch, K drug slots, P orders of the slots.
"""

import logging
from dataclasses import replace
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn

from combo_lightning.checkpoint import (
    build_network,
    list_differences,
    pack_content,
    unpack_content,
)
from combo_lightning.data.batches import Batch
from combo_lightning.data.catalog import Catalog
from combo_lightning.data.seen import seen_in_training
from combo_lightning.ensemble import is_ensemble, read_weights
from combo_lightning.errors import InputError
from combo_lightning.evaluation.metric import ResponseScores
from combo_lightning.inference.members import EncodedMembers, Members
from combo_lightning.inference.respond import respond
from combo_lightning.model import ComboModel, EntityTable, NetworkConfig
from combo_lightning.model.combo import ENTITIES_AT_ONCE
from combo_lightning.model.layers import MaskGenerator, set_dropout_generator
from combo_lightning.model.part import BatchPart, entity_bounds
from combo_lightning.optimizer import OptimizerConfig, configure_optimizer
from combo_lightning.parallel.gradients import LocalParts, clip_norm
from combo_lightning.parallel.layout import ALONE, Layout
from combo_lightning.parallel.shard import gather_small_weights, release_small_weights
from combo_lightning.parallel.strategies import MeshParallel, layout_of
from combo_lightning.parallel.tensor import input_range

logger = logging.getLogger(__name__)


class ComboTask(pl.LightningModule):
    """The LightningModule around `ComboModel`.

    Args:
        network: The network's configuration.
        optimizer: Optimizer and schedule.
        loss: "mse" (published) or "huber", of the standardised response, weighted by row.
        huber_delta: Where Huber's loss turns linear, in standard deviations of the response.
        seed: Seed of the initial weights and dropout masks; the run's ``seed_everything``.
    """

    def __init__(
        self,
        network: NetworkConfig = NetworkConfig(),
        optimizer: OptimizerConfig = OptimizerConfig(),
        loss: Literal["mse", "huber"] = "mse",
        huber_delta: float = 1.0,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self.network_config = network
        self.optimizer_config = optimizer
        self.huber_delta = huber_delta if loss == "huber" else None
        self.seed = seed
        self.network: ComboModel | None = None
        self._catalog: Catalog | None = None
        self._generator: MaskGenerator | None = None
        # The network; or, to validate and test an ensemble's checkpoint, those of its members.
        self.members = Members(())
        self._encoded: EncodedMembers | None = None
        self.layout: Layout = ALONE
        self._local: LocalParts | None = None
        # The first entity of each table whose features are here.
        self._starts: dict[str, int] = {}
        # DDP's own name for what it must not send.
        self._ddp_params_and_buffers_to_ignore: list[str] = []
        # Rows of each whole batch of the evaluation that runs.
        self._totals: list[int] = []
        self.val_scores = ResponseScores()
        self.test_scores = ResponseScores()
        self.test_predictions: dict[str, list[Tensor]] = {}
        # Those of an ensemble's members, by their names.
        self.member_predictions: dict[str, list[Tensor]] = {}

    @property
    def catalog(self) -> Catalog:
        """What the model knows of the data; after `configure_model`."""
        assert self._catalog is not None, "configure_model has not run"
        return self._catalog

    def configure_model(self) -> None:
        """Build the network for the data module's data; the same seed gives the same weights."""
        if self.network is not None:
            return
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self._catalog = data.catalog
        strategy = self.trainer.strategy
        self.layout = layout_of(strategy)
        data.share = (self.layout.data_rank, self.layout.data_size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network = build_network(self.network_config, data.catalog)
        self.members = Members((self.network,))
        with_table = self.network_config.table_rank > 0
        seen = seen_in_training(data.dataset, data.split.train_rows, with_table=with_table)
        self.network.forget(*seen)
        for name, entities in (("cell", data.catalog.cells), ("drug", data.catalog.drugs)):
            self._register_table(name, entities.features_EG)
        if isinstance(strategy, MeshParallel):
            strategy.spread(self.network)

    def _register_table(self, name: str, features_EG: np.ndarray[Any, Any]) -> None:
        """Keep the features of a table that this process reads.

        Not persistent: the checkpoint holds them once, with their names, and neither DDP nor a
        tournament ever sends them.
        """
        count, width = features_EG.shape
        columns = slice(*input_range(width, self.layout.tensor_rank, self.layout.tensor_size))
        bounds = [0, count]
        if count > ENTITIES_AT_ONCE and self.layout.data_size > 1:
            # A large table is spread: a process reads and encodes its range of the entities.
            bounds = entity_bounds(count, self.layout.data_size)[self.layout.data_rank :]
        self._starts[name] = bounds[0]
        here = np.ascontiguousarray(features_EG[bounds[0] : bounds[1], columns])
        features = torch.from_numpy(here)
        self.register_buffer(f"{name}_features", features, persistent=False)
        self.register_buffer(f"{name}_id", torch.arange(count), persistent=False)
        self._ddp_params_and_buffers_to_ignore += [f"{name}_features", f"{name}_id"]

    def tables(self) -> tuple[EntityTable, EntityTable]:
        """Give the known cell lines and drugs, on the module's device."""
        cells = EntityTable(self.cell_features, self.cell_id, self._starts["cell"])  # type: ignore[arg-type]
        drugs = EntityTable(self.drug_features, self.drug_id, self._starts["drug"])  # type: ignore[arg-type]
        return cells, drugs

    def _built(self) -> ComboModel:
        assert self.network is not None, "configure_model has not run"
        return self.network

    def forward(self, batch: Batch) -> Tensor:
        """Predict the standardised response of each row with its drugs as they stand, ``[B]``."""
        prediction: Tensor = self._built()(
            *self.tables(),
            batch.cell_B,
            batch.drug_BK,
            batch.dose_BK,
            self._part(batch),
            batch.study_B,
        )
        return prediction

    def _part(self, batch: Batch) -> BatchPart | None:
        whole = batch.whole
        return None if whole is None else self.layout.part(whole.cell_N, whole.drug_NK)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the weighted mean loss of a batch.

        Where processes share the batch, their losses' mean is the batch's, as strategies take the
        mean of gradients.
        """
        self._seed_dropout()
        error = self(batch) - batch.response_B
        if self.huber_delta is None:
            loss_B = error.square()
        else:
            loss_B = nn.functional.huber_loss(
                error, torch.zeros_like(error), reduction="none", delta=self.huber_delta
            )
        if batch.weight_B is not None:
            loss_B = loss_B * batch.weight_B
        loss: Tensor
        if batch.whole is not None:
            loss = loss_B.sum() * (self.layout.data_size / batch.whole.weight)
        elif batch.weight_B is None:
            loss = loss_B.mean()
        else:
            loss = loss_B.sum() / batch.weight_B.sum()
        return loss

    def _seed_dropout(self) -> None:
        """Let this step's dropout depend on (seed, step) and the row alone: runs can resume."""
        if self._generator is None:
            self._generator = MaskGenerator(self.device)
            set_dropout_generator(self._built(), self._generator)
        self._generator.seed([self.seed, self.global_step])

    def predict_orders(self, batch: Batch) -> dict[str, Tensor]:
        """Predict as the model is used: each row in the order that training recorded.

        An entity is encoded once an evaluation.

        Args:
            batch: The rows.

        Returns:
            Standardised responses by name, of an ensemble the means; see `inference.respond`.
        """
        return self.members.mean_by_name(self._answers(batch))

    def _answers(self, batch: Batch) -> list[dict[str, Tensor]]:
        """Predict as the model is used, by each network."""
        if self._encoded is None:
            self._encoded = EncodedMembers(self.members, *self.tables())
        cell_B, drug_BK, study_B = batch.cell_B, batch.drug_BK, batch.study_B
        return [
            respond(network, encoded, self.catalog, cell_B, drug_BK, batch.dose_BK, study_B)
            for network, encoded in self._encoded.covering(cell_B, drug_BK, self._part(batch))
        ]

    def on_validation_start(self) -> None:
        """Forget what earlier weights encoded: an evaluation encodes every entity once."""
        self._start_evaluation(self.val_scores)

    def on_test_start(self) -> None:
        """Start with no predictions and nothing encoded."""
        self.test_predictions, self.member_predictions = {}, {}
        self._start_evaluation(self.test_scores)

    def on_validation_end(self) -> None:
        """Free the encoded entities."""
        self._end_evaluation()

    def on_test_end(self) -> None:
        """Free the encoded entities."""
        self._end_evaluation()

    def _start_evaluation(self, scores: ResponseScores) -> None:
        self._encoded = None
        self._totals = []
        scores.merge = self._merge
        if self.members.names:
            self.members.to(self.device)
        gather_small_weights(self._built())

    def _end_evaluation(self) -> None:
        self._encoded = None
        release_small_weights(self._built())

    def _merge(self, value_B: Tensor) -> Tensor:
        """Put the values of all processes' rows together, in the order of the part."""
        return self.layout.merge(value_B, self._totals)

    def _in_unit(self, standardised: Tensor, batch: Batch) -> Tensor:
        scale = self.catalog.response_scale
        common = standardised.double() * scale.scale + scale.mean
        if not self.catalog.studies.maps or batch.study_B is None:
            return common
        study_B = batch.study_B.cpu().numpy()
        own = self.catalog.studies.from_common(common.detach().cpu().numpy(), study_B)
        return torch.from_numpy(own).to(common.device)

    def _collect(self, scores: ResponseScores, batch: Batch) -> list[dict[str, Tensor]]:
        """Predict a batch in the response's unit by each network, and keep it for the scores."""
        self._totals.append(batch.total)
        found = [
            {n: self._in_unit(x, batch) for n, x in answer.items()}
            for answer in self._answers(batch)
        ]
        prediction_B = self.members.mean_by_name(found)["model"]
        scores.update(prediction_B, self._in_unit(batch.response_B, batch), batch.weight_B)
        return found

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect one batch's predictions for the validation scores."""
        self._collect(self.val_scores, batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect one batch's predictions for the test scores."""
        found = self._collect(self.test_scores, batch)
        for name, prediction in self.members.mean_by_name(found).items():
            self.test_predictions.setdefault(name, []).append(prediction)
        for name, answer in self.members.by_name(found).items():
            self.member_predictions.setdefault(name, []).append(answer["model"])

    def on_tournament_start(self) -> None:
        """Forget what earlier weights encoded."""
        self._encoded = None
        gather_small_weights(self._built())

    def on_tournament_end(self) -> None:
        """Free the encoded entities."""
        self._end_evaluation()

    def tournament_scores(self, batch: Batch) -> dict[str, Tensor]:
        """Score each row of the whole batch: its weighted squared and absolute error.

        Args:
            batch: This process's share of the tournament rows' batch.

        Returns:
            ``mse`` and ``mae``, ``[N]``, in the response's unit; equal on all processes.
        """
        predicted = self._in_unit(self.predict_orders(batch)["model"], batch)
        error = predicted - self._in_unit(batch.response_B, batch)
        weight = 1.0 if batch.weight_B is None else batch.weight_B
        scores = {"mse": weight * error.square(), "mae": weight * error.abs()}
        return {name: self.layout.merge(x, [batch.total]) for name, x in scores.items()}

    def on_validation_epoch_end(self) -> None:
        """Log ``val_mse`` and the other scores, in the response's unit."""
        self._log_scores("val", self.val_scores)

    def on_test_epoch_end(self) -> None:
        """Log ``test_mse`` and the other scores, and bring the predictions of all rows here."""
        self._log_scores("test", self.test_scores)
        for kept in (self.test_predictions, self.member_predictions):
            for name, parts in kept.items():
                kept[name] = [self._merge(torch.cat(parts)).cpu()]

    def _log_scores(self, part: str, scores: ResponseScores) -> None:
        values = {f"{part}_{name}": value for name, value in scores.compute().items()}
        scores.reset()
        shown = f"{part}_r2"
        self.log(shown, values.pop(shown), prog_bar=True)
        self.log_dict(values)

    def configure_optimizers(self) -> Any:
        """Build the optimizer and its schedule."""
        self._local = LocalParts(self)
        return configure_optimizer(self._local.named(), self.optimizer_config, self.trainer)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Let the optimizer see the gradients of the weights' parts that are here."""
        if self._local is not None:
            self._local.take_gradients()

    def optimizer_zero_grad(
        self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer
    ) -> None:
        """Free the gradients of the weights, of which the optimizer may hold parts."""
        self.zero_grad()

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as Lightning does; by norm also where weights are spread over processes."""
        by_norm = gradient_clip_algorithm in (None, "norm")
        if isinstance(self.trainer.strategy, MeshParallel) and gradient_clip_val and by_norm:
            clip_norm(list(self.parameters()), float(gradient_clip_val))
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what prediction needs beside the weights."""
        checkpoint["combo_lightning"] = pack_content(self.network_config, self.catalog)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other data or of another network, and take in an ensemble.

        Raises:
            InputError: If the checkpoint does not fit this data set, split or configuration, or
                is an ensemble where only one model can be.
        """
        network, catalog = unpack_content(checkpoint, "the checkpoint")
        differences = list_differences(network, catalog, self.network_config, self.catalog)
        if differences:
            what, (theirs, ours) = next(iter(differences.items()))
            raise InputError(
                f"the checkpoint does not fit: its {what} is {theirs}, this run's is {ours}; "
                "use the config.yaml of the checkpoint's own run folder, or "
                "'combo-lightning predict' for other data"
            )
        self.members = Members((self._built(),))
        if is_ensemble(checkpoint):
            self._take_ensemble(checkpoint)

    def _take_ensemble(self, checkpoint: dict[str, Any]) -> None:
        """Build the members' networks, the first of them where this task has its own.

        Raises:
            InputError: If this is a fit, or weights are spread over processes.
        """
        if self.trainer.state.fn == TrainerFn.FITTING:
            raise InputError(
                "the checkpoint is an ensemble, from which no fit goes on; name a member's own "
                "checkpoint, or the champion's"
            )
        if isinstance(self.trainer.strategy, MeshParallel):
            raise InputError(
                "the checkpoint is an ensemble, and MeshParallel spreads one model over its "
                "processes; use one process, or --config configs/ddp.yaml"
            )
        members = Members.load(checkpoint, self.network_config, self.catalog, "the checkpoint")
        checkpoint["state_dict"] = read_weights(checkpoint).state_dicts[0]
        networks = (self._built(), *members.networks[1:])
        self.members = replace(members, networks=networks)
