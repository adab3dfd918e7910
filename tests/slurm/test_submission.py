"""sbatch's grammar, and the script that repeats a submission exactly."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from combo_lightning.errors import InputError
from combo_lightning.slurm.submission import (
    Option,
    array_tasks,
    command_of,
    compose_script,
    job_variables,
    log_pattern,
    merge,
    quote,
    read_options,
    script_options,
    split_line,
    tasks_asked,
    time_limit,
    variable_options,
)
from tests.conftest import ROOT

TEMPLATE = """#!/usr/bin/env bash
# Usage.
#SBATCH --nodes=1 --time=24:00:00
#SBATCH -n 2 # two
#SBATCH --no-requeue

set -euo pipefail
#SBATCH --nodes=9
exec srun combo-lightning fit "$@"
"""
# What a command line can hold: no end of text, and no halves of a letter.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def test_options_are_read_up_to_the_template_in_all_forms() -> None:
    words = ["--nodes=4", "-t", "10", "-pmain", "--qos", "high", "--exclusive", "-k", "fit", "-N2"]
    options, rest = read_options(words)
    assert [str(option) for option in options] == [
        "--nodes=4",
        "--time=10",
        "--partition=main",
        "--qos=high",
        "--exclusive",
        "--no-kill",
    ]
    assert rest == ["fit", "-N2"]
    assert read_options(["--dry-run", "fit"], own_flags=["dry-run"])[1] == ["fit"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--nodes"], "option --nodes needs a value, such as --nodes=VALUE"),
        (["-Z4", "fit"], "sbatch has no option '-Z4'"),
        (["-H4", "fit"], "option -H takes no value, but here is '-H4'"),
    ],
)
def test_what_sbatch_could_not_read_is_refused(words: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_options(words)


def test_a_scripts_options_are_those_before_its_first_command() -> None:
    found = [str(option) for option in script_options(TEMPLATE)]
    assert found == ["--nodes=1", "--time=24:00:00", "--ntasks=2", "--no-requeue"]


def test_a_heterogeneous_script_is_left_to_sbatch() -> None:
    with pytest.raises(InputError, match="'#SBATCH hetjob' is no option of a simple job"):
        script_options("#!/bin/sh\n#SBATCH -N1\n#SBATCH hetjob\n#SBATCH -N2\n")


def test_chosen_options_win_over_the_templates() -> None:
    chosen, _ = read_options(["-N4", "--requeue"])
    merged = merge(script_options(TEMPLATE), chosen)
    assert [str(option) for option in merged] == [
        "--nodes=4",
        "--time=24:00:00",
        "--ntasks=2",
        "--requeue",
    ]


def test_sbatchs_variables_win_over_the_template_and_words_over_both() -> None:
    variables = variable_options({"SBATCH_TIMELIMIT": "5", "SBATCH_QOS": "", "HOME": "/"})
    merged = merge(script_options(TEMPLATE), variables)
    assert [str(o) for o in merged if o.name == "time"] == ["--time=5"]
    assert time_limit(merge(merged, [Option("time", "7")])) == 420


def test_a_composed_script_holds_the_options_in_place_of_the_templates() -> None:
    script = compose_script(
        TEMPLATE, [Option("nodes", "4"), Option("comment", "a b")], ["--x", "1"]
    )
    lines = script.splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert [line for line in lines if line.startswith("#SBATCH")] == [
        "#SBATCH --nodes=4",
        '#SBATCH "--comment=a b"',
        "#SBATCH --nodes=9",  # sbatch does not look there
    ]
    assert lines.index('set -- --x 1 "$@"') < lines.index("set -euo pipefail")
    assert [str(o) for o in script_options(script)] == ["--nodes=4", "--comment=a b"]


def test_options_that_a_script_would_drop_are_refused() -> None:
    with pytest.raises(InputError, match=r'it has no "\$@"'):
        compose_script("#!/bin/sh\ntrue\n", [], ["--x"])


@given(words=st.lists(WORDS, max_size=5), more=st.lists(WORDS, max_size=2))
@settings(max_examples=60)
def test_the_commands_options_survive_the_script_exactly(
    words: list[str], more: list[str]
) -> None:
    script = compose_script("#!/bin/bash\nset -eu\nprintf '%s\\0' \"$@\"\n", [], words)
    done = subprocess.run(
        ["bash", "-c", script, "job", *more],
        capture_output=True,
        check=True,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    # Without words printf still prints its end once.
    expected = "".join(f"{word}\0" for word in [*words, *more]) or "\0"
    assert done.stdout == expected.encode()


@given(WORDS.filter(lambda word: "\n" not in word))
def test_sbatchs_options_survive_the_script_exactly(value: str) -> None:
    option = Option("comment", value)
    assert split_line(f" {quote(str(option))} -N1") == [f"--comment={value}", "-N1"]
    script = compose_script(TEMPLATE, [option], [])
    assert script_options(script) == [option]


def test_the_end_of_a_line_cannot_stand_in_sbatchs_options() -> None:
    with pytest.raises(InputError, match="holds the end of a line"):
        quote("--comment=a\nb")


@pytest.mark.parametrize(
    ("words", "tasks"),
    [
        ("-N2 --ntasks-per-node=4", (4, 4)),
        ("--nodes=3", (1, 1, 1)),
        ("", (1,)),
        ("-N2 -n5", (3, 2)),
        ("-N2-4", None),
        ("-n4", None),
        ("-N2 --ntasks-per-gpu=1", None),
    ],
)
def test_tasks_are_counted_where_the_request_fixes_them(
    words: str, tasks: tuple[int, ...] | None
) -> None:
    assert tasks_asked(read_options(words.split())[0]) == tasks


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 600), ("10:30", 630), ("2:00:00", 7200), ("1-0", 86_400), ("1-2:30", 95_400),
        ("1-0:0:5", 86_405), ("UNLIMITED", None), ("0", None),
    ],
)  # fmt: skip
def test_time_limits_are_read_in_all_of_slurms_forms(text: str, seconds: float | None) -> None:
    assert time_limit([Option("time", text)]) == seconds


def test_a_time_limit_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="--time is 'soon'"):
        time_limit([Option("time", "soon")])
    assert time_limit([]) is None


def test_a_templates_command_is_found_with_what_is_known_of_the_job() -> None:
    text = (
        '# combo-lightning fit "$@" in a comment\n'
        'exec srun --wait=0 combo-lightning slurm run fit --num_groups "$SLURM_JOB_NUM_NODES" \\\n'
        '    --group "${SLURM_ARRAY_TASK_ID}" --run_dir "runs/x-$SLURM_ARRAY_JOB_ID" --flag "$@"\n'
    )
    options, _ = read_options(["-N2", "--array=3-5"])
    variables = job_variables(options, tasks_asked(options))
    assert command_of(text, variables) == ["fit", "--num_groups", "2", "--group", "3", "--flag"]
    assert command_of("true\n", {}) is None
    sums = 'combo-lightning fit --num_groups "$((SLURM_ARRAY_TASK_MAX + 1))" --x "$((N + 1))" "$@"'
    assert command_of(sums, variables) == ["fit", "--num_groups", "6"]


@pytest.mark.parametrize("path", sorted((ROOT / "scripts" / "slurm").glob("*.sbatch")))
def test_every_templates_command_is_found(path: object) -> None:
    text = (ROOT / str(path)).read_text()
    options = script_options(text)
    assert command_of(text, job_variables(options, tasks_asked(options)))


def test_array_tasks_are_listed() -> None:
    assert array_tasks("0-3%2") == [0, 1, 2, 3]
    with pytest.raises(InputError, match="--array is 'all'"):
        array_tasks("all")


def test_logs_are_named_after_the_job() -> None:
    assert log_pattern("/r/%x-%j.log", "12", "combo-fit") == "/r/combo-fit-12.log"
    assert log_pattern("/r/100%%/%3A_%a-%N.log", "12", "") == "/r/100%/12_*-*.log"
