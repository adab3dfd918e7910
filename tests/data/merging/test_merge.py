import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.merging.merge import MergeOptions, merge
from combo_lightning.data.schema import RESPONSE_KINDS, ResponseKind
from combo_lightning.data.simulator import SimulationConfig
from combo_lightning.data.simulator_studies import write_studies
from combo_lightning.errors import InputError
from tests.data.screens import make_cells, make_drugs

COMBO = RESPONSE_KINDS["combo_score"]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    out = tmp_path_factory.mktemp("studies")
    return write_studies(SimulationConfig(cells=9, drugs=9), 3, out, {}, overwrite=False)


def write(
    out: Path, rows: list[tuple[object, ...]], kind: ResponseKind = COMBO, slots: int = 2
) -> Path:
    """Rows: line, drugs, response, study; doses of -6 where the kind has them."""
    names = ["cell_id", *(f"drug_{k + 1}" for k in range(slots)), "response", "study"]
    frame = pd.DataFrame(rows, columns=names)
    for k in range(slots if kind.per_dose else 0):
        frame[f"log10_molar_{k + 1}"] = np.where(frame[f"drug_{k + 1}"].notna(), -6.0, np.nan)
    with DatasetWriter(out, kind, slots) as writer:
        writer.append(pa.Table.from_pandas(frame, preserve_index=False))
        return writer.finish(make_cells(3), make_drugs(3), [], {})


def rows_of(dataset: ScreenDataset) -> Counter[tuple[object, ...]]:
    """All rows by what they mean: a line's key, the compounds, the response, the study."""
    responses = dataset.responses
    lines = [name.replace("_", "").replace("-", "") for name in dataset.cells.ids]
    keys = [*dataset.drugs.annotation("inchikey"), None]
    study_N = responses.study_N if responses.study_N is not None else np.zeros(len(responses), int)
    return Counter(
        (lines[c], *(keys[d] for d in pair), float(y), responses.studies[s])
        for c, pair, y, s in zip(
            responses.cell_N, responses.drug_NK, responses.response_N, study_N, strict=True
        )
    )


def test_a_merge_is_the_union_of_the_rows_with_their_studies(
    studies: list[Path], tmp_path: Path
) -> None:
    merged = read_dataset(merge(studies, tmp_path / "all", MergeOptions(), {}))
    expected: Counter[tuple[object, ...]] = Counter()
    for path in studies:
        own = read_dataset(path)
        named = replace(own, responses=replace(own.responses, studies=(path.name,)))
        expected += rows_of(named)
    assert rows_of(merged) == expected
    assert merged.responses.studies == ("study-1", "study-2", "study-3")
    # Every study has six of nine lines and drugs, so that all are there but once.
    assert len(merged.cells) <= 9
    assert len(merged.drugs) <= 9
    stated = merged.manifest["made_by"]
    assert [part["studies"] for part in stated["merged"]] == [
        {path.name: len(read_dataset(path).responses)} for path in studies
    ]
    assert len(stated["joins"]) == 4


def test_the_order_of_the_data_sets_changes_only_the_order(
    studies: list[Path], tmp_path: Path
) -> None:
    forth = read_dataset(merge(studies, tmp_path / "a", MergeOptions(), {}))
    back = read_dataset(merge(studies[::-1], tmp_path / "b", MergeOptions(), {}))
    assert rows_of(forth) == rows_of(back)
    assert len(forth.cells) == len(back.cells)
    a, b = forth.cells.blocks["expression"], back.cells.blocks["expression"]
    assert set(a.feature_names) == set(b.feature_names)


def test_a_merged_data_set_is_merged_again(studies: list[Path], tmp_path: Path) -> None:
    two = merge(studies[:2], tmp_path / "two", MergeOptions(), {})
    again = read_dataset(merge([two, studies[2]], tmp_path / "three", MergeOptions(), {}))
    once = read_dataset(merge(studies, tmp_path / "once", MergeOptions(), {}))
    assert rows_of(again) == rows_of(once)
    assert (
        again.cells.annotations["expression_origin"]
        == (once.cells.annotations["expression_origin"])
    )


def test_the_larger_number_of_slots_wins(tmp_path: Path) -> None:
    single = write(tmp_path / "single", [("C0", "100", 1.0, None)], slots=1)
    pairs = write(tmp_path / "pairs", [("C1", "101", "102", 2.0, "own")])
    merged = read_dataset(merge([single, pairs], tmp_path / "out", MergeOptions(), {}))
    assert merged.responses.drug_NK.tolist() == [[0, -1], [1, 2]]
    assert merged.responses.studies == ("single", "own")


def test_doses_go_with_their_drugs(tmp_path: Path) -> None:
    growth = RESPONSE_KINDS["growth"]
    single = write(tmp_path / "single", [("C0", "100", 1.0, None)], growth, slots=1)
    pairs = write(tmp_path / "pairs", [("C1", "101", "102", 2.0, None)], growth)
    merged = read_dataset(merge([single, pairs], tmp_path / "out", MergeOptions(), {}))
    dose = merged.responses.log10_molar_NK
    assert dose is not None
    np.testing.assert_array_equal(dose, [[-6, np.nan], [-6, -6]])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (ResponseKind("combo_score", "fraction"), "in ComboScore points, .* in fraction"),
        (RESPONSE_KINDS["growth"], "growth in percent growth at stated doses"),
    ],
)  # fmt: skip
def test_other_responses_are_refused(tmp_path: Path, kind: ResponseKind, message: str) -> None:
    a = write(tmp_path / "a", [("C0", "100", "101", 1.0, None)])
    b = write(tmp_path / "b", [("C0", "100", "101", 2.0, None)], kind)
    with pytest.raises(InputError, match=message):
        merge([a, b], tmp_path / "out", MergeOptions(), {})
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_two_data_sets_never_get_one_study_by_accident(tmp_path: Path) -> None:
    a = write(tmp_path / "x" / "screen", [("C0", "100", "101", 1.0, None)])
    b = write(tmp_path / "y" / "screen", [("C0", "100", "101", 2.0, None)])
    with pytest.raises(InputError, match=r"study 'screen'.*--study_names"):
        merge([a, b], tmp_path / "out", MergeOptions(), {})
    named = merge([a, b], tmp_path / "two", MergeOptions(["first", "second"]), {})
    assert read_dataset(named).responses.studies == ("first", "second")
    alike = merge([a, b], tmp_path / "one", MergeOptions(["one", "one"]), {})
    assert read_dataset(alike).responses.studies == ("one",)
    c = write(tmp_path / "c", [("C0", "100", "101", 3.0, "lab")])
    d = write(tmp_path / "d", [("C0", "100", "101", 4.0, "lab"), ("C1", "100", "101", 4.0, None)])
    with pytest.raises(InputError, match="study 'lab'"):
        merge([c, d], tmp_path / "out", MergeOptions(), {})
    kept = merge([c, d], tmp_path / "kept", MergeOptions([None, "other"]), {})
    assert read_dataset(kept).responses.studies == ("lab", "other")


def test_bad_requests_are_refused(tmp_path: Path) -> None:
    a = write(tmp_path / "a", [("C0", "100", "101", 1.0, None)])
    b = write(tmp_path / "b", [("C0", "100", "101", 2.0, None)])
    for paths, out, options, message in (
        ([a], "out", MergeOptions(), "two data sets or more"),
        ([a, a], "out", MergeOptions(), "the same data"),
        ([a, b], "a", MergeOptions(), "one of the data sets"),
        ([a, b], "out", MergeOptions(["x"]), "1 names for 2 data sets"),
        ([a, b], "out", MergeOptions(separate_blocks=["expresion"]), "did you mean 'expression'"),
    ):
        with pytest.raises(InputError, match=message):
            merge(paths, tmp_path / out, options, {}, overwrite=True)


def test_sources_are_carried_over_once(studies: list[Path], tmp_path: Path) -> None:
    paths = []
    for number, path in enumerate(studies[:2]):
        copy = tmp_path / path.name
        copy.mkdir()
        for file in path.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        manifest = json.loads((copy / "dataset.json").read_text())
        manifest["sources"] = [
            {"path": "both", "sha256": "0", "bytes": 1},
            {"path": f"own{number}", "sha256": str(number + 1), "bytes": 1},
        ]
        (copy / "dataset.json").write_text(json.dumps(manifest))
        paths.append(copy)
    merged = read_dataset(merge(paths, tmp_path / "out", MergeOptions(), {}))
    assert [source["path"] for source in merged.manifest["sources"]] == ["both", "own0", "own1"]
