"""What happens to jobs: played on a real cluster, for the tests and for ``scripts.soak``."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.slurm.attempts import ATTEMPTS
from tests.conftest import ROOT
from tests.slurm.breaking import hidden, lost
from tests.slurm.cluster import Cluster, Job

SCRIPTS = ROOT / "scripts" / "slurm"
FIT, LTFB, ARRAY = (SCRIPTS / f"{name}.sbatch" for name in ("fit", "ltfb", "ltfb_array"))
DEMO = f"--config={ROOT / 'configs' / 'demo.yaml'}"
DDP = f"--config={ROOT / 'configs' / 'ddp.yaml'}"
TOURNAMENTS = f"--config={ROOT / 'configs' / 'ltfb.yaml'}"
SMALL = [f"--model.network.{part}.widths=[16,16]" for part in
         ("cell_encoder", "drug_encoder", "head")]  # fmt: skip
SLOW = "--trainer.callbacks+=tests.slurm.slow.Slow"
# Two or three nodes for each event, and others to move to. Slurm itself looks after memory, and
# jobs of the partition `urgent` take the nodes of others.
SETTINGS = {
    "SLURM_CI_NODES": "24",
    "SLURM_CI_EXTRA": """JobAcctGatherParams=OverMemoryKill
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF
PartitionName=spare Nodes=ALL PriorityTier=1 GraceTime=20""",
}
# A job with nodes of its own: what happens to them happens to no other event's.
ALONE = ("--exclusive", "--mem=1500")
STEP_SECONDS = 0.1
PATIENCE = 300.0


@dataclass
class Outcome:
    """How a job has taken an event.

    Args:
        state: State that it ended in.
        exit_code: Exit code of its script.
        restarts: How often Slurm started it again.
        lost_seconds: From the event until training was beyond the step where it struck; None: it
            did not go on.
        text: What the user reads in the job's log.
        run: The run folder.
    """

    state: str
    exit_code: str
    restarts: int
    lost_seconds: float | None
    text: str
    run: Path


@dataclass
class Scene:
    """Where an event is played.

    Args:
        cluster: A cluster with nodes to spare.
        screen: A small data set.
        folder: An empty folder of its own, which all nodes see.
    """

    cluster: Cluster
    screen: Path
    folder: Path

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / "run"

    def options(self, steps: int, *more: str, seconds: float = STEP_SECONDS) -> list[str]:
        """Give the options of a small fit of so many steps, each of which takes some time."""
        return [
            *SMALL, f"--data.path={self.screen}", f"--run_dir={self.run}",
            "--trainer.max_epochs=-1", f"--trainer.max_steps={steps}",
            "--save_every_n_train_steps=10", SLOW, f"--trainer.callbacks.seconds={seconds}", *more,
        ]  # fmt: skip

    def submit_fit(self, steps: int, *more: str, sbatch: tuple[str, ...] = ()) -> Job:
        """Submit a fit of one model on two nodes."""
        words = ["--nodes=2", *ALONE, *sbatch, FIT, DEMO, DDP, *self.options(steps, *more)]
        return self.cluster.submit(self.folder, *words)

    def outcome(self, job: Job, lost_seconds: float | None = None) -> Outcome:
        """Wait for the end."""
        state = job.wait(PATIENCE)
        return Outcome(
            state,
            job.field("ExitCode"),
            int(job.field("Restarts")),
            lost_seconds,
            job.text,
            self.run,
        )

    def strike(
        self, job: Job, at: int, event: Callable[[], None], run: Path | None = None
    ) -> float:
        """Let something happen at a step; give the seconds until training is beyond it again."""
        run = run or self.run
        job.wait_until(lambda: step_of(run) >= at)
        before, struck = step_of(run), time.time()
        event()
        job.wait_until(lambda: goes_on(run, before, struck), PATIENCE)
        return time.time() - struck


def step_of(run: Path, since: float = 0.0) -> int:
    """Read how far a run has come; 0: it has not said so since a time."""
    try:
        status = json.loads((run / "status.json").read_text())
    except (OSError, ValueError):
        return 0
    return int(status["step"]) if status["time"] > since else 0


def attempts(run: Path) -> list[dict[str, Any]]:
    """Read how often a run was started, and why."""
    try:
        found: list[dict[str, Any]] = json.loads((run / ATTEMPTS).read_text())["attempts"]
    except OSError:
        return []
    return found


def goes_on(run: Path, step: int, since: float, group: Path | None = None) -> bool:
    """Tell whether a run was started again since a time, and (a group of it) is beyond a step."""
    began = max((a["began"] for a in attempts(run)), default=0.0)
    return bool(began > since) and step_of(group or run, since=began) > step


def last_step(run: Path) -> int:
    """Read where a run's last checkpoint stands."""
    return int(load_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"])


def told_to_save(scene: Scene) -> Outcome:
    """SIGUSR1 to the steps: what ``--signal`` sends, and a user who wants the job to move on."""
    job = scene.submit_fit(100, "--trainer.callbacks.rank=1")
    signal_steps = ("scancel", "--signal=USR1", job.number)
    return scene.outcome(job, scene.strike(job, 20, lambda: _do(scene, *signal_steps)))


def preempted(scene: Scene) -> Outcome:
    """A job of a better partition takes the nodes."""
    job = scene.submit_fit(100, "--trainer.callbacks.rank=1", sbatch=("--partition=spare",))
    nodes = ",".join(job.nodes_when_running())

    def take() -> None:
        urgent = ("--partition=urgent", f"--nodelist={nodes}", "--nodes=2", "--exclusive")
        scene.cluster.submit(scene.folder, *urgent, "--wrap=sleep 3")

    return scene.outcome(job, scene.strike(job, 20, take))


def time_limit(scene: Scene) -> Outcome:
    """The job's time is over before its training."""
    # A quick machine has done 650 of these steps when its time is nearly over.
    job = scene.submit_fit(850, sbatch=("--time=2",))
    job.wait_until(lambda: "time is nearly over" in job.text, PATIENCE)
    lost = scene.strike(job, 1, lambda: None)
    return scene.outcome(job, lost)


def cancelled(scene: Scene) -> Outcome:
    """The user cancels the job."""
    job = scene.submit_fit(100_000, "--save_every_n_train_steps=0")
    job.wait_until(lambda: step_of(scene.run) >= 5)
    _do(scene, "scancel", job.number)
    outcome = scene.outcome(job)
    time.sleep(2)
    outcome.state = job.field("JobState")
    return outcome


def killed_process(scene: Scene) -> Outcome:
    """A process of the model is killed."""
    job = scene.submit_fit(100)
    return scene.outcome(
        job, scene.strike(job, 20, lambda: os.kill(job.pid(rank=1), signal.SIGKILL))
    )


def out_of_memory(scene: Scene) -> Outcome:
    """A process asks for more memory than the job has."""
    marker = scene.folder / "has grown"
    more = ["--trainer.callbacks+=tests.slurm.slow.Grow", f"--trainer.callbacks.marker={marker}",
            "--trainer.callbacks.step=20"]  # fmt: skip
    job = scene.submit_fit(100, *more)
    # The step itself never ends, so that no status tells of it.
    job.wait_until(marker.exists)
    struck = time.time()
    job.wait_until(lambda: goes_on(scene.run, 20, struck), PATIENCE)
    return scene.outcome(job, time.time() - struck)


def crashed_node(scene: Scene) -> Outcome:
    """A node of the job crashes."""
    return _lost_node(scene, 1, link=False)


def crashed_first_node(scene: Scene) -> Outcome:
    """The node with the batch script crashes."""
    return _lost_node(scene, 0, link=False)


def lost_link(scene: Scene) -> Outcome:
    """A node of the job is cut off."""
    if scene.cluster.net != "netns":
        pytest.skip("the nodes have no network of their own here, and so no link to cut")
    return _lost_node(scene, 1, link=True)


def gets_nowhere(scene: Scene) -> Outcome:
    """A process dies at every start before anything is saved."""
    return scene.outcome(scene.submit_fit(100, "--trainer.callbacks+=tests.slurm.slow.Die"))


def full_disk(scene: Scene) -> Outcome:
    """There is no room for the next checkpoint."""
    scene.run.mkdir()
    idle = scene.cluster.run("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split()[-1]
    with hidden(scene.cluster, idle, scene.run, size="500k"):
        job = scene.cluster.submit(
            scene.folder, "--nodes=1", f"--nodelist={idle}", FIT, DEMO, *scene.options(100)
        )
        return scene.outcome(job)


def group_without_node(scene: Scene) -> Outcome:
    """A node of a tournament crashes, and one comes back."""
    words = [DEMO, TOURNAMENTS, "--trainer.callbacks.every_n_train_steps=10",
             *scene.options(600)]  # fmt: skip
    job = scene.cluster.submit(scene.folder, "--nodes=3", *ALONE, LTFB, *words)
    node, group = job.nodes_when_running()[2], scene.run / "group_2"
    job.wait_until(lambda: step_of(group) >= 25)
    before, struck = step_of(group), time.time()
    with lost(scene.cluster, node, link=False):
        job.wait_until(lambda: f"trainer group 2 has lost {node}" in job.text, PATIENCE)
    job.wait_until(lambda: step_of(group, since=struck + 5) > before, PATIENCE)
    return scene.outcome(job, time.time() - struck)


def tournament_without_first_node(scene: Scene) -> Outcome:
    """The node with a tournament's batch script crashes."""
    words = [DEMO, TOURNAMENTS, "--trainer.callbacks.every_n_train_steps=10",
             *scene.options(300)]  # fmt: skip
    job = scene.cluster.submit(scene.folder, "--nodes=2", *ALONE, LTFB, *words)
    node, group = job.nodes_when_running()[0], scene.run / "group_1"
    job.wait_until(lambda: step_of(group) >= 45)
    before, struck = step_of(group), time.time()
    with lost(scene.cluster, node, link=False):
        job.wait_until(lambda: goes_on(scene.run, before, struck, group), PATIENCE)
        return scene.outcome(job, time.time() - struck)


def killed_group(scene: Scene) -> Outcome:
    """A process of a tournament is killed."""
    words = [DEMO, TOURNAMENTS, "--trainer.callbacks.every_n_train_steps=10",
             *scene.options(500)]  # fmt: skip
    job = scene.cluster.submit(scene.folder, "--nodes=2", *ALONE, LTFB, *words)
    group = scene.run / "group_1"
    job.wait_until(lambda: step_of(group) >= 25)
    before, struck = step_of(group), time.time()
    node = job.nodes()[1]
    os.kill(job.pid(rank=0, node=node), signal.SIGKILL)
    job.wait_until(lambda: step_of(group, since=struck + 1) > before, PATIENCE)
    return scene.outcome(job, time.time() - struck)


def requeued_task(scene: Scene) -> Outcome:
    """A group that is a task of an array is queued again, and another one begins late."""
    words = [DEMO, TOURNAMENTS, "--trainer.callbacks.every_n_train_steps=10",
             *scene.options(800), "--num_groups=3"]  # fmt: skip
    job = scene.cluster.submit(scene.folder, *ALONE, "--array=0-1", ARRAY, *words)
    group = scene.run / "group_1"
    job.wait_until(lambda: step_of(group) >= 25)
    late = scene.cluster.submit(scene.folder, *ALONE, "--array=2", ARRAY, *words)
    lost = scene.strike(
        job, 25, lambda: _do(scene, "scontrol", "requeue", f"{job.number}_1"), group
    )
    outcome = scene.outcome(job, lost)
    late.wait(PATIENCE)
    return outcome


@dataclass(frozen=True)
class Event:
    """Something that happens to a job.

    Args:
        play: Plays it.
        said: What the job's log says of it.
        state: The state in which the job ends.
    """

    play: Callable[[Scene], Outcome]
    said: str
    state: str = "COMPLETED"


_KILLED = "a process was killed (exit code 137; out of memory?); it is queued again"
# What each is called in docs/slurm.md; those that take long come first.
EVENTS = {
    "time limit": Event(time_limit, "the job's time is nearly over: told to save"),
    "tournament: a node crashes": Event(group_without_node, "; a job of its own is queued"),
    "tournament in an array: a task is requeued": Event(requeued_task, "(SLURM_RESTART_COUNT)"),
    "tournament: the first node crashes": Event(
        tournament_without_first_node, "(SLURM_RESTART_COUNT)"
    ),
    "a node crashes": Event(crashed_node, "the run ends on all ranks"),
    "the first node crashes": Event(crashed_first_node, "(SLURM_RESTART_COUNT)"),
    "a node is cut off": Event(lost_link, "(SLURM_RESTART_COUNT)"),
    "preemption": Event(preempted, "stopped by SIGTERM at step"),
    "SIGUSR1": Event(told_to_save, "stopped by SIGUSR1 at step"),
    "a process is killed": Event(killed_process, _KILLED),
    "out of memory": Event(out_of_memory, "; it is queued again"),
    "tournament: a process is killed": Event(killed_group, "ended with code 137; started again"),
    "each start dies at once": Event(gets_nowhere, "has saved nothing (a process was", "FAILED"),
    "scancel": Event(cancelled, "stopped by SIGTERM at step", "CANCELLED"),
    "full disk": Event(full_disk, "No space left on device", "FAILED"),
}


def _lost_node(scene: Scene, index: int, *, link: bool) -> Outcome:
    # A node of a busy machine takes a while to die.
    job = scene.submit_fit(300)
    job.wait_until(lambda: step_of(scene.run) >= 20)
    node, before, struck = job.nodes()[index], step_of(scene.run), time.time()
    with lost(scene.cluster, node, link=link):
        job.wait_until(lambda: goes_on(scene.run, before, struck), PATIENCE)
        return scene.outcome(job, time.time() - struck)


def _do(scene: Scene, *words: str) -> None:
    scene.cluster.run(*words)
