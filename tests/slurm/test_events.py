"""Jobs that are told to save, lose processes and nodes, and go on.

Several events are played at once, on a cluster with nodes to spare: most of the time is waiting.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.ltfb.record import read_rounds
from tests.slurm.conftest import started
from tests.slurm.events import EVENTS, SETTINGS, Outcome, Scene, attempts, last_step

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]

AT_ONCE = 5
GO_ON = [
    "preemption",
    "SIGUSR1",
    "time limit",
    "a process is killed",
    "out of memory",
    "a node crashes",
    "the first node crashes",
    "a node is cut off",
]

SAME_BITS = ["preemption", "SIGUSR1", "a process is killed", "out of memory"]


@pytest.fixture(scope="module")
def played(
    small_screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, "Future[Outcome]"]]:
    """All events, and a fit to which nothing happens."""
    root = tmp_path_factory.mktemp("events")
    with started(**SETTINGS) as cluster, ThreadPoolExecutor(AT_ONCE) as pool:
        scenes = {
            name: Scene(cluster, small_screen, root / str(i)) for i, name in enumerate(EVENTS)
        }
        quiet = Scene(cluster, small_screen, root / "quiet")
        for scene in (*scenes.values(), quiet):
            scene.folder.mkdir()
        found = {name: pool.submit(EVENTS[name].play, scene) for name, scene in scenes.items()}
        found["nothing"] = pool.submit(lambda: quiet.outcome(quiet.submit_fit(100)))
        yield found


@pytest.mark.parametrize("event", GO_ON)
def test_a_model_goes_on_after(event: str, played: dict[str, "Future[Outcome]"]) -> None:
    outcome = played[event].result()
    assert (outcome.state, outcome.exit_code) == ("COMPLETED", "0:0"), outcome.text
    assert outcome.restarts >= 1
    assert f"restart {outcome.restarts} (SLURM_RESTART_COUNT)" in outcome.text
    assert "goes on from" in outcome.text
    assert attempts(outcome.run)[-1]["why"] == "finished"
    assert outcome.lost_seconds is not None


@pytest.mark.parametrize(
    "event", ["preemption", "SIGUSR1", "a process is killed", "out of memory"]
)
def test_the_weights_are_those_of_an_uninterrupted_run_after(
    event: str, played: dict[str, "Future[Outcome]"]
) -> None:
    run, quiet = played[event].result().run, played["nothing"].result().run
    a, b = (load_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (run, quiet))
    assert a["global_step"] == b["global_step"] == 100
    for name, weight in a["state_dict"].items():
        assert torch.equal(weight, b["state_dict"][name]), name
    # No line is there twice, and none is missing.
    assert (run / "metrics.csv").read_text() == (quiet / "metrics.csv").read_text()


def test_a_lost_node_is_left_alone(played: dict[str, "Future[Outcome]"]) -> None:
    first, second = attempts(played["a node crashes"].result().run)
    lost = first["nodes"].split(",")[1]
    assert lost not in second["nodes"].split(",")


@pytest.mark.parametrize("event", EVENTS)
def test_the_log_says_what_has_happened(event: str, played: dict[str, "Future[Outcome]"]) -> None:
    outcome = played[event].result()
    assert outcome.state == EVENTS[event].state
    assert EVENTS[event].said in outcome.text
    assert "Traceback" not in outcome.text


def test_a_cancelled_fit_has_saved_and_is_not_brought_back(
    played: dict[str, "Future[Outcome]"],
) -> None:
    outcome = played["scancel"].result()
    assert (outcome.state, outcome.restarts) == ("CANCELLED", 0), outcome.text
    assert last_step(outcome.run) >= 5


def test_a_job_that_gets_nowhere_stops(played: dict[str, "Future[Outcome]"]) -> None:
    outcome = played["each start dies at once"].result()
    assert (outcome.state, outcome.restarts) == ("FAILED", 1), outcome.text
    assert outcome.exit_code != "0:0"


def test_a_full_disk_ends_the_job(played: dict[str, "Future[Outcome]"]) -> None:
    outcome = played["full disk"].result()
    assert (outcome.state, outcome.exit_code, outcome.restarts) == ("FAILED", "2:0", 0)


@pytest.mark.parametrize(
    "event",
    [
        "tournament: a node crashes",
        "tournament: the first node crashes",
        "tournament: a process is killed",
        "tournament in an array: a task is requeued",
    ],
)
def test_a_tournament_names_its_champion_after(
    event: str, played: dict[str, "Future[Outcome]"]
) -> None:
    outcome = played[event].result()
    assert (outcome.state, outcome.exit_code) == ("COMPLETED", "0:0"), outcome.text
    assert (outcome.run / "champion.ckpt").is_file()
    rounds = read_rounds(outcome.run)
    groups = {group for _, group in rounds}
    newest = max(number for number, _ in rounds)
    # All groups meet others in the second half, the lost one and the late one too.
    late = {
        group for (number, group), record in rounds.items() if number > newest / 2 and record.met
    }
    assert late == groups
