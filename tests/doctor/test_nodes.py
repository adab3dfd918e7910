"""The talk with processes on nodes; programs of a few lines stand for srun and what it starts."""

import sys
import time

from combo_lightning.doctor.nodes import LINE_LETTERS, Nodes, answer_lines

TALK = """
import json, sys
from combo_lightning.doctor.nodes import answer_lines
def say(name, number, answer):
    print(*answer_lines(name, number, answer), sep=chr(10), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    number = question["number"]
"""


def talk(body: str) -> list[str]:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return [sys.executable, "-c", TALK + lines]


def test_all_nodes_answer_in_their_order_whatever_else_is_printed() -> None:
    body = "print('[rank0] a library says hello 3. x')\nsay('b', number, 2)\nsay('a', number, 1)"
    with Nodes(["a", "b"], talk(body)) as nodes:
        answers = nodes.ask("anything", 30)
        assert list(answers.items()) == [("a", 1), ("b", 2)]
        assert nodes.living == ["a", "b"]


def test_the_arguments_of_a_question_arrive_and_a_long_answer_comes_back_whole() -> None:
    text = "x" * (3 * LINE_LETTERS + 5)
    with Nodes(["a"], talk("say('a', number, question['arguments'])")) as nodes:
        assert nodes.ask("echo", 30, text=text, number=7) == {"a": {"text": text, "number": 7}}


def test_no_line_of_an_answer_is_longer_than_what_srun_keeps_whole() -> None:
    lines = answer_lines("node1", 3, ["y" * 5000])
    assert len(lines) > 5
    # Slurm's messages have 1024 letters.
    assert max(map(len, lines)) < 1000
    assert [line[: len("node1 3+")] for line in lines[:-1]] == ["node1 3+"] * (len(lines) - 1)
    assert lines[-1].startswith("node1 3. ")


def test_a_node_that_does_not_answer_is_named_and_not_asked_again() -> None:
    with Nodes(["a", "b"], talk("say('a', number, number)")) as nodes:
        assert nodes.ask("first", 1.5) == {"a": 1}
        assert nodes.silent == {"b": "no answer within 2 s"}
        start = time.monotonic()
        assert nodes.ask("second", 60) == {"a": 2}
        assert time.monotonic() - start < 30


def test_a_late_answer_is_not_taken_for_that_to_another_question() -> None:
    with Nodes(["a"], talk("say('a', number - 1, 'old')\nsay('a', number, 'new')")) as nodes:
        assert nodes.ask("first", 30) == {"a": "new"}
        assert nodes.ask("second", 30) == {"a": "new"}


def test_a_node_of_which_srun_says_that_it_is_gone_is_not_waited_for() -> None:
    body = (
        "say('a', number, 1)\n"
        "print('slurmstepd-b: error: execve(): python: No such file', file=sys.stderr)\n"
        "print('srun: error: b: task 1: Exited with exit code 2', file=sys.stderr, flush=True)"
    )
    start = time.monotonic()
    with Nodes(["a", "b"], talk(body)) as nodes:
        assert nodes.ask("first", 60) == {"a": 1}
        assert nodes.silent["b"] == (
            "b: error: execve(): python: No such file; "
            "srun: error: b: task 1: Exited with exit code 2"
        )
    assert time.monotonic() - start < 30


def test_where_srun_ends_all_nodes_are_silent_with_its_words() -> None:
    command = [sys.executable, "-c", "raise SystemExit('srun: error: job is over')"]
    with Nodes(["a", "b"], command) as nodes:
        assert nodes.ask("first", 60) == {}
        assert nodes.silent == dict.fromkeys(["a", "b"], "srun: error: job is over")
        assert nodes.ask("second", 60) == {}


def test_processes_that_do_not_end_by_themselves_are_ended() -> None:
    stubborn = [sys.executable, "-c", "import time\ntime.sleep(600)"]
    start = time.monotonic()
    with Nodes(["a"], stubborn, end_seconds=0.2) as nodes:
        assert nodes.ask("anything", 0.1) == {}
    assert time.monotonic() - start < 30
