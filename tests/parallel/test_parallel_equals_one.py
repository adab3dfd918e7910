"""Each layout against one process: the same losses, weights, rows and scores."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.parallel.ranks import Run, assert_scores_equal, fit, run_on_ranks

pytestmark = pytest.mark.slow

LAYOUTS = [("ddp", 2), ("ddp", 3), ("fsdp", 2), ("hsdp", 4), ("tp", 2), ("tp_fsdp", 4)]
# fp32, sums in another order, over 20 steps of Adam.
FP32 = 2e-5
FP64 = 1e-10

OneProcess = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> OneProcess:
    """Run once for each setting on one process."""
    known: dict[str, dict[str, Any]] = {}

    def get(run: Run) -> dict[str, Any]:
        key = repr(run.on("one", 1, Path()))
        if key not in known:
            folder = tmp_path_factory.mktemp("one")
            (known[key],) = run_on_ranks(1, folder, fit, run.on("one", 1, folder))
        return known[key]

    return get


def assert_equals(ranks: list[dict[str, Any]], one: dict[str, Any], tolerance: float) -> None:
    for rank in ranks:
        assert rank["losses"] == pytest.approx(one["losses"], rel=tolerance, abs=tolerance)
        assert rank["weights"].keys() == one["weights"].keys()
        for name, weight in one["weights"].items():
            torch.testing.assert_close(
                rank["weights"][name], weight, rtol=tolerance, atol=tolerance, msg=name
            )


@pytest.mark.parametrize(("layout", "world"), LAYOUTS)
@pytest.mark.parametrize(
    ("dropout", "mode"), [(0.0, "per_entity"), (0.1, "per_entity"), (0.1, "per_sample")]
)
def test_twenty_steps_equal_those_of_one_process(
    layout: str,
    world: int,
    dropout: float,
    mode: str,
    small_screen: Path,
    one_process: OneProcess,
    tmp_path: Path,
) -> None:
    network = {"dropout": dropout, "mode": mode}
    run = Run(str(small_screen), layout, world, 20, str(tmp_path), network)
    ranks = run_on_ranks(world, tmp_path, fit, run)
    assert_equals(ranks, one_process(run), FP32)


@pytest.mark.parametrize(("dropout", "mode"), [(0.0, "per_entity"), (0.1, "per_sample")])
def test_data_parallel_in_fp64_equals_one_process(
    dropout: float, mode: str, small_screen: Path, one_process: OneProcess, tmp_path: Path
) -> None:
    network = {"dropout": dropout, "mode": mode}
    run = Run(str(small_screen), "ddp", 2, 20, str(tmp_path), network, precision="64-true")
    assert_equals(run_on_ranks(2, tmp_path, fit, run), one_process(run), FP64)


ALL_TERMS = {
    "join": "slots",
    "drug_drug_rank": 4,
    "cell_drug_rank": 4,
    "table_rank": 4,
    "activation": "silu",
    "dropout": 0.1,
}


@pytest.mark.parametrize(("layout", "world"), LAYOUTS)
def test_products_tables_clipping_and_a_schedule_equal_one_process(
    layout: str, world: int, small_screen: Path, one_process: OneProcess, tmp_path: Path
) -> None:
    optimizer = {
        "name": "adamw",
        "schedule": "warmup_cosine",
        "weight_decay": 0.01,
        "table_weight_decay": 1.0,
    }
    run = Run(str(small_screen), layout, world, 20, str(tmp_path), ALL_TERMS, optimizer, clip=0.05)
    assert_equals(run_on_ranks(world, tmp_path, fit, run), one_process(run), FP32)


@pytest.mark.parametrize(("layout", "world"), [("ddp", 2), ("fsdp", 2), ("tp_fsdp", 4)])
def test_the_vectors_of_studies_equal_those_of_one_process(
    layout: str, world: int, merged_studies: Path, one_process: OneProcess, tmp_path: Path
) -> None:
    network = {"dropout": 0.1, "mode": "per_sample", "study_embedding": 4}
    run = Run(str(merged_studies), layout, world, 20, str(tmp_path), network)
    ranks = run_on_ranks(world, tmp_path, fit, run)
    assert_equals(ranks, one_process(run), FP32)
    assert one_process(run)["weights"]["network.study.weight"].all()


@pytest.mark.parametrize(("layout", "world"), [("ddp", 4), ("fsdp", 2), ("tp_fsdp", 4)])
def test_the_rows_of_all_processes_are_the_batch_each_once(
    layout: str, world: int, small_screen: Path, one_process: OneProcess, tmp_path: Path
) -> None:
    # 786 training rows in batches of 70: the last one has 16, or 4 a process.
    run = Run(str(small_screen), layout, world, 24, str(tmp_path), batch_size=70)
    ranks = run_on_ranks(world, tmp_path, fit, run)
    if layout == "tp_fsdp":
        # Both processes of a tensor-parallel pair see the same rows.
        for first, second in ((0, 1), (2, 3)):
            for a, b in zip(ranks[first]["rows"], ranks[second]["rows"], strict=True):
                assert torch.equal(a, b)
        ranks = ranks[::2]
    one = one_process(run)["rows"]
    for step, whole in enumerate(one):
        shares = torch.cat([rank["rows"][step] for rank in ranks])
        assert torch.equal(shares, whole)
    epoch = torch.cat(one[:12])
    assert len(epoch.unique(dim=0)) == len(epoch)


@pytest.mark.parametrize(("layout", "world"), LAYOUTS)
def test_validation_scores_equal_those_of_one_process(
    layout: str, world: int, small_screen: Path, one_process: OneProcess, tmp_path: Path
) -> None:
    # An epoch and more, so that a validation has run; its 218 rows divide by none of the worlds.
    run = Run(str(small_screen), layout, world, 14, str(tmp_path))
    one = one_process(run)["scores"]
    assert "val_spearman" in one
    for rank in run_on_ranks(world, tmp_path, fit, run):
        assert_scores_equal(rank["scores"], one, 1e-5)


@pytest.mark.parametrize(("layout", "world"), [("ddp", 3), ("fsdp", 2), ("tp_fsdp", 4)])
def test_tables_spread_over_processes_equal_whole_ones(
    layout: str, world: int, small_screen: Path, one_process: OneProcess, tmp_path: Path
) -> None:
    run = Run(str(small_screen), layout, world, 14, str(tmp_path), ALL_TERMS, spread_from=4)
    one = one_process(replace(run, spread_from=8192))
    ranks = run_on_ranks(world, tmp_path, fit, run)
    assert_equals(ranks, one, FP32)
    for rank in ranks:
        assert_scores_equal(rank["scores"], one["scores"], 1e-5)


@pytest.mark.parametrize(("layout", "world"), [("tp", 2), ("tp_fsdp", 4)])
@pytest.mark.parametrize("mode", ["per_entity", "per_sample"])
def test_inputs_cut_by_features_equal_whole_ones(
    layout: str,
    world: int,
    mode: str,
    small_screen: Path,
    one_process: OneProcess,
    tmp_path: Path,
) -> None:
    network = {"dropout": 0.1, "mode": mode}
    run = Run(str(small_screen), layout, world, 14, str(tmp_path), network, wide_from=10)
    ranks = run_on_ranks(world, tmp_path, fit, run)
    assert_equals(ranks, one_process(replace(run, wide_from=20_000)), FP32)


@pytest.mark.parametrize(("layout", "world"), [("ddp", 2), ("tp_fsdp", 4)])
def test_the_same_run_twice_gives_the_same_bits(
    layout: str, world: int, small_screen: Path, tmp_path: Path
) -> None:
    first, second = (
        run_on_ranks(
            world,
            tmp_path / name,
            fit,
            Run(str(small_screen), layout, world, 6, str(tmp_path / name), ALL_TERMS),
        )[0]
        for name in ("first", "second")
    )
    assert first["losses"] == second["losses"]
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name])


@pytest.mark.parametrize(("layout", "world"), LAYOUTS)
def test_in_bf16_the_losses_stay_near_those_of_one_process(
    layout: str, world: int, small_screen: Path, one_process: OneProcess, tmp_path: Path
) -> None:
    network = {"dropout": 0.1, "mode": "per_sample"}
    run = Run(str(small_screen), layout, world, 10, str(tmp_path), network, precision="bf16-mixed")
    one = one_process(run)
    for rank in run_on_ranks(world, tmp_path, fit, run):
        # bf16 has 8 bits; the masks are the same.
        assert rank["losses"] == pytest.approx(one["losses"], rel=1e-2)
        assert all(weight.dtype == torch.float32 for weight in rank["weights"].values())
