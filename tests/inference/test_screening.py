"""A screen's answers are those of prediction, however it is cut, stopped and filtered."""

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch

from combo_lightning import precision
from combo_lightning.data.chemistry import featurise
from combo_lightning.errors import InputError
from combo_lightning.inference import library, pair_space, screening
from combo_lightning.inference.predictor import Predictor
from combo_lightning.inference.screen_request import ScreenRequest, as_file
from combo_lightning.inference.screen_sinks import TableSink
from combo_lightning.inference.screening import Screen, ScreenReport
from tests.conftest import Outcome
from tests.inference.models import make_checkpoint, make_data

PRODUCTS: dict[str, Any] = {"drug_drug_rank": 3, "cell_drug_rank": 2, "table_rank": 4}
ASPIRIN, IMATINIB = "CC(=O)Oc1ccccc1C(=O)O", "Cc1ccc(cc1Nc1nccc(n1)-c1cccnc1)NC(=O)c1ccccc1"


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Iterator[None]:
    """Many blocks, so that their edges are met."""
    with (
        patch.object(pair_space, "FIRST_AT_ONCE", 3),
        patch.object(pair_space, "SECOND_AT_ONCE", 5),
    ):
        yield


@pytest.fixture(scope="module")
def checkpoint(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A symmetric network with every product."""
    out = tmp_path_factory.mktemp("model") / "symmetric.ckpt"
    return make_checkpoint(small_screen, out, join="symmetric", **PRODUCTS)


def run(ckpt_path: Path, out: Path, **options: Any) -> ScreenReport:
    return Screen(ScreenRequest(ckpt_path, out, **options)).run()


def brute_force(
    ckpt_path: Path, *, ordered: bool = False, log10_molar: float | None = None
) -> pd.DataFrame:
    """Predict every pair in every line with `Predictor.predict`."""
    predictor = Predictor.load(ckpt_path)
    cells, drugs = predictor.cells.ids, predictor.drugs.ids
    pairs = [p for p in permutations(range(len(drugs)), 2) if ordered or p[0] < p[1]]
    rows = [(c, a, b) for c in range(len(cells)) for a, b in pairs]
    index = np.array(rows)
    dose = None if log10_molar is None else np.full((len(rows), 2), log10_molar)
    answer = predictor.predict(index[:, 0], index[:, 1:], dose)
    frame = pd.DataFrame({"cell_id": [cells[c] for c, _, _ in rows], "prediction": answer})
    frame["pair"] = [pair_of(drugs[a], drugs[b], ordered=ordered) for _, a, b in rows]
    return frame


def pair_of(a: str, b: str, *, ordered: bool = False) -> str:
    return f"{a}+{b}" if ordered else "+".join(sorted([a, b]))


def with_pairs(frame: pd.DataFrame, *, ordered: bool = False) -> pd.DataFrame:
    pairs = zip(frame["drug_1"], frame["drug_2"], strict=True)
    return frame.assign(pair=[pair_of(a, b, ordered=ordered) for a, b in pairs])


def assert_close(found: Any, wanted: Any) -> None:
    """Equal but for fp32 sums over batches of another size."""
    atol = 3e-6 * float(np.abs(np.asarray(wanted)).max())
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=atol)


def assert_best(
    found: pd.DataFrame, wanted: pd.DataFrame, top: int, *, lowest: bool = False
) -> None:
    """Check ranks, pairs and values of a top list."""
    for cell, part in wanted.groupby("cell_id"):
        best = part.sort_values("prediction", ascending=lowest, kind="stable").head(top)
        mine = found[found["cell_id"] == cell]
        assert_close(mine["prediction"], best["prediction"])
        assert list(mine["pair"]) == list(best["pair"])
        assert list(mine["rank"]) == list(range(1, len(best) + 1))
    overall = found.dropna(subset="rank_overall").sort_values("rank_overall")
    best = wanted.sort_values("prediction", ascending=lowest, kind="stable").head(top)
    assert list(overall["pair"]) == list(best["pair"])
    assert list(overall["cell_id"]) == list(best["cell_id"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.qint8])
@pytest.mark.parametrize(
    ("join", "options"),
    [("concatenate", {}), ("symmetric", PRODUCTS), ("slots", PRODUCTS), ("slots", {})],
)
def test_the_best_are_those_of_prediction(
    small_screen: Path, tmp_path: Path, join: str, options: dict[str, Any], dtype: torch.dtype
) -> None:
    ckpt = make_checkpoint(small_screen, tmp_path / "a.ckpt", join=join, **options)
    ordered = join == "concatenate"
    report = run(ckpt, tmp_path / "top.parquet", top=9, dtype=dtype)
    wanted = brute_force(ckpt, ordered=ordered)
    found = with_pairs(pd.read_parquet(tmp_path / "top.parquet"), ordered=ordered)
    assert report.scores == len(wanted)
    assert report.rows == len(found) == 9 * 12
    assert report.proven
    assert_best(found, wanted, 9)
    relative = report.kept_error / wanted["prediction"].abs().max()
    assert (relative > 1e-5) == (dtype != torch.float32)
    assert not (tmp_path / "top.parquet.partial").exists()


@pytest.mark.parametrize("join", ["symmetric", "slots"])
def test_every_score_is_written_once_by_line(
    small_screen: Path, tmp_path: Path, join: str
) -> None:
    ckpt = make_checkpoint(small_screen, tmp_path / "a.ckpt", join=join, **PRODUCTS)
    report = run(ckpt, tmp_path / "all")
    found = with_pairs(pd.read_parquet(tmp_path / "all"))
    wanted = brute_force(ckpt)
    assert report.rows == len(found) == len(wanted)
    both = wanted.merge(found, on=["cell_id", "pair"], validate="one_to_one")
    assert len(both) == len(wanted)
    assert_close(both["prediction_y"], both["prediction_x"])
    assert set(found["unit"]) == {"ComboScore points"}


def test_filters_choose_lines_drugs_and_order(checkpoint: Path, tmp_path: Path) -> None:
    wanted = brute_force(checkpoint)
    predictor = Predictor.load(checkpoint)
    drugs, cells = predictor.drugs.ids, predictor.cells.ids
    few, lines = drugs[2:9], cells[3:6]
    run(
        checkpoint,
        tmp_path / "top.csv",
        top=5,
        cells=",".join(lines),
        drugs=",".join(few),
        contains=f"{few[0]}, {drugs[12]}",
        lowest=True,
    )
    found = with_pairs(pd.read_csv(tmp_path / "top.csv", dtype={"drug_1": str, "drug_2": str}))
    inside = {pair_of(a, b) for a in (few[0], drugs[12]) for b in few if a != b}
    chosen = wanted[wanted["pair"].isin(inside) & wanted["cell_id"].isin(lines)]
    assert_best(found, chosen, 5, lowest=True)


def test_int8_is_refused_where_the_processor_lacks_it(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_here: Callable[..., Outcome],
    caplog: pytest.LogCaptureFixture,
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: fpu sse avx2\n")
    monkeypatch.setattr(precision, "CPUINFO", cpuinfo)
    caplog.set_level("INFO")
    words = ("screen", f"--ckpt_path={checkpoint}", "--top=3", f"--out={tmp_path / 'a.csv'}")
    refused = run_here(*words, "--precision=int8")
    assert refused.code == 2
    assert "has no 8-bit unit" in refused.output
    assert run_here(*words).code == 0
    assert "precision: 32-true" in caplog.text


def test_a_contrast_is_high_here_and_low_there(checkpoint: Path, tmp_path: Path) -> None:
    cells = Predictor.load(checkpoint).cells.ids
    high, low = cells[2:4], cells[7:10]
    report = run(
        checkpoint,
        tmp_path / "top.parquet",
        top=6,
        high=",".join(high),
        low=",".join(low),
        dtype=torch.bfloat16,
    )
    wide = brute_force(checkpoint).pivot(index="pair", columns="cell_id", values="prediction")
    contrast = wide[list(high)].mean(axis=1) - wide[list(low)].mean(axis=1)
    best = contrast.sort_values(ascending=False).head(6)
    found = with_pairs(pd.read_parquet(tmp_path / "top.parquet"))
    assert list(found["pair"]) == list(best.index)
    assert_close(found["contrast"], best)
    assert_close(found["mean_high"] - found["mean_low"], best)
    assert report.proven


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_doses_and_any_number_of_slots(tmp_path: Path, slots: int) -> None:
    data = make_data(tmp_path / "data", response="growth", num_slots=slots)
    ckpt = make_checkpoint(data, tmp_path / "a.ckpt", join="symmetric")
    run(ckpt, tmp_path / "top.parquet", top=4, log10_molar=-6.2, lowest=True)
    found = pd.read_parquet(tmp_path / "top.parquet")
    predictor = Predictor.load(ckpt)
    assert ("drug_2" in found) == (slots > 1)
    cell = np.array([predictor.cells.index(c, "here") for c in found["cell_id"]])
    drug = np.full((len(found), slots), -1)
    for k in range(min(slots, 2)):
        drug[:, k] = [predictor.drugs.index(d, "here") for d in found[f"drug_{k + 1}"]]
    answer = predictor.predict(cell, drug, np.full(drug.shape, -6.2))
    assert_close(found["prediction"], answer)
    with pytest.raises(InputError, match="needs --log10_molar"):
        run(ckpt, tmp_path / "other.parquet", top=4)


@pytest.fixture(scope="module")
def chemical(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A model whose drug features come from structures; a known drug's id and SMILES."""
    folder = tmp_path_factory.mktemp("chemical")
    data = make_data(folder / "data")
    ckpt = make_checkpoint(data, folder / "a.ckpt", join="slots")
    drugs = pd.read_parquet(data / "drugs.parquet")
    return ckpt, str(drugs["drug_id"][3]), str(drugs["smiles"][3])


def write_library(path: Path, known: str, known_smiles: str) -> Path:
    lines = [
        "SMILES name",
        f"{ASPIRIN} aspirin",
        "C1CC broken ring",
        "",
        f"{known_smiles}\told friend",
        f"{IMATINIB} imatinib-like",
        "CCO aspirin",
        "CCCCCCO",
        "CCOCC ether",
        f"CCN {known}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def check_library(out: Path, ckpt: Path, known: str) -> None:
    found = pd.read_parquet(out)
    names = {*found["drug_1"], *found["drug_2"]}
    assert names == {"aspirin", "old friend", "imatinib-like", "CCCCCCO", "ether"}
    assert len(found) == 10 * 12
    predictor = Predictor.load(ckpt)
    fresh = {"aspirin": ASPIRIN, "imatinib-like": IMATINIB, "CCCCCCO": "CCCCCCO", "ether": "CCOCC"}
    predictor.add_drugs(list(fresh), list(fresh.values()))
    cell = np.array([predictor.cells.index(c, "here") for c in found["cell_id"]])
    drug = np.array(
        [
            [predictor.drugs.index(known if d == "old friend" else d, "here") for d in pair]
            for pair in zip(found["drug_1"], found["drug_2"], strict=True)
        ]
    )
    answer = predictor.predict(cell, drug)
    assert_close(found["prediction"], answer)
    skipped = pd.read_csv(out.with_name("top.skipped.csv"))
    assert list(skipped["row"]) == [1, 4, 7]
    assert "RDKit cannot read the SMILES 'C1CC'" in skipped["problem"][0]
    assert "row 0 has this name already" in skipped["problem"][1]
    assert f"knows another drug of this name, '{known}'" in skipped["problem"][2]


@pytest.mark.parametrize("chunk", [2, 512])
def test_a_library_is_screened_and_its_bad_rows_are_named(
    chemical: tuple[Path, str, str], tmp_path: Path, chunk: int
) -> None:
    # A chunk of 2 computes features in processes of their own.
    ckpt, known, smiles = chemical
    path = write_library(tmp_path / "library.smi", known, smiles)
    with patch.object(library, "CHUNK", chunk):
        report = run(ckpt, tmp_path / "top.parquet", top=100, drugs=str(path))
    assert [row.name for row in report.skipped] == ["broken ring", "aspirin", known]
    check_library(tmp_path / "top.parquet", ckpt, known)


def test_a_library_stopped_half_way_goes_on_at_its_last_chunk(
    chemical: tuple[Path, str, str], tmp_path: Path
) -> None:
    ckpt, known, smiles = chemical
    path = write_library(tmp_path / "library.smi", known, smiles)
    real, calls = featurise, list[int]()

    def stops(*arguments: Any) -> Any:
        calls.append(len(arguments[1]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    single = patch.object(os, "sched_getaffinity", lambda _: {0}, create=True)
    options: dict[str, Any] = {"top": 100, "drugs": str(path)}
    with single, patch.object(library, "CHUNK", 2), patch.object(library, "featurise", stops):
        # The first chunk is as large as a chunk, so that one core goes on by chunks.
        with pytest.raises(KeyboardInterrupt):
            run(ckpt, tmp_path / "top.parquet", **options)
        log = tmp_path / "top.parquet.partial" / "library.jsonl"
        log.write_text(log.read_text() + '[4, "torn')
        run(ckpt, tmp_path / "top.parquet", **options)
    assert sum(calls[:2]) == 4
    assert sum(calls[3:]) == 4  # the rest only
    check_library(tmp_path / "top.parquet", ckpt, known)


@pytest.mark.parametrize("options", [{"top": 7}, {}])
def test_a_stopped_screen_goes_on_and_ends_alike(
    checkpoint: Path, tmp_path: Path, options: dict[str, int]
) -> None:
    name = "top.parquet" if options else "all"
    line = Predictor.load(checkpoint).cells.ids[0]
    run(checkpoint, tmp_path / f"whole-{name}", **options)
    real, answered = Screen._answer, list[int]()

    def stops(self: Screen, block: Any, sink: Any) -> None:
        if len(answered) == 4:
            answered.append(0)
            raise KeyboardInterrupt
        answered.append(len(block.i_N))
        real(self, block, sink)

    out = tmp_path / name
    with (
        patch.object(screening, "SECONDS_BETWEEN_SAVES", 0),
        patch.object(Screen, "_answer", stops),
    ):
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint, out, **options)
        with pytest.raises(InputError, match="holds a stopped screen with other options"):
            run(checkpoint, out, cells=line, **options)
        assert not out.exists()
        report = run(checkpoint, out, **options)
    assert sum(answered) == 91  # no block twice
    assert report.scores == 91 * 12
    columns = ["cell_id", "drug_1", "drug_2"]
    whole, again = (
        pd.read_parquet(p).astype({"cell_id": str}).sort_values(columns).reset_index(drop=True)
        for p in (tmp_path / f"whole-{name}", out)
    )
    pd.testing.assert_frame_equal(whole, again)


def _screen_slowly(ckpt_path: Path, out: Path) -> None:
    real = TableSink.end_block

    def slow(self: TableSink, *arguments: Any) -> None:
        real(self, *arguments)
        time.sleep(0.05)

    screening.SECONDS_BETWEEN_SAVES = 0.0
    with (
        patch.object(pair_space, "FIRST_AT_ONCE", 2),
        patch.object(pair_space, "SECOND_AT_ONCE", 3),
        patch.object(TableSink, "end_block", slow),
    ):
        run(ckpt_path, out)


def test_a_killed_screen_goes_on(checkpoint: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=_screen_slowly, args=(checkpoint, tmp_path / "all"))
    child.start()
    saved = tmp_path / "all.partial" / "state.npz"
    end = time.monotonic() + 60
    while not saved.exists() and child.is_alive() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert saved.exists()
    assert not (tmp_path / "all").exists()
    with (
        patch.object(pair_space, "FIRST_AT_ONCE", 2),
        patch.object(pair_space, "SECOND_AT_ONCE", 3),
    ):
        report = run(checkpoint, tmp_path / "all")
    assert report.rows == 91 * 12
    found = with_pairs(pd.read_parquet(tmp_path / "all"))
    assert not found.duplicated(["cell_id", "pair"]).any()


def _screen_with_little_room(ckpt_path: Path, out: Path, log: Path) -> None:
    from combo_lightning.cli.main import run_program

    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
    with log.open("w") as file:
        os.dup2(file.fileno(), 2)
        code = run_program(["screen", f"--ckpt_path={ckpt_path}", "--top=5", f"--out={out}"])
    os._exit(code)


def test_a_full_disk_is_said_and_nothing_is_half_written(
    checkpoint: Path,
    tmp_path: Path,
    run_here: Callable[..., Outcome],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    out, log = tmp_path / "top.parquet", tmp_path / "log.txt"
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=_screen_with_little_room, args=(checkpoint, out, log))
    child.start()
    child.join()
    assert child.exitcode == 2
    assert "File too large" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert not out.exists()
    # With room it goes on.
    outcome = run_here("screen", f"--ckpt_path={checkpoint}", "--top=5", f"--out={out}")
    assert outcome.code == 0
    assert "going on in" in caplog.text
    assert len(pd.read_parquet(out)) == 60


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out=top.parquet"], "is one file; give --top N"),
        (["--out=folder", "--top=3"], "must end in .parquet or .csv"),
        (["--out=top.csv", "--top=0"], "--top is 0"),
        (["--out=top.csv", "--top=3", "--high=CELL"], "--high and --low go together"),
        (["--out=a", "--high=A", "--low=B"], "--high and --low need --top"),
        (["--out=top.csv", "--top=3", "--cells=NOBODY"], "the cell line 'NOBODY' is not known"),
        (["--out=top.csv", "--top=3", "--contains=nothing"], "the drug 'nothing' is not known"),
        (["--out=top.csv", "--top=3", "--drugs=no.smi"], "there is no file no.smi"),
        (["--out=top.csv", "--top=3", "--log10_molar=-6"], "knows no doses"),
        (["--out=top.csv", "--top=3", "--precision=int7"], "int7"),
    ],
)
def test_what_cannot_be_is_refused(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_here: Callable[..., Outcome],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_here("screen", f"--ckpt_path={checkpoint}", *words)
    assert outcome.code == 2
    assert message in outcome.output
    assert "Traceback" not in outcome.output
    assert not list(tmp_path.iterdir())


def test_names_with_dots_are_no_files() -> None:
    assert as_file("St. John's wort,5.7-dimethoxyflavone") is None
    assert as_file("library.SMI") == Path("library.SMI")


def test_a_diverged_model_is_told(small_screen: Path, tmp_path: Path) -> None:
    ckpt = make_checkpoint(small_screen, tmp_path / "a.ckpt", join="symmetric")
    content = torch.load(ckpt, weights_only=True)
    content["state_dict"]["network.join.bias"].fill_(torch.nan)
    torch.save(content, ckpt)
    with pytest.raises(InputError, match="is not a finite number; the model diverged"):
        run(ckpt, tmp_path / "top.csv", top=3)


def test_the_command_tells_what_it_did(
    chemical: tuple[Path, str, str], tmp_path: Path, run_here: Callable[..., Outcome]
) -> None:
    ckpt, known, smiles = chemical
    path = write_library(tmp_path / "library.smi", known, smiles)
    out = tmp_path / "top.parquet"
    outcome = run_here(
        "screen", f"--ckpt_path={ckpt}", f"--drugs={path}", "--top=3", f"--out={out}"
    )
    assert outcome.code == 0
    assert "36 rows, the best of 120 scores" in outcome.output
