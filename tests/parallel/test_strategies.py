"""Layouts that cannot work are refused before training starts, with what to set."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from combo_lightning.errors import InputError
from combo_lightning.model import (
    ComboModel,
    EncoderConfig,
    HeadConfig,
    InputSizes,
    NetworkConfig,
)
from combo_lightning.parallel.processes import refuse_fsdp1, started_by_launcher
from combo_lightning.parallel.strategies import MeshParallel
from combo_lightning.parallel.tensor import cut_network, input_range
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("options", "processes", "shape"),
    [
        ({}, 4, (1, 4, 1)),
        ({"replicas": 2}, 4, (2, 2, 1)),
        ({"tensor_parallel_size": 2}, 8, (1, 4, 2)),
        ({"replicas": 2, "shards": 2, "tensor_parallel_size": 2}, 8, (2, 2, 2)),
    ],
)
def test_processes_are_laid_out_as_a_mesh(
    options: dict[str, Any], processes: int, shape: tuple[int, int, int]
) -> None:
    assert MeshParallel(**options).mesh_shape(processes) == shape


def test_a_mesh_that_does_not_multiply_out_is_refused_with_the_numbers() -> None:
    strategy = MeshParallel(replicas=2, shards=2, tensor_parallel_size=2)
    with pytest.raises(InputError, match=r"2 x shards 2 x tensor_parallel_size 2 is 8, but .* 6"):
        strategy.mesh_shape(6)
    with pytest.raises(InputError, match=r"shards 1 x tensor_parallel_size 4 is 4, but .* 2 proc"):
        MeshParallel(tensor_parallel_size=4).mesh_shape(2)


@pytest.mark.parametrize("name", ["replicas", "shards", "tensor_parallel_size"])
def test_sizes_below_one_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is 0"):
        MeshParallel(**{name: 0})


@pytest.mark.parametrize(
    ("widths", "where"),
    [
        ({"cell_encoder": [16, 16, 15]}, r"cell_encoder.widths\[2\] is 15"),
        ({"drug_encoder": [9, 16]}, r"drug_encoder.widths\[0\] is 9"),
        ({"head": [16, 10, 8]}, r"head.widths\[1\] is 10"),
    ],
)
def test_widths_that_do_not_divide_are_named(widths: dict[str, list[int]], where: str) -> None:
    parts: dict[str, Any] = {
        "cell_encoder": EncoderConfig(widths=widths.get("cell_encoder", [16])),
        "drug_encoder": EncoderConfig(widths=widths.get("drug_encoder", [16])),
        "head": HeadConfig(widths=widths.get("head", [16])),
    }
    network = ComboModel(NetworkConfig(**parts), InputSizes(4, 6, 3, 5, 2))
    mesh: Any = SimpleNamespace(size=lambda: 4, get_local_rank=lambda: 0, get_group=lambda: None)
    with pytest.raises(InputError, match=f"model.network.{where}"):
        _cut_without_processes(network, mesh)


def _cut_without_processes(network: ComboModel, mesh: Any) -> None:
    """Cut a network; the parts themselves need real processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "combo_lightning.parallel.tensor._cut",
            lambda whole, mesh, dim: torch.nn.Parameter(whole.detach()),
        )
        cut_network(network, mesh)


def test_many_features_are_cut_into_ranges_that_follow_on_each_other() -> None:
    assert input_range(3829, 1, 2) == (0, 3829)
    ranges = [input_range(20_001, rank, 4) for rank in range(4)]
    assert [stop - start for start, stop in ranges] == [5001, 5001, 5001, 4998]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 20_001


@pytest.mark.parametrize("strategy", ["fsdp", "fsdp_cpu_offload", "lightning.FSDPStrategy"])
def test_the_first_fsdp_is_refused(strategy: str) -> None:
    with pytest.raises(InputError, match=r"configs/fsdp.yaml"):
        refuse_fsdp1(strategy)
    refuse_fsdp1("auto")


def test_a_launcher_is_told_from_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("LOCAL_RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert not started_by_launcher()
    monkeypatch.setenv("SLURM_NTASKS", "4")  # in an allocation, not in a step
    assert not started_by_launcher()
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert started_by_launcher()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")  # srun --pty bash in that allocation
    assert not started_by_launcher()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overlay", "options", "variables", "message"),
    [
        (
            "hsdp",
            ["--trainer.devices=3"],
            {},
            "replicas 2 x shards 1 x tensor_parallel_size 1 is 2",
        ),
        ("tensor_parallel", ["--model.network.head.widths=[16,15]"], {}, r"head.widths[1] is 15"),
        ("fsdp", ["--precision=64-true"], {}, "precision"),
        ("ddp", [], {"LOCAL_RANK": "0", "WORLD_SIZE": "2"}, "--run_dir"),
    ],
)
def test_a_fit_that_cannot_be_laid_out_is_one_sentence(
    overlay: str,
    options: list[str],
    variables: dict[str, str],
    message: str,
    small_screen: Path,
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "combo_lightning", "fit"),
            *(f"--config={ROOT / 'configs' / 'combo.yaml'}",),
            *(f"--config={ROOT / 'configs' / overlay}.yaml", f"--data.path={small_screen}"),
            *(f"--model.network.{part}_encoder.widths=[16]" for part in ("cell", "drug")),
            *("--model.network.head.widths=[16,16]", *options),
        ],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
