"""From a data set on disk to the batches of each part."""

import logging
from pathlib import Path

import lightning.pytorch as pl

from combo_lightning.data.batches import Columns, OrderedBatches, ShuffledBatches
from combo_lightning.data.catalog import Catalog
from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.group_rows import (
    GroupRows,
    GroupRowsConfig,
    TournamentShare,
    TrainingShare,
    draw_group_rows,
)
from combo_lightning.data.splits import Split, SplitConfig, draw_split
from combo_lightning.data.study_split import measured_elsewhere
from combo_lightning.data.transforms import TransformConfig
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)


class ComboDataModule(pl.LightningDataModule):
    """Cell line - drug combinations of one data set, split, transformed and batched.

    Args:
        path: The data set's directory, as ``combo-lightning prepare`` or ``simulate`` made it.
        split: How rows are told apart into training, tournament, validation and test.
        transform: What is done to features and responses.
        batch_size: Rows of a training step, of all processes that train one model together.
        eval_batch_size: Rows of a validation, test or prediction step; no effect on results.
        seed: Seed of the split and of the training order; the run's ``seed_everything``.
        group_rows: Training rows of a trainer group: "full": all; "partition": a part of its own;
            "overlap": that and a share of the other groups'.
        overlap: With group_rows "overlap": the share of the other groups' rows, 0 to 1.
        tournament_rows: Rows that score a trainer group: "shared": all tournament rows;
            "per_group": a part of its own.
    """

    def __init__(
        self,
        path: str,
        split: SplitConfig = SplitConfig(),
        transform: TransformConfig = TransformConfig(),
        batch_size: int = 256,
        eval_batch_size: int = 1024,
        seed: int = 1,
        group_rows: TrainingShare = "full",
        overlap: float = 0.5,
        tournament_rows: TournamentShare = "shared",
    ) -> None:
        super().__init__()
        for name, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value < 1:
                raise InputError(f"data.{name} is {value}; it must be 1 or more")
        self.path = Path(path)
        self.split_config = split
        self.transform_config = transform
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.seed = seed
        # Tournaments ask whether groups are scored on rows of their own.
        self.tournament_rows = tournament_rows
        self._sharing = GroupRowsConfig(group_rows, overlap, tournament_rows)
        # Where features too large for a checkpoint are written, beside it; None: they stay in
        # memory and in the checkpoint.
        self.features_folder: Path | None = None
        # This process's share of each batch, and of how many; the task sets it.
        self.share = (0, 1)
        # Which trainer group this process is of, and of how many; set before `setup`.
        self.trainer_group = (0, 1)
        self._dataset: ScreenDataset | None = None
        self._split: Split | None = None
        self._group_rows: GroupRows | None = None
        self._catalog: Catalog | None = None
        self._columns: Columns | None = None

    def setup(self, stage: str | None = None) -> None:
        """Read the data set, draw the split and fit the transforms on the training rows.

        Equal arguments give equal results, so `test` finds the parts that `fit` drew. Split and
        transforms are the same in all trainer groups: fitted on the training rows of all of them.
        """
        if self._columns is not None:
            return
        self._dataset = read_dataset(self.path)
        self._split = draw_split(self._dataset, self.split_config, self.seed)
        self._group_rows = draw_group_rows(
            self._dataset, self._split, self._sharing, self.trainer_group, self.seed
        )
        self._catalog = Catalog.fit(
            self._dataset, self._split, self.transform_config, self.features_folder
        )
        self._columns = Columns(self._dataset.responses, self._catalog)
        judging = self._split.tournament_rows
        logger.info(
            "%s: %d training, %s%d validation, %d test rows (%s split)",
            self.path,
            len(self._split.train_rows),
            f"{len(judging)} tournament, " if len(judging) else "",
            len(self._split.validation_rows),
            len(self._split.test_rows),
            self.split_config.kind,
        )
        if self.split_config.kind == "leave_study_out":
            again = measured_elsewhere(self._dataset, self._split)
            logger.info(
                "%d of %d test rows measure a combination in a line that training rows of other "
                "studies hold too",
                again.sum(),
                len(again),
            )
        if self.trainer_group[1] > 1:
            logger.info(
                "trainer group %d of %d: %d training rows, %d an epoch; %d tournament rows",
                *self.trainer_group,
                len(self._group_rows.train_rows),
                self._group_rows.epoch_rows,
                len(self._group_rows.tournament_rows),
            )

    @property
    def dataset(self) -> ScreenDataset:
        """The data set; after `setup`."""
        assert self._dataset is not None, "setup has not run"
        return self._dataset

    @property
    def split(self) -> Split:
        """The parts; after `setup`."""
        assert self._split is not None, "setup has not run"
        return self._split

    @property
    def trainer_group_rows(self) -> GroupRows:
        """The rows of this trainer group; after `setup`.

        Raises:
            ValueError: If `trainer_group` was set after `setup`.
        """
        assert self._group_rows is not None, "setup has not run"
        if self._group_rows.group != tuple(self.trainer_group):
            raise ValueError(
                f"trainer_group is {self.trainer_group}, but setup ran for trainer group "
                f"{self._group_rows.group}; set it before setup"
            )
        return self._group_rows

    @property
    def catalog(self) -> Catalog:
        """What the model must know of the data; after `setup`."""
        assert self._catalog is not None, "setup has not run"
        return self._catalog

    def train_dataloader(self) -> ShuffledBatches:
        """Give this trainer group's training batches, in a new order each epoch."""
        mine = self.trainer_group_rows
        return ShuffledBatches(
            self._loaded_columns,
            mine.train_rows,
            self.batch_size,
            self.seed,
            self.share,
            group=mine.group[0],
            epoch_rows=mine.epoch_rows,
        )

    def tournament_dataloader(self) -> OrderedBatches:
        """Give the batches that score this trainer group, in the data set's order.

        Raises:
            InputError: If there are no tournament rows.
        """
        rows = self.trainer_group_rows.tournament_rows
        if not len(rows):
            mend = "set data.split.tournament_fraction above 0"
            if self.split_config.kind == "file":
                mend = f"put some rows into 'tournament' in {self.split_config.file}"
            raise InputError(
                f"there are no tournament rows (data.split.tournament_fraction is "
                f"{self.split_config.tournament_fraction}); {mend}"
            )
        return OrderedBatches(self._loaded_columns, rows, self.eval_batch_size, self.share)

    def val_dataloader(self) -> OrderedBatches | list[OrderedBatches]:
        """Give the validation batches, in the data set's order; none without such rows."""
        rows = self.split.validation_rows
        if not len(rows):
            return []
        return OrderedBatches(self._loaded_columns, rows, self.eval_batch_size, self.share)

    def test_dataloader(self) -> OrderedBatches:
        """Give the test batches, in the data set's order.

        Raises:
            InputError: If there are no test rows.
        """
        rows = self.split.test_rows
        if not len(rows):
            raise InputError("there are no test rows; set data.split.test_fraction above 0")
        return OrderedBatches(self._loaded_columns, rows, self.eval_batch_size, self.share)

    @property
    def _loaded_columns(self) -> Columns:
        assert self._columns is not None, "setup has not run"
        return self._columns
