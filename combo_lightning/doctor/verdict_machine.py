"""What the nodes' installs, processors and data sets mean."""

from collections.abc import Mapping

from combo_lightning.doctor.finding import Finding, by_value, differences, listed
from combo_lightning.doctor.machine import DataSeen, Machine


def judge_machines(machines: Mapping[str, Machine]) -> list[Finding]:
    """Compare what machines have installed, and their processors.

    Args:
        machines: By node, or the only one.
    """
    versions = {
        "combo-lightning": by_value(machines, lambda machine: machine.package),
        "torch": by_value(machines, lambda machine: machine.torch),
        "Lightning": by_value(machines, lambda machine: machine.lightning),
        "Python": by_value(machines, lambda machine: machine.python),
    }
    found = [
        Finding(
            f"{what} is not the same on all nodes ({differences(groups)}): use one environment, "
            "on a folder that all see"
        )
        for what, groups in versions.items()
        if len(groups) > 1
    ]
    folders = by_value(machines, lambda machine: machine.folder)
    if len(folders) > 1:
        found.append(
            Finding(
                f"nodes load combo-lightning from different folders ({differences(folders)}): "
                "see that all hold the same files",
                broken=False,
            )
        )
    return [*found, *_judge_programs(machines), *_judge_hardware(machines)]


def _judge_programs(machines: Mapping[str, Machine]) -> list[Finding]:
    without = [name for name, machine in machines.items() if not machine.program]
    if without and len(without) < len(machines):
        return [
            Finding(
                f"there is no combo-lightning on the PATH of {listed(without)}, but on that of "
                "other nodes: install it on a folder that all see"
            )
        ]
    if without:
        return [
            Finding(
                "there is no combo-lightning on the PATH, which the scripts start: activate its "
                "environment before sbatch, or in the scripts' block for the site",
                broken=False,
            )
        ]
    return []


def _judge_hardware(machines: Mapping[str, Machine]) -> list[Finding]:
    found = []
    picks = by_value(machines, lambda machine: machine.precision)
    if len(picks) > 1:
        found.append(
            Finding(
                f"--precision auto differs between nodes ({differences(picks)}): give --precision "
                "32-true, or ask for nodes that are alike with sbatch --constraint"
            )
        )
    gpus = by_value(machines, lambda machine: f"{len(machine.gpus)}")
    if len(gpus) > 1:
        found.append(
            Finding(
                f"torch does not see as many GPUs on all nodes ({differences(gpus)}): ask for "
                "as many with sbatch --gpus-per-node, and see nvidia-smi there"
            )
        )
    found += [
        Finding(
            f"OMP_NUM_THREADS is {machine.threads} on {name}, where a task may use "
            f"{machine.num_cores} processors ({machine.cores}): ask for as many with "
            "--cpus-per-task",
            broken=False,
        )
        for name, machine in machines.items()
        if machine.threads.isdecimal() and int(machine.threads) > machine.num_cores
    ]
    return found


def judge_data(data: Mapping[str, DataSeen]) -> list[Finding]:
    """Compare the data set that nodes see.

    Args:
        data: By node, or of the only one.
    """
    found = [
        Finding(f"{listed(names)} cannot read the data set: {error}")
        for error, names in by_value(data, lambda seen: seen.error).items()
        if error
    ]
    prints = by_value(data, lambda seen: seen.fingerprint[:16])
    prints.pop("", None)
    if len(prints) > 1:
        found.append(
            Finding(
                f"the data set is not the same on all nodes (fingerprint {differences(prints)}): "
                "put one copy where all see it"
            )
        )
    return found
