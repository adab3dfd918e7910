"""How the allocation and the configuration become one."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from combo_lightning.cli.slurm_step import enter_step
from combo_lightning.cli.words import value_of
from combo_lightning.errors import InputError
from combo_lightning.slurm.environment import SlurmStep
from combo_lightning.slurm.rendezvous import tell_port
from tests.slurm.test_step import SRUN

LAUNCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")


@pytest.fixture
def in_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the port that the batch script has set, where the step's first process tells of it."""
    for name in LAUNCH:
        # Set first, so that what the step sets goes away with the test.
        monkeypatch.setenv(name, "")
    for name, value in SRUN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MASTER_PORT", str(port))
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(tell_port, "17.3.0", 4, 2.0, fixed=port)
        yield port
        # Ranks 1 and 2 never come.
        assert isinstance(told.exception(), InputError)


def configuration(**trainer: Any) -> Any:
    config: dict[str, Any] = {"num_nodes": 1, "devices": 2, "strategy": "an overlay's", **trainer}

    class Trainer(dict[str, Any]):
        @property
        def strategy(self) -> Any:
            return self["strategy"]

    return SimpleNamespace(num_groups=1, group=None, trainer=Trainer(config))


def test_the_allocation_sets_nodes_and_devices_over_the_files(in_step: int) -> None:
    config = configuration(devices=8)
    environment = enter_step(config, ["fit", "--config=configs/ddp.yaml"])
    assert (config.trainer["num_nodes"], config.trainer["devices"]) == (2, 2)
    assert isinstance(environment, SlurmStep)
    assert (environment.main_address, environment.main_port) == ("127.0.0.1", in_step)
    assert environment.global_rank() == 3
    environment.validate_settings(2, 2)
    with pytest.raises(InputError, match="has 4 tasks"):
        environment.validate_settings(2, 1)


@pytest.mark.usefixtures("in_step")
def test_an_option_that_disagrees_is_refused_and_one_that_agrees_is_not() -> None:
    with pytest.raises(InputError, match=r"--trainer.num_nodes is 4, but .* gives 2"):
        enter_step(configuration(), ["fit", "--trainer.num_nodes", "4"])
    enter_step(configuration(), ["fit", "--trainer.num_nodes=2", "--trainer.devices=auto"])


@pytest.mark.usefixtures("in_step")
def test_several_processes_without_an_overlay_are_refused() -> None:
    with pytest.raises(InputError, match=r"4 processes would train.*ddp.yaml"):
        enter_step(configuration(strategy="auto"), ["fit"])


@pytest.mark.usefixtures("in_step")
def test_one_task_of_an_allocation_starts_processes_as_a_workstation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    config = configuration()
    assert isinstance(enter_step(config, ["fit"]), LightningEnvironment)
    assert config.trainer["devices"] == 2
    for name in SRUN:
        monkeypatch.delenv(name)
    assert enter_step(config, ["fit"]) is None


def test_the_last_value_of_an_option_counts() -> None:
    words = ["--a", "1", "--ab=2", "--a=3"]
    assert value_of("--a", words) == "3"
    assert value_of("--b", words) is None
