"""What healthy nodes answer; tests break one thing of it."""

from itertools import combinations

from combo_lightning.doctor.examination import Examination, Speed
from combo_lightning.doctor.folder import RACES, Folder, Swapped
from combo_lightning.doctor.machine import DataSeen, Machine
from combo_lightning.doctor.names import Place, Reached

# One where processes meet, and one that the system gives out.
DOORS = [20_000, 40_000]


def address(name: str) -> str:
    """Give a node's address: node3 has 10.0.0.3."""
    return f"10.0.0.{name.removeprefix('node')}"


def machine() -> Machine:
    """What a node has."""
    return Machine(
        package="0.1.0",
        folder="/shared/combo_lightning",
        python="3.11.7",
        torch="2.13.0",
        lightning="2.6.6",
        program="/shared/bin/combo-lightning",
        processor="AMD EPYC: avx512f avx512_bf16",
        precision="bf16-mixed",
        unit="avx512_bf16",
        cores="0-7",
        num_cores=8,
        all_cores=64,
        threads="8",
        gpus=[],
    )


def place(name: str) -> Place:
    """Where a node is."""
    addresses = {"lo": "127.0.0.1", "eth0": address(name)}
    return Place(name, address(name), addresses, "", {"eth0": 10_000}, DOORS)


def reached(name: str) -> Reached:
    """What is found under a node's name."""
    return Reached(address(name), "", dict.fromkeys(DOORS, name))


def healthy(*names: str) -> Examination:
    """What healthy nodes answer."""
    first, *others = names
    return Examination(
        nodes=list(names),
        places={name: place(name) for name in names},
        clocks=dict.fromkeys(names, (0.001, 0.001)),
        machines={name: machine() for name in names},
        data=dict.fromkeys(names, DataSeen("ab" * 32, 12.5, "")),
        reached={
            name: {other: reached(other) for other in names if other != name} for name in names
        },
        met=dict.fromkeys(names, (41_000, 0.2)),
        whole=Speed(0.0002, 0.01),
        pairs=dict.fromkeys(combinations(names, 2), Speed(0.0001, 0.008)),
        folders=dict.fromkeys(names, Folder("nfs4 at /shared", 900.0, "")),
        notes={name: list(names) for name in names},
        balls=dict.fromkeys(others, 0.002),
        races={name: list(range(RACES)) if name == first else [] for name in names},
        swaps=dict.fromkeys(names, Swapped(0, 0, 50, "")),
    )
