"""What a user should set, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from combo_lightning.doctor.examination import Examination
from combo_lightning.doctor.finding import by_value
from combo_lightning.doctor.machine import Machine
from combo_lightning.slurm.step import tasks_of_nodes


@dataclass(frozen=True)
class Setting:
    """Something to set.

    Args:
        what: As it is written.
        why: What it is for.
    """

    what: str
    why: str


@dataclass(frozen=True)
class Request:
    """What a job asked for.

    Args:
        cores: Processors of the job on its first node.
        tasks: Tasks that it asked for on each node.
        cores_per_task: Processors that a task asked for.
    """

    cores: int
    tasks: int
    cores_per_task: int


def read_request(environment: Mapping[str, str]) -> Request:
    """Read what Slurm tells a batch script of its job.

    Args:
        environment: The script's variables.
    """
    return Request(
        cores=tasks_of_nodes(environment.get("SLURM_JOB_CPUS_PER_NODE", "1"))[0],
        # Not SLURM_TASKS_PER_NODE: where nobody asked, that is as many as there are processors.
        tasks=int(environment.get("SLURM_NTASKS_PER_NODE", "1")),
        cores_per_task=int(environment.get("SLURM_CPUS_PER_TASK", "1")),
    )


def settings_of_machine(machine: Machine) -> list[Setting]:
    """Say what to set on a workstation."""
    if machine.threads or machine.num_cores < 2:
        return []
    return [
        Setting(
            "export OMP_NUM_THREADS=1",
            f"only where several processes share the {machine.num_cores} processors (overlays, "
            "tournaments): divide those by the processes",
        )
    ]


def settings_of_job(found: Examination, request: Request) -> list[Setting]:
    """Say what to set in jobs on such nodes.

    Args:
        found: What the nodes answered.
        request: What the job asked for.
    """
    settings = [*_interfaces(found), *_threads(found, request)]
    if len(by_value(found.machines, lambda machine: machine.precision)) > 1:
        settings.append(Setting("--precision 32-true", "auto would not be the same on all nodes"))
    return settings


def _threads(found: Examination, request: Request) -> list[Setting]:
    settings = []
    each = request.cores // request.tasks
    if each > request.cores_per_task:
        settings.append(
            Setting(
                f"sbatch --cpus-per-task={each}",
                f"a node's {request.cores} processors for this job, over {request.tasks} tasks; "
                f"now {request.cores_per_task} each",
            )
        )
    threads = {machine.threads for machine in found.machines.values()}
    wanted = str(max(each, request.cores_per_task))
    if threads and threads != {wanted}:
        said = ", ".join(sorted(value or "not set" for value in threads))
        settings.append(
            Setting(
                f"export OMP_NUM_THREADS={wanted}",
                f"a thread for each processor of a task (here: {said}); scripts/slurm set it from "
                "--cpus-per-task",
            )
        )
    return settings


def _interfaces(found: Examination) -> list[Setting]:
    """Name the interface for gloo and NCCL: a faster one, or where own names mislead."""
    taken = [
        {i: place.megabits.get(i, 0) for i, a in place.addresses.items() if a == reached.address}
        for name, place in found.places.items()
        for others in found.reached.values()
        if (reached := others.get(name)) is not None
    ]
    used = {i for one in taken for i in one}
    if len(used) != 1:
        return []
    (interface,) = used
    common = set.intersection(*(set(found.own_addresses(name)) for name in found.places))
    rates = {i: min(place.megabits.get(i, 0) for place in found.places.values()) for i in common}
    best = max(rates, key=lambda i: (rates[i], i == interface), default=interface)
    misled = [name for name in found.places if not found.announces_well(name)]
    if rates.get(best, 0) > rates.get(interface, 0) > 0:
        why = f"{best} has {rates[best] / 1000:g} Gbit/s on all nodes, {interface}, whose "
        why += f"addresses the names have, {rates[interface] / 1000:g}"
    elif misled and interface in common:
        best, why = interface, f"what {', '.join(misled)} would announce does not lead there"
    else:
        return []
    variables = ["GLOO_SOCKET_IFNAME"]
    if any(machine.gpus for machine in found.machines.values()):
        variables.append("NCCL_SOCKET_IFNAME")
    return [Setting(f"export {name}={best}", why) for name in variables]
