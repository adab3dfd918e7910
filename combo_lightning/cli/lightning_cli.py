"""``combo-lightning fit | validate | test``: Lightning's command line around ours."""

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import lightning.pytorch as pl
import pyarrow as pa
from jsonargparse.typing import NonNegativeInt, PositiveInt
from lightning.fabric.plugins import ClusterEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from combo_lightning.cli.group_of_fit import (
    StartGroups,
    config_of,
    group_seed,
    is_finished,
    join_group,
    rejoins,
    resume_point,
)
from combo_lightning.cli.known_warnings import silence_known_warnings
from combo_lightning.cli.main import invocation
from combo_lightning.cli.misfits import let_groups_meet, refuse_misfits
from combo_lightning.cli.slurm_step import enter_step
from combo_lightning.cli.words import value_of
from combo_lightning.data.datamodule import ComboDataModule
from combo_lightning.errors import InputError, RunStopped, SaveFailed, did_you_mean
from combo_lightning.evaluation.metric import SCORE_NAMES
from combo_lightning.ltfb import LTFB
from combo_lightning.ltfb.place import GroupPlace
from combo_lightning.parallel.processes import (
    leave_process_group,
    process_rank,
    started_by_launcher,
)
from combo_lightning.precision import Precision, choose_precision
from combo_lightning.runs.checkpointing import (
    BEST,
    LAST,
    AtomicCheckpointIO,
    BestCheckpoint,
    LastCheckpoint,
)
from combo_lightning.runs.folder import CONFIG, RunRecord, new_run_dir
from combo_lightning.runs.metrics_csv import MetricsCsv
from combo_lightning.runs.population import write_population
from combo_lightning.runs.progress import RunProgressBar
from combo_lightning.runs.status import RunStatus
from combo_lightning.runs.stopping import StopOnSignal
from combo_lightning.runs.test_comparison import TestComparison
from combo_lightning.slurm.environment import SlurmStep
from combo_lightning.task import ComboTask

logger = logging.getLogger(__name__)


CLI = TypeVar("CLI", bound="ComboCLI")
RUN_DIR_VARIABLE = "COMBO_LIGHTNING_RUN_DIR"


class ComboCLI(LightningCLI):
    """LightningCLI with run folders, exact resuming and the test beside baselines."""

    # The trainer group that this process belongs to, and what srun or the groups' cut tells
    # Lightning of the processes.
    place: GroupPlace | None = None
    environment: ClusterEnvironment | None = None
    _checkpoints_folder: Path | None = None

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Give the commands and the arguments of Lightning's methods that are not options."""
        skip = {"model", "datamodule", "weights_only"}
        return {
            "fit": skip | {"train_dataloaders", "val_dataloaders", "ckpt_path"},
            "validate": skip | {"dataloaders", "verbose"},
            "test": skip | {"dataloaders", "verbose"},
        }

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the one seed."""
        parser.add_argument(
            "--seed_everything",
            type=NonNegativeInt,
            default=1,
            help="The run's one seed: split, initial weights, training order, dropout.",
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run folder and the precision, and hand the seed to data and model."""
        parser.add_argument(
            "--run_dir",
            type=str | None,
            default=None,
            help="The run folder to make; null: runs/DATA-TIME. Ignored by validate and test.",
        )
        parser.add_argument(
            "--resume",
            type=str | None,
            default=None,
            help="A run folder whose fit goes on where it stopped (fit only).",
        )
        parser.add_argument(
            "--save_every_n_train_steps",
            type=NonNegativeInt,
            default=1000,
            help="Steps between saves of last.ckpt within an epoch; 0: at each epoch's end only.",
        )
        parser.add_argument(
            "--num_groups",
            type=PositiveInt,
            default=1,
            help="Trainer groups that hold tournaments, with --config configs/ltfb.yaml: started "
            "here, or cut from what torchrun or srun has started (fit only).",
        )
        parser.add_argument(
            "--group",
            type=NonNegativeInt | None,
            default=None,
            help="Be this one of num_groups, as a job of its own that meets the others in "
            "--run_dir, over files there (fit only).",
        )
        parser.add_argument(
            "--precision",
            type=Precision,
            default="32-true",
            help="Arithmetic: auto is bf16-mixed where the processor or GPU has a bf16 unit, "
            "else 32-true; the run's config.yaml keeps what was chosen.",
        )
        parser.link_arguments("seed_everything", "data.seed")
        parser.link_arguments("seed_everything", "model.seed")

    def _parse_ckpt_path(self) -> None:
        """Leave the configuration alone: Lightning would let a checkpoint override options."""

    def before_instantiate_classes(self) -> None:
        """Choose the folder that this command works in, and its arithmetic.

        Raises:
            InputError: If the run folder is taken, or no checkpoint is named.
        """
        config = self.config[self.subcommand]
        refuse_misfits(config)
        self.environment = enter_step(config, invocation())
        if self.subcommand == "fit":
            run_dir = self._run_dir(config.resume or config.run_dir, Path(config.data.path))
            let_groups_meet(config)
            self.place, groups = join_group(config.num_groups, config.group, run_dir)
            self.environment = groups or self.environment
            if self.place is not None:
                run_dir = self.place.group_folder
                config.model.seed = group_seed(config.seed_everything, self.place.group)
            # The first process makes the folder, perhaps before another one looks.
            again = config.resume or rejoins()
            if not process_rank() and not again and (run_dir / CONFIG).exists():
                raise InputError(
                    f"{run_dir} holds a run already; go on with '--resume {run_dir}' or choose "
                    "another --run_dir"
                )
            self._checkpoints_folder = run_dir / "checkpoints"
        else:
            if not config.ckpt_path:
                raise InputError(
                    f"{self.subcommand} needs --ckpt_path, such as RUN/checkpoints/best.ckpt"
                )
            self._checkpoints_folder = Path(config.ckpt_path).absolute().parent
            run_dir = self._checkpoints_folder
            # A champion or an ensemble stands in the folder of all trainer groups itself.
            if run_dir.name == "checkpoints":
                run_dir = run_dir.parent
        config.trainer.default_root_dir = str(run_dir)
        config.precision = choose_precision(config.precision, str(config.trainer.accelerator))

    def _run_dir(self, named: str | None, data: Path) -> Path:
        """Choose the run folder: one for all processes of a run.

        Raises:
            InputError: If none is named, and a launcher has started several processes, which
                would each name another.
        """
        if named:
            return Path(named)
        inherited = os.environ.get(RUN_DIR_VARIABLE)
        if inherited:
            return Path(inherited)
        if isinstance(self.environment, SlurmStep):
            return Path("runs") / self.environment.step.run_name(data.name)
        if started_by_launcher():
            raise InputError(
                "several processes were started (torchrun, srun); name the run's folder with "
                "--run_dir, which they share"
            )
        run_dir = new_run_dir(data)
        # The processes that Lightning starts from this one inherit it.
        os.environ[RUN_DIR_VARIABLE] = str(run_dir)
        return run_dir

    def instantiate_classes(self) -> None:
        """Build data, model and trainer.

        Raises:
            InputError: If a value of the configuration does not fit where it stands.
        """
        try:
            super().instantiate_classes()
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(f"the configuration cannot be used: {error}") from error
        if self.place is not None:
            self.datamodule.trainer_group = (self.place.group, self.place.num_groups)
        # Beside the checkpoints that this command writes, or the one that it reads.
        self.datamodule.features_folder = self._checkpoints_folder

    def _instantiate_trainer(
        self, config: dict[str, Any], callbacks: list[pl.Callback]
    ) -> pl.Trainer:
        config["precision"] = self.config[self.subcommand].precision
        plugins = config.get("plugins") or []
        plugins = list(plugins) if isinstance(plugins, list | tuple) else [plugins]
        config["plugins"] = [*plugins, AtomicCheckpointIO()]
        if self.environment is not None:
            config["plugins"].append(self.environment)
        # The best checkpoint comes before the last: what it has just decided is saved with it.
        record = RunRecord(invocation(), self._run_config())
        best, last = self._checkpoints(config)
        always: list[pl.Callback] = [RunProgressBar(), record, MetricsCsv()]
        if self.place is None:
            always.append(RunStatus())
        always += [TestComparison(), best, last, StopOnSignal(last)]
        trainer = super()._instantiate_trainer(config, always)
        assert isinstance(trainer, pl.Trainer)
        return trainer

    def _checkpoints(self, config: dict[str, Any]) -> tuple[BestCheckpoint, LastCheckpoint]:
        command = self.config[self.subcommand]
        folder = str(Path(config["default_root_dir"]) / "checkpoints")
        return BestCheckpoint(folder), LastCheckpoint(command.save_every_n_train_steps)

    def _run_config(self) -> str:
        """Give the configuration for the run folder, for `test` and `fit --resume`."""
        config = self.config[self.subcommand].clone()
        always = ("config", "run_dir", "resume", "ckpt_path", "trainer.default_root_dir", "group")
        for key in always:
            config.pop(key, None)
        parser = self._parser(self.subcommand)
        text: str = parser.dump(config, skip_none=False, skip_validation=True)
        return text

    def fit(self, model: ComboTask, datamodule: ComboDataModule) -> None:
        """Train, from the run's last checkpoint where it is resumed."""
        datamodule.setup("fit")
        self._check_monitors(datamodule)
        last = Path(self.trainer.default_root_dir) / "checkpoints" / LAST
        resume = bool(self.config.fit.resume)
        start = last if resume and last.exists() else None
        if self.place is not None:
            start = resume_point(self.place, resume=resume)
        if resume and start is None:
            logger.info("%s has no checkpoint yet: the fit starts again", last.parent.parent)
        self.trainer.fit(model, datamodule=datamodule, ckpt_path=start and str(start))
        if self.place is not None:
            self._end_population(self.place)
            return
        best = last.with_name(BEST)
        logger.info(
            "next: combo-lightning test --config %s --ckpt_path %s",
            last.parent.parent / CONFIG,
            best,
        )

    def _end_population(self, place: GroupPlace) -> None:
        """Write the champion's and the ensemble's checkpoint, where this group named it."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, LTFB) and callback.champion and self.trainer.is_global_zero:
                write_population(place.folder)

    def _check_monitors(self, datamodule: ComboDataModule) -> None:
        """Refuse to watch what will not be there; Lightning finds out after the first epoch.

        Raises:
            InputError: If a callback watches an unknown score, or one of a part without rows.
        """
        known = ["train_loss", *(f"val_{name}" for name in SCORE_NAMES)]
        for callback in self.trainer.early_stopping_callbacks:
            watched = str(getattr(callback, "monitor", "val_mse"))
            # The name is checked here; a fit that max_steps ends within an epoch has no score.
            callback.strict = False
            if watched not in known:
                raise InputError(
                    f"trainer.callbacks: EarlyStopping monitors '{watched}'"
                    f"{did_you_mean(watched, known)}; there are {', '.join(known)}"
                )
            if watched.startswith("val_") and not len(datamodule.split.validation_rows):
                raise InputError(
                    f"trainer.callbacks: EarlyStopping monitors '{watched}', but there are no "
                    "validation rows; set data.split.validation_fraction above 0, or remove the "
                    "callback with --trainer.callbacks=null"
                )

    def test(self, model: ComboTask, datamodule: ComboDataModule, ckpt_path: str) -> None:
        """Score the test part; `TestComparison` prints the table."""
        self.trainer.test(model, datamodule=datamodule, ckpt_path=ckpt_path, verbose=False)


def start_cli(cli: type[CLI], words: Sequence[str]) -> CLI:
    """Read a command's words, and do what the class makes of them.

    Args:
        cli: The class.
        words: The command and its options.
    """
    return cli(
        ComboTask,
        ComboDataModule,
        save_config_callback=None,
        parser_kwargs={"prog": "combo-lightning"},
        trainer_defaults={
            "logger": False,
            "num_sanity_val_steps": 0,
            "enable_model_summary": False,
        },
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        args=list(words),
    )


def run(command: str, arguments: Sequence[str]) -> int:
    """Run ``fit``, ``validate`` or ``test``.

    Args:
        command: Which one.
        arguments: Its options.

    Returns:
        The exit code.

    Raises:
        InputError: If the input is at fault.
        SaveFailed: If a checkpoint of several processes could not be written.
    """
    # What Lightning says at the start is about itself; its warnings stay.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The first process speaks for all.
    if process_rank():
        logging.getLogger("combo_lightning").setLevel(logging.WARNING)
    # Arrow's own allocator keeps 50 MB of what it freed; training has a better use for them.
    pa.set_memory_pool(pa.system_memory_pool())
    words = list(arguments)
    run_dir = value_of("--resume", words) if command == "fit" else None
    if run_dir is not None:
        if is_finished(Path(run_dir)) and len(words) <= 2:
            logger.info("%s is finished; give a higher --trainer.max_epochs to go on", run_dir)
            return 0
        words = ["--config", str(config_of(Path(run_dir))), *words]
    with warnings.catch_warnings():
        silence_known_warnings(fits=command == "fit")
        try:
            start_cli(ComboCLI, [command, *words])
        except MisconfigurationException as error:
            raise InputError(f"the trainer's options do not fit: {error}") from error
        except StartGroups as groups:
            from combo_lightning.cli.trainer_groups import TrainerGroupRun, local_groups

            words = [command, *arguments]
            started = local_groups(groups.num_groups, groups.folder, words)
            return TrainerGroupRun(started, groups.folder).run()
        except RunStopped as stopped:
            logger.info("%s", stopped)
            return 128 + stopped.signal
        except SaveFailed:
            # All processes know; the first speaks.
            if process_rank():
                return 2
            raise
        finally:
            os.environ.pop(RUN_DIR_VARIABLE, None)
            leave_process_group()
    return 0
