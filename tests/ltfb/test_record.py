import json
import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.errors import InputError
from combo_lightning.ltfb.record import RoundLog, RoundRecord, read_rounds
from tests.ltfb.records import plan, record, write_run

GROUP = st.integers(0, 1023)
NUMBER = st.floats(allow_nan=True, allow_infinity=True)
SCORES = st.dictionaries(GROUP, st.dictionaries(st.text(max_size=5), NUMBER, max_size=2))
ROWS = st.lists(NUMBER, max_size=5).map(np.array)
RECORDS = st.builds(
    RoundRecord,
    round=st.integers(0, 10**9),
    group=GROUP,
    step=st.integers(0, 10**12),
    time=st.datetimes().map(lambda at: at.isoformat()),
    living=st.lists(GROUP, max_size=4).map(tuple),
    met=st.lists(GROUP, max_size=4).map(tuple),
    scores=SCORES,
    ages=st.dictionaries(GROUP, st.integers(0, 10**6), max_size=3),
    rows=st.none() | st.dictionaries(GROUP, st.dictionaries(st.text(max_size=5), ROWS)),
    source=GROUP,
    reason=st.text(),
    margin=NUMBER,
    adopted=st.booleans(),
    mutated=st.dictionaries(st.text(), st.tuples(NUMBER, NUMBER), max_size=2),
    hyperparameters=st.dictionaries(st.text(), NUMBER, max_size=3),
    bytes=st.integers(0, 10**15),
    seconds=st.dictionaries(st.text(), NUMBER, max_size=3),
)


def refuse(name: str) -> float:
    raise AssertionError(f"{name} is no standard JSON")


@given(made=RECORDS)
def test_a_record_comes_back_from_its_line_which_is_standard_json(made: RoundRecord) -> None:
    line = made.to_line()
    assert "\n" not in line
    json.loads(line, parse_constant=refuse)
    back = RoundRecord.from_line(line)
    assert back.to_line() == line
    for field in fields(RoundRecord):
        if field.name != "rows":
            np.testing.assert_equal(getattr(back, field.name), getattr(made, field.name))
    assert (back.rows is None) == (made.rows is None)
    for group, of_group in (made.rows or {}).items():
        for metric, rows in of_group.items():
            assert (back.rows or {})[group][metric].tobytes() == rows.astype("<f8").tobytes()


def test_numpys_numbers_are_written_as_json_has_them() -> None:
    made = record(
        3, 0, bytes=np.int64(7), living=(np.int64(1),), margin=np.float64(0.5), adopted=np.True_
    )
    back = RoundRecord.from_line(made.to_line())
    assert (back.bytes, back.living, back.margin, back.adopted) == (7, (1,), 0.5, True)


def test_the_record_of_a_run_is_read_by_round_and_group(tmp_path: Path) -> None:
    made = [record(2, 1), record(1, 0), record(1, 1), record(2, 0)]
    write_run(tmp_path, plan(2), made)
    (tmp_path / "group_x").mkdir()
    (tmp_path / "group_7").mkdir()
    found = read_rounds(tmp_path)
    assert list(found) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert all((r.round, r.group) == key for key, r in found.items())


def test_of_a_round_that_is_there_twice_the_later_line_counts(tmp_path: Path) -> None:
    write_run(tmp_path, plan(1), [record(1, 0), record(2, 0), record(1, 0, reason="late")])
    found = read_rounds(tmp_path)
    assert found[1, 0].reason == "late"
    assert len(found) == 2


def cut_log(folder: Path) -> Path:
    write_run(folder, plan(1), [record(1, 0), record(2, 0)])
    path = folder / "group_0" / "rounds.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    return path


def test_a_last_line_that_was_cut_off_is_left_out_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = cut_log(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert list(read_rounds(tmp_path)) == [(1, 0)]
    assert caplog.messages == [f"{path}: line 2 was cut off and is left out"]


def test_a_later_start_drops_the_line_that_an_earlier_one_left_cut_off(tmp_path: Path) -> None:
    path = cut_log(tmp_path)
    log = RoundLog(path)
    log.append(record(2, 0, reason="late"))
    log.append(record(3, 0))
    found = read_rounds(tmp_path)
    assert list(found) == [(1, 0), (2, 0), (3, 0)]
    assert found[2, 0].reason == "late"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("round", "one", "'round' is \"one\", expected a whole number of at least 0"),
        ("round", True, "'round' is true, expected a whole number"),
        ("bytes", -1, "'bytes' is -1, expected a whole number of at least 0"),
        ("living", 3, "'living' is 3, expected a list"),
        ("met", [0.5], "'met' is 0.5, expected a whole number"),
        ("scores", {"first": {}}, "'scores': it is \"first\", expected the number of a group"),
        ("scores", {"0": {"mse": "low"}}, "'mse' is \"low\", expected a number"),
        ("scores", [], "'scores': it is [], expected a JSON object"),
        ("rows", {"0": {"mse": "AAAA"}}, "'mse' is no base64 of 8-byte numbers"),
        ("rows", {"0": {"mse": "!"}}, "'mse' is no base64 of 8-byte numbers"),
        ("adopted", 1, "'adopted' is 1, expected true or false"),
        ("mutated", {"dropout": [0.1]}, "'dropout' is [0.1], expected two numbers"),
        ("time", "noon", "'time' is 'noon', expected such as 2026-11-25T13:00:00+00:00"),
        ("reason", None, "'reason' is null, expected a text"),
        ("group", 1, "'group' is 1, expected 0"),
    ],
)
def test_what_is_no_record_is_told_with_file_line_and_value(
    tmp_path: Path, name: str, value: Any, told: str
) -> None:
    path = write_run(tmp_path, plan(1), [record(1, 0)]) / "group_0" / "rounds.jsonl"
    wrong = json.loads(record(2, 0).to_line()) | {name: value}
    path.write_text(f"{path.read_text()}{json.dumps(wrong)}\n")
    with pytest.raises(InputError) as caught:
        read_rounds(tmp_path)
    assert str(caught.value).startswith(f"{path}, line 2")
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["hello", "", "[1]", '{"round": NaN}', "\udcff"])
def test_a_line_that_is_no_object_is_told(tmp_path: Path, text: str) -> None:
    path = write_run(tmp_path, plan(1), [record(1, 0)]) / "group_0" / "rounds.jsonl"
    path.write_bytes(path.read_bytes() + text.encode(errors="surrogateescape") + b"\n")
    with pytest.raises(InputError, match=r"line 2: .*expected a JSON object"):
        read_rounds(tmp_path)


def test_a_value_that_is_missing_is_told(tmp_path: Path) -> None:
    plain = json.loads(record(1, 0).to_line())
    del plain["met"], plain["rows"]
    with pytest.raises(InputError, match="'rows' is missing; found round, group"):
        RoundRecord.from_line(json.dumps(plain))


def test_an_exchange_failed_where_another_groups_model_was_chosen_and_did_not_come() -> None:
    assert not record(1, 0).failed
    assert record(1, 0, source=1).failed
    assert not replace(record(1, 0, source=1), adopted=True).failed
