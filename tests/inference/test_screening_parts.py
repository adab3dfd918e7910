"""Parts of a screen, merged by whichever ends last, are the screen."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.errors import InputError
from combo_lightning.inference import pair_space, screening
from combo_lightning.inference.candidates import Candidates
from combo_lightning.inference.pair_space import Block, PairSpace
from combo_lightning.inference.screening import Screen, ScreenReport
from combo_lightning.model import pairs
from combo_lightning.parts import Part
from tests.inference.brute_force import run
from tests.inference.models import make_checkpoint, make_data, make_ensemble


@pytest.fixture(autouse=True)
def cuts_within_blocks() -> Iterator[None]:
    """Blocks of several calls, so that cuts fall into them."""
    with (
        patch.object(pair_space, "FIRST_AT_ONCE", 5),
        patch.object(pair_space, "SECOND_AT_ONCE", 9),
        patch.object(pair_space, "PAIRS_AT_ONCE", 4),
        patch.object(pairs, "PAIRS_AT_ONCE", 4),
    ):
        yield


def run_parts(ckpt: Path, out: Path, of: int, **options: Any) -> ScreenReport:
    """Run all parts, the first one last; give its report."""
    for number in range(of, 1, -1):
        report = run(ckpt, out, part=Part(number, of), **options)
        assert report.rows is None
        assert not out.exists()
    return run(ckpt, out, part=Part(1, of), **options)


def scores_in(folder: Path) -> pd.DataFrame:
    columns = ["cell_id", "drug_1", "drug_2"]
    frame = pd.read_parquet(folder).astype({"cell_id": str})
    return frame.sort_values(columns).reset_index(drop=True)


indices = st.lists(st.integers(0, 30), unique=True, min_size=1, max_size=25)


@given(drugs=indices, contains=st.none() | indices, of=st.integers(1, 12), ordered=st.booleans())
def test_parts_are_disjoint_complete_and_even(
    drugs: list[int], contains: list[int] | None, of: int, *, ordered: bool
) -> None:
    space = PairSpace(
        np.array(drugs), None if contains is None else np.array(contains), ordered=ordered
    )

    def pairs_of(blocks: Iterator[Block]) -> list[tuple[int, int]]:
        return [
            (int(a), int(b))
            for block in blocks
            for a, b in zip(block.first_N, block.second_N, strict=True)
        ]

    parts = [pairs_of(space.blocks(Part(number, of))) for number in range(1, of + 1)]
    # In the order of the whole, too: so are the pairs that the merged candidates keep.
    assert [pair for part in parts for pair in part] == pairs_of(space.blocks())
    assert max(map(len, parts)) - min(map(len, parts)) <= 2 * pairs.PAIRS_AT_ONCE
    for number in range(1, of + 1):
        blocks = list(space.blocks(Part(number, of)))
        assert [block.number for block in blocks] == list(range(len(blocks)))


@given(
    seed=st.integers(0, 1000),
    top=st.integers(1, 20),
    margin=st.sampled_from([0.0, 0.1, 1.0]),
    ends=st.lists(st.integers(0, 600), max_size=5),
)
def test_merged_candidates_are_those_of_one_pass(
    seed: int, top: int, margin: float, ends: list[int]
) -> None:
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=(2, 600)).round(1).astype(np.float32)  # some are tied
    ids = np.arange(600)

    def kept(*edges: int) -> Candidates:
        found = Candidates(2, top, margin)
        with patch.object(found, "_limit", [40, 40]):
            for begin, end in itertools.pairwise(edges):
                for group in range(2):
                    found.offer(group, scores[group, begin:end], ids[begin:end], ids[begin:end])
        return found

    whole = kept(*range(0, 601, 50))
    edges = [0, *sorted(ends), 600]
    merged = Candidates(2, top, margin)
    for begin, end in itertools.pairwise(edges):
        merged.add(kept(*sorted({begin, (begin + end) // 2, end})).to_arrays())
    for group in range(2):
        np.testing.assert_array_equal(merged.kept(group), whole.kept(group))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.qint8])
@pytest.mark.parametrize("of", [2, 3, 40])
def test_the_best_of_all_parts_are_those_of_one_screen_bit_for_bit(
    checkpoint: Path, tmp_path: Path, of: int, dtype: torch.dtype
) -> None:
    options: dict[str, Any] = {"top": 7, "dtype": dtype}
    whole = run(checkpoint, tmp_path / "whole.parquet", **options)
    merged = run_parts(checkpoint, tmp_path / "top.parquet", of, **options)
    assert (tmp_path / "top.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert merged.scores == whole.scores
    assert (merged.sample_error, merged.kept_error) == (whole.sample_error, whole.kept_error)
    assert merged.proven
    assert sorted(path.name for path in tmp_path.iterdir()) == ["top.parquet", "whole.parquet"]


@pytest.mark.parametrize("join", ["concatenate", "slots"])
def test_contrasts_libraries_and_ensembles_have_parts(
    small_screen: Path, tmp_path: Path, join: str
) -> None:
    ckpt, _ = make_ensemble(small_screen, tmp_path, [1, 2], join=join)
    library = tmp_path / "library.smi"
    library.write_text("CCO ethanol\nC1CC broken\nc1ccccc1O phenol\nCCN amine\nCCCC butane\n")
    options: dict[str, Any] = {
        "top": 5,
        "high": "SIM-1,SIM-2",
        "low": "SIM-3",
        "drugs": str(library),
        "contains": "900001,phenol",
    }
    run(ckpt, tmp_path / "whole.csv", **options)
    report = run_parts(ckpt, tmp_path / "top.csv", 3, **options)
    assert report.rows == 5
    assert (tmp_path / "top.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert (tmp_path / "top.skipped.csv").read_text().count("\n") == 2


def test_every_score_of_all_parts_stands_in_one_folder(checkpoint: Path, tmp_path: Path) -> None:
    run(checkpoint, tmp_path / "whole")
    report = run_parts(checkpoint, tmp_path / "all", 3)
    assert report.rows == report.scores == 91 * 12
    pd.testing.assert_frame_equal(scores_in(tmp_path / "all"), scores_in(tmp_path / "whole"))


def test_models_of_single_drugs_have_parts(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", response="growth", num_slots=1)
    ckpt = make_checkpoint(data, tmp_path / "a.ckpt")
    options: dict[str, Any] = {"top": 3, "log10_molar": -6.2}
    run(ckpt, tmp_path / "whole.parquet", **options)
    run_parts(ckpt, tmp_path / "top.parquet", 4, **options)
    assert (tmp_path / "top.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("options", [{"top": 7}, {}])
def test_a_killed_part_and_a_killed_merger_go_on(
    checkpoint: Path, tmp_path: Path, options: dict[str, int]
) -> None:
    name = "top.parquet" if options else "all"
    run(checkpoint, tmp_path / f"whole-{name}", **options)
    out, answered = tmp_path / name, list[int]()
    real = Screen._answer

    def stops(self: Screen, block: Block, sink: Any) -> None:
        answered.append(block.number)
        if answered.count(3) == 1 and block.number == 3:
            raise KeyboardInterrupt
        real(self, block, sink)

    with (
        patch.object(screening, "SECONDS_BETWEEN_SAVES", 0),
        patch.object(Screen, "_answer", stops),
    ):
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint, out, part=Part(2, 2), **options)
        assert run(checkpoint, out, part=Part(2, 2), **options).rows is None
    assert answered.count(2) == 1  # it went on
    sink = "TableSink" if not options else "TopSink"
    with (
        patch.object(getattr(screening, sink), "finish", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        run(checkpoint, out, part=Part(1, 2), **options)
    assert not out.exists()
    # The other one was not the last, and says who was.
    assert run(checkpoint, out, part=Part(2, 2), **options).rows is None
    assert run(checkpoint, out, part=Part(1, 2), **options).rows is not None
    if options:
        assert out.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    else:
        pd.testing.assert_frame_equal(scores_in(out), scores_in(tmp_path / "whole-all"))
    assert not list(tmp_path.glob("*.parts"))


def test_parts_that_run_side_by_side_merge_once(checkpoint: Path, tmp_path: Path) -> None:
    run(checkpoint, tmp_path / "whole.parquet", top=7)

    def one(number: int) -> ScreenReport:
        return run(checkpoint, tmp_path / "top.parquet", top=7, part=Part(number, 4))

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(one, range(1, 5)))
    assert sorted(report.rows is None for report in reports) == [False, True, True, True]
    assert (tmp_path / "top.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_parts_of_another_request_are_refused_and_a_mended_one_is_not(
    checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "top.parquet"
    for number in (1, 2):
        with pytest.raises(InputError, match="the drug 'nothing' is not known"):
            run(checkpoint, out, top=3, contains="nothing", part=Part(number, 2))
    assert not list(tmp_path.iterdir())
    run(checkpoint, out, top=3, part=Part(1, 2))
    with pytest.raises(InputError, match="top is 3 there and 4 here"):
        run(checkpoint, out, top=4, part=Part(2, 2))
    with pytest.raises(InputError, match="part is one of 2 there and one of 3 here"):
        run(checkpoint, out, top=3, part=Part(2, 3))
    with pytest.raises(InputError, match=r"precision is torch.float32 there and torch.bfloat16"):
        run(checkpoint, out, top=3, part=Part(2, 2), dtype=torch.bfloat16)
    for file in tmp_path.glob("*.parts/part-1-of-2/state.npz"):
        file.unlink()
    with pytest.raises(InputError, match="part-1-of-2 is not there any more"):
        run(checkpoint, out, top=3, part=Part(2, 2))
    assert not out.exists()
