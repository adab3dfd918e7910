"""What a training step costs: arithmetic, memory, small operations, latency, bytes on the wire.

seconds = flop / (rate of the rank's cores) + ranks on the host x bytes / bandwidth of its memory
        + small operations x share of a core + messages x latency + bytes / bandwidth of the link

Two things no data sheet tells are fitted too: the part of the products that a second thread does
not speed up, and how often a message over TCP waits for the link, whose window opens a round trip
at a time. It is linear in 1 / rate, 1 / bandwidth and so on, which are fitted by least squares of
relative errors with no negative term.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

TERMS = (
    "fp32 flop",
    "bf16 flop",
    "fp32 flop one thread does",
    "bf16 flop one thread does",
    "bytes of memory",
    "small operations",
    "messages",
    "bytes on this host",
    "further latencies a message",
    "further bytes on the link",
)

# The published network: widths, and weights.
CELL_FEATURES, DRUG_FEATURES, WIDTH, WEIGHTS = 921, 3829, 1000, 13_760_001
CELLS, DRUGS = 60, 104


@dataclass(frozen=True)
class Setting:
    """A training step somewhere.

    Args:
        mode: "per_sample" or "per_entity".
        bf16: Whether products take bf16 inputs.
        batch: Rows of all ranks.
        ranks: Data-parallel processes.
        threads: Threads of each.
        cores: Cores of each host; 0: one accelerator a rank.
        ranks_a_host: Ranks that share a host's cores and memory.
        delay_seconds: Latency of the link beyond this host's own.
        link_bytes: Bandwidth of the link; 0: this host's own.
    """

    mode: str
    bf16: bool
    batch: int
    ranks: int
    threads: int = 1
    cores: int = 2
    ranks_a_host: int = 1
    delay_seconds: float = 0.0
    link_bytes: float = 0.0

    @property
    def name(self) -> str:
        """Name it in a table."""
        kind = f"{self.mode} {'bf16' if self.bf16 else 'fp32'}"
        link = f", +{1e3 * self.delay_seconds:g} ms" if self.delay_seconds else ""
        return f"{kind}, batch {self.batch:,}, {self.ranks} x {self.threads}{link}"


def flop(setting: Setting) -> float:
    """Count the products of a rank: its rows, and its share of the entities."""
    rows, share = setting.batch / setting.ranks, 1 / setting.ranks
    first = share * (CELLS * CELL_FEATURES + DRUGS * DRUG_FEATURES)
    entities = share * (CELLS * 3 + DRUGS * 4)
    inner = rows * 2 + (entities if setting.mode == "per_entity" else rows * (2 + 4 + 3))
    return 2.0 * WIDTH * (2 * first + 3 * inner * WIDTH)


def memory_bytes(setting: Setting) -> float:
    """Count what a step moves of the weights: Adam's seven passes, and the casts to bf16."""
    return WEIGHTS * (28.0 + (12.0 if setting.bf16 else 0.0))


def messages(setting: Setting) -> tuple[float, float]:
    """Count a step's messages one after the other, and the bytes of a rank's line.

    Gradients: one all-reduce, as a ring or (many ranks) as a tree. Entities: an all-gather and a
    reduce-scatter each for cell lines and for the drugs in both slots (per_sample: two of each).
    """
    p = setting.ranks
    if p == 1:
        return 0.0, 0.0
    steps = min(2.0 * (p - 1), 2.0 * math.ceil(math.log2(p)))
    gathers = 3 if setting.mode == "per_entity" else 2
    rows = CELLS + DRUGS * (gathers - 1)
    size = rows * WIDTH
    wide = 2 if setting.bf16 else 4
    share = (p - 1) / p
    # gloo's reduce-scatter is an all-reduce.
    count = steps + gathers * (steps / 2 + steps)
    sent = 2 * share * 4.0 * WEIGHTS + share * size * wide + 2 * share * size * 4
    return count, sent


def terms(setting: Setting) -> list[float]:
    """Give the terms of the model, in the order of `TERMS`."""
    crowding = 1.0
    if setting.cores:
        crowding = max(1.0, setting.ranks_a_host * setting.threads / setting.cores)
    work = flop(setting) / setting.threads * crowding
    # What further threads leave to one.
    serial = flop(setting) * (1 - 1 / setting.threads)
    count, sent = messages(setting)
    return [
        0.0 if setting.bf16 else work,
        work if setting.bf16 else 0.0,
        0.0 if setting.bf16 else serial,
        serial if setting.bf16 else 0.0,
        memory_bytes(setting) * setting.ranks_a_host,
        crowding,
        count,
        # Without a link of its own every byte passes the host's processors.
        0.0 if setting.link_bytes else sent * setting.ranks_a_host,
        # Beyond what `of_link` counts: waiting for TCP's window, and its overhead a byte.
        count * setting.delay_seconds,
        sent / setting.link_bytes if setting.link_bytes else 0.0,
    ]


def of_link(setting: Setting) -> float:
    """Give the seconds of a link whose latency and bandwidth are known."""
    count, sent = messages(setting)
    wire = sent / setting.link_bytes if setting.link_bytes else 0.0
    return count * setting.delay_seconds + wire


@dataclass(frozen=True)
class CostModel:
    """Fitted costs in seconds, in the order of `terms`."""

    costs: tuple[float, ...]

    @classmethod
    def fit(cls, settings: Sequence[Setting], seconds: Sequence[float]) -> "CostModel":
        """Fit to measured steps."""
        known = np.array([of_link(s) for s in settings])
        measured = np.asarray(seconds)
        design = np.array([terms(s) for s in settings])
        # Columns of like size; rows weigh their relative error.
        size = np.maximum(design.max(axis=0), 1e-30)
        found, _ = nnls(design / size / measured[:, None], (measured - known) / measured)
        return cls(tuple(found / size))

    def predict(self, setting: Setting) -> float:
        """Give the seconds of a step."""
        return float(np.dot(self.costs, terms(setting))) + of_link(setting)


@dataclass(frozen=True)
class Machine:
    """An accelerator by its data sheet; assumptions, not measurements.

    Args:
        name: Its name.
        flops: Rate in bf16 that these products reach: 40 % of the peak.
        flops_fp32: The same in fp32 (TF32 on tensor cores).
        memory: Bandwidth of its memory, bytes a second.
        operations: Seconds of a step's small operations.
    """

    name: str
    flops: float
    flops_fp32: float
    memory: float
    operations: float

    def seconds(self, setting: Setting) -> float:
        """Give the seconds of a step."""
        rate = self.flops if setting.bf16 else self.flops_fp32
        own = flop(setting) / rate + memory_bytes(setting) / self.memory
        return own + self.operations + of_link(setting)


# name: (latency in seconds, bytes a second of a rank).
NETWORKS = {
    "1 GbE": (50e-6, 0.117e9),
    "10 GbE": (20e-6, 1.17e9),
    "100 GbE (RoCE)": (5e-6, 11.5e9),
    "InfiniBand NDR": (2e-6, 45e9),
}
MACHINES = (
    Machine("A100 (312 TFLOP/s)", 0.4 * 312e12, 0.4 * 156e12, 1.5e12, 1.2e-3),
    Machine("H100 (989 TFLOP/s)", 0.4 * 989e12, 0.4 * 495e12, 3.3e12, 0.8e-3),
)
