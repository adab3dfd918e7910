from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.sources.dense import DenseFiles, DenseLayout, prepare_dense
from combo_lightning.data.splits import SplitConfig, draw_split
from combo_lightning.errors import InputError
from tests.data.sources.matrices import Drawn, draw, equal_bits, unfold, write

Prepare = Callable[..., ScreenDataset]

FORMATS = [
    "npy", "fortran.npy", "big.npy", "double.npy", "npy.gz", "npz", "parquet", "csv",
    "headed.csv", "pandas.csv", "csv.gz", "tsv", "txt",
]  # fmt: skip


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Prepare a data set from a matrix, or from files."""

    def prepare(
        features: Any,
        responses: Any,
        slices: list[str],
        *,
        test: DenseFiles | None = None,
        response: str = "other",
        validation_fraction: float = 0.1,
        **layout: Any,
    ) -> ScreenDataset:
        if isinstance(features, np.ndarray):
            features = [write(features, tmp_path / "x.npy")]
        if isinstance(responses, np.ndarray):
            responses = write(responses, tmp_path / "y.npy")
        parts = [DenseFiles(features, responses), *([test] if test else [])]
        made = prepare_dense(
            parts,
            response,
            DenseLayout(slices, **layout),
            validation_fraction,
            Target(tmp_path / "set", {"command": ["x"]}, overwrite=True),
        )
        return read_dataset(made)

    return prepare


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_folds_and_gives_its_matrix_back(
    prepare: Prepare, tmp_path: Path, kind: str
) -> None:
    drawn = draw()
    features = write(drawn.matrix, tmp_path / f"x.{kind}")
    responses = write(drawn.response[:, None], tmp_path / f"y.{kind.replace('pandas', 'headed')}")
    dataset = prepare([features], responses, drawn.slices)
    assert (len(dataset.cells), len(dataset.drugs)) == (drawn.lines, drawn.drugs)
    assert equal_bits(unfold(dataset), drawn.matrix)
    np.testing.assert_array_equal(dataset.responses.response_N, drawn.response)
    assert [Path(s["path"]) for s in dataset.manifest["sources"]] == [features, responses]


@settings(max_examples=30, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    cells=hnp.arrays(np.uint32, st.tuples(st.integers(1, 4), st.integers(1, 3))),
    drugs=hnp.arrays(np.uint32, st.tuples(st.integers(1, 4), st.integers(2, 4))),
    slots=st.integers(1, 3),
    chunk=st.integers(1, 50),
    seed=st.integers(0, 99),
)
def test_folding_and_unfolding_gives_any_matrix_back_bit_for_bit(
    prepare: Prepare, cells: Any, drugs: Any, slots: int, chunk: int, seed: int
) -> None:
    tables = []
    for bits in (cells, drugs):
        values = bits.view(np.float32)  # any bits: denormal, negative zero, several NaN
        values[np.isinf(values)] = 0
        tables.append(np.concatenate([values, np.full_like(values[:1], 0.5)]))
    # A drug of one value alone is no sign that the cut is right.
    tables[1][-1, 0] = 7
    random = np.random.default_rng(seed)
    rows = 60
    codes = [
        random.permutation(np.arange(rows) % len(t)) for t in (tables[0], *tables[1:] * slots)
    ]
    parts = [tables[0][codes[0]], *(tables[1][code] for code in codes[1:])]
    matrix = np.concatenate(parts, axis=1)
    width = cells.shape[1]
    edges = [0, *(width + k * drugs.shape[1] for k in range(slots + 1))]
    names = ["cell", "drug_1", "drug_2", "drug_3"]
    slices = [f"{n}={a}:{b}" for n, a, b in zip(names, edges, edges[1:], strict=False)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("combo_lightning.data.sources.matrix_file._CHUNK_BYTES", chunk * 64)
        dataset = prepare(matrix, np.arange(rows, dtype=np.float32), slices)
    assert equal_bits(unfold(dataset), matrix)
    as_text = [
        {np.where(np.isnan(r), np.nan, r).astype("f4").tobytes() for r in t} for t in tables
    ]
    assert [len(dataset.cells), len(dataset.drugs)] == [len(distinct) for distinct in as_text]


def test_files_beside_one_another_need_no_slices(prepare: Prepare, tmp_path: Path) -> None:
    drawn = draw()
    ends = zip((0, *drawn.edges), drawn.edges, strict=False)
    kinds = ("csv", "npy", "parquet")
    files = [
        write(drawn.matrix[:, a:b], tmp_path / f"x{k}.{kind}")
        for k, ((a, b), kind) in enumerate(zip(ends, kinds, strict=True))
    ]
    assert equal_bits(unfold(prepare(files, drawn.response, [])), drawn.matrix)
    short = write(drawn.matrix[:-1, :4], tmp_path / "short.csv")
    with pytest.raises(
        InputError, match=r"short\.csv has 199 rows, and a file beside it has more"
    ):
        prepare([short, *files[1:]], drawn.response, [])
    short = write(drawn.matrix[:-1, :4], tmp_path / "short.npy")
    with pytest.raises(InputError, match=r"short\.npy has 199 rows, .* has 200 rows"):
        prepare([short, *files[1:]], drawn.response, [])


def test_responses_may_be_a_column_by_name_or_number(prepare: Prepare, tmp_path: Path) -> None:
    drawn = draw()
    frame = pd.DataFrame(drawn.matrix).rename(columns=str)
    frame.insert(0, "plate", "p1")
    frame["growth"] = drawn.response
    frame.to_csv(tmp_path / "all.csv", index=False)
    slices = ["ignore=0:1", "cell=1:5", "drug_1=5:8", "drug_2=8:11"]
    for column in ("growth", "11", "-1"):
        dataset = prepare([tmp_path / "all.csv"], None, slices, response_column=column)
        assert equal_bits(unfold(dataset), drawn.matrix)
        np.testing.assert_array_equal(dataset.responses.response_N, drawn.response)
        assert dataset.cells.blocks["features"].feature_names == ("0", "1", "2", "3")
    frame[["plate", "growth"]].to_csv(tmp_path / "y.csv")
    dataset = prepare(drawn.matrix, tmp_path / "y.csv", drawn.slices, response_column="growth")
    np.testing.assert_array_equal(dataset.responses.response_N, drawn.response)
    with pytest.raises(
        InputError, match=r"y\.csv holds the responses in one of its columns.*plate"
    ):
        prepare(drawn.matrix, tmp_path / "y.csv", drawn.slices)
    with pytest.raises(InputError, match=r"'grwth'.*did you mean 'growth'"):
        prepare(drawn.matrix, tmp_path / "y.csv", drawn.slices, response_column="grwth")
    wrong = [*slices[:3], "drug_2=8:12"]
    with pytest.raises(InputError, match=r"'drug_2' \(8:12\) holds column 11, the responses"):
        prepare([tmp_path / "all.csv"], None, wrong, response_column="growth")


def test_missing_responses_are_dropped_and_counted(prepare: Prepare) -> None:
    drawn = draw()
    response = drawn.response.copy()
    response[[3, 7]] = np.nan
    dataset = prepare(drawn.matrix, response, drawn.slices)
    assert len(dataset.responses) == 198
    assert dataset.manifest["made_by"]["dropped"] == {"missing response": 2}
    assert dataset.manifest["made_by"]["cut"]["drug_2"] == [7, 10]


def test_features_have_the_names_that_are_given(prepare: Prepare, tmp_path: Path) -> None:
    drawn = draw()
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["a", "b", "a", "c", "x", "y", "z", "x", "y", "z"]) + "\n")
    dataset = prepare(drawn.matrix, drawn.response, drawn.slices, feature_names=names)
    assert dataset.cells.blocks["features"].feature_names == ("a", "b", "a#2", "c")
    assert dataset.drugs.blocks["features"].feature_names == ("x", "y", "z")
    names.write_text("a\n")
    with pytest.raises(InputError, match=r"names\.txt has 1 lines, and the matrix 10 columns"):
        prepare(drawn.matrix, drawn.response, drawn.slices, feature_names=names)


def test_test_rows_stay_the_test_part_and_nothing_of_them_trains(
    prepare: Prepare, tmp_path: Path
) -> None:
    drawn = draw(rows=300, lines=5, drugs=12)
    train, test = slice(0, 240), slice(240, 300)
    files = DenseFiles(
        [write(drawn.matrix[test], tmp_path / "x_val.npy")],
        write(drawn.response[test], tmp_path / "y_val.npy"),
        "test_",
    )
    dataset = prepare(drawn.matrix[train], drawn.response[train], drawn.slices, test=files)
    assert equal_bits(unfold(dataset), drawn.matrix)
    path = tmp_path / "set" / "split.parquet"
    split = draw_split(dataset, SplitConfig(kind="file", file=str(path)), seed=0)
    np.testing.assert_array_equal(split.test_rows, np.arange(240, 300))
    parts = pq.read_table(path).column("part").to_pylist()
    assert {"train", "validation", "test", "unused"} == set(parts)

    def measured(part: str) -> set[Any]:
        r = dataset.responses
        return {
            (r.cell_N[i], *sorted(r.drug_NK[i].tolist())) for i, p in enumerate(parts) if p == part
        }

    assert not measured("test") & (measured("train") | measured("validation"))
    assert not measured("train") & measured("validation")
    assert measured("unused") <= measured("test")
    prepare(
        drawn.matrix[train], drawn.response[train], drawn.slices, test=files,
        validation_fraction=0,
    )  # fmt: skip
    assert "validation" not in pq.read_table(path).column("part").to_pylist()


def test_test_rows_without_a_file_of_responses_need_the_column_too(
    prepare: Prepare, tmp_path: Path
) -> None:
    drawn = draw()
    files = DenseFiles([write(drawn.matrix, tmp_path / "t.npy")], None, "test_")
    with pytest.raises(InputError, match="--responses and --test_responses go together"):
        prepare(drawn.matrix, drawn.response, drawn.slices, test=files)
    files = DenseFiles([write(drawn.matrix[:, :-1], tmp_path / "t.npy")], tmp_path / "y", "test_")
    with pytest.raises(InputError, match="--test_features: the matrix has 9 columns, that of"):
        prepare(drawn.matrix, drawn.response, drawn.slices, test=files)


def _with(drawn: Drawn, row: int, column: int, value: float) -> Any:
    matrix = drawn.matrix.astype(np.float64)
    matrix[row, column] = value
    return matrix


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_what_fp32_cannot_hold_is_named_by_its_place(prepare: Prepare, value: float) -> None:
    drawn = draw()
    with pytest.raises(
        InputError, match=r"--features: .*x\.npy, row 57, column 6 is infinite, or"
    ):
        prepare(_with(drawn, 57, 6, value), drawn.response, drawn.slices)
    response = drawn.response.astype(np.float64)
    response[3] = value
    with pytest.raises(InputError, match=r"--responses: .*y\.npy, row 3, column 0 is infinite"):
        prepare(drawn.matrix, response, drawn.slices)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y[:-1], r"--responses: .*y\.npy has 199 rows, and .*x\.npy has 200; each row"),
        (lambda y: y.astype(str), r"y\.npy holds <U\d+; it must hold integers or floats"),
        (lambda y: np.array({"X": 1, "y": y}, dtype=object), "holds pickled Python objects.*run"),
        (lambda y: y[:, None, None], r"is of shape \[200, 1, 1\]; one number a row is needed"),
        (lambda y: y[:0], r"is of shape \[0, 1\]"),
    ],
)
def test_responses_that_do_not_fit_say_how_to_mend_them(
    prepare: Prepare, change: Callable[[Any], Any], message: str
) -> None:
    drawn = draw()
    with pytest.raises(InputError, match=message):
        prepare(drawn.matrix, change(drawn.response), drawn.slices)


def test_a_response_per_dose_needs_doses(prepare: Prepare) -> None:
    drawn = draw()
    with pytest.raises(InputError, match=r"'growth' needs the dose of every drug.*min_growth"):
        prepare(drawn.matrix, drawn.response, drawn.slices, response="growth")


def test_a_drug_of_zeros_is_a_drug_and_is_reported(
    prepare: Prepare, caplog: pytest.LogCaptureFixture
) -> None:
    drawn = draw()
    matrix = drawn.matrix.copy()
    matrix[::2, 7:10] = 0
    dataset = prepare(matrix, drawn.response, drawn.slices)
    assert len(dataset.drugs) == drawn.drugs + 1
    assert equal_bits(unfold(dataset), matrix)
    assert "has the same value in all its features: if that stands for 'no drug'" in caplog.text
