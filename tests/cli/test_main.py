import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from combo_lightning import __version__
from combo_lightning.cli.main import COMMANDS, LIGHTNING_COMMANDS
from tests.conftest import Outcome

RunHere = Callable[..., Outcome]


def test_help_lists_every_command(run_here: RunHere) -> None:
    outcome = run_here("--help")
    assert outcome.code == 0
    assert all(command in outcome.output for command in COMMANDS)


def test_no_command_is_a_mistake_and_shows_the_help(run_here: RunHere) -> None:
    outcome = run_here()
    assert outcome.code == 2
    assert "usage:" in outcome.output


def test_an_unknown_command_gets_the_nearest_one(run_here: RunHere) -> None:
    outcome = run_here("predcit")
    assert outcome.code == 2
    assert "did you mean 'predict'?" in outcome.output


def test_the_version_is_told(run_here: RunHere) -> None:
    assert run_here("--version").output.strip() == f"combo-lightning {__version__}"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in LIGHTNING_COMMANDS])
def test_each_command_has_help_from_its_docstring(run_here: RunHere, command: str) -> None:
    outcome = run_here(command, "--help")
    assert outcome.code == 0
    assert "usage: combo-lightning" in outcome.output


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["prepare", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    heavy = ("torch", "lightning", "pandas", "pyarrow", "rdkit", "sklearn", "matplotlib", "numpy")
    code = (
        "import sys\nfrom combo_lightning.cli.main import run_program\n"
        f"try:\n    run_program({words!r})\nexcept SystemExit:\n    pass\n"
        f"sys.exit(len([m for m in {heavy!r} if m in sys.modules]))"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    # Generous: the machine may be busy; without torch it takes 0.2 s.
    assert time.perf_counter() - start < 5


def test_an_unknown_option_is_one_message_with_exit_code_2(run_here: RunHere) -> None:
    outcome = run_here("info", "--nonsense", "x")
    assert outcome.code == 2
    assert "Traceback" not in outcome.output


def test_bad_input_shows_its_traceback_only_with_debug(run_here: RunHere) -> None:
    quiet = run_here("info", "no/such/place")
    assert quiet.code == 2
    assert quiet.output.startswith("error: no/such/place is no data set")
    assert "Traceback" not in quiet.output
    assert "Traceback" in run_here("--debug", "info", "no/such/place").output
