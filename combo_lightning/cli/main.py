"""Choose the command and turn what goes wrong into one sentence and an exit code.

Heavy imports (torch, Lightning, pandas) stay inside the commands, so that ``--help`` answers at
once.
"""

import importlib
import logging
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial

from combo_lightning import __version__
from combo_lightning.errors import InputError, did_you_mean
from combo_lightning.process import keep_early_signals, keep_freed_memory, wait_passively

COMMANDS = {
    "prepare": "read raw public files into a data set",
    "merge": "put several data sets into one, each a study",
    "simulate": "write a screen with a known truth, as a data set or in the raw NCI layout",
    "info": "describe a data set",
    "fit": "train a model",
    "validate": "score a checkpoint on the validation part",
    "test": "score a checkpoint on the test part, beside the baselines",
    "cross-validate": "fit and test every fold; mean and spread",
    "predict": "predict responses from a checkpoint alone",
    "screen": "rank all pairs of drugs, or a library, from a checkpoint",
    "checkpoint": "put a checkpoint of several processes into one file",
    "ltfb": "report on tournaments, or replay their decisions",
    "slurm": "submit jobs with checks; their status and logs; cancel them; run in scripts",
    "doctor": "examine this machine, or all nodes of a Slurm job",
    "demo": "simulate, fit, test and predict in three minutes",
}
LIGHTNING_COMMANDS = ("fit", "validate", "test")
# The command that runs now, for records of how something was made. `sys.argv` would be the
# demo's, or a test runner's.
_invocation: ContextVar[tuple[str, ...]] = ContextVar("_invocation", default=())


def invocation() -> list[str]:
    """Give the words of the command that runs now."""
    return list(_invocation.get())


def usage() -> str:
    """Write the program's help text."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: combo-lightning COMMAND [options]",
            "",
            "Predict how tumour cell lines respond to drug combinations.",
            "",
            *lines,
            "",
            "  COMMAND --help    the options of a command",
            "  --version         the version",
            "  --debug           with any command: show the traceback of an error",
            "",
        ]
    )


def run_program(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit code: 0 done, 1 the command says no, 2 bad input.
    """
    words = [word for word in arguments if word != "--debug"]
    debug = len(words) < len(arguments)
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0 if words else 2
    if words[0] == "--version":
        sys.stdout.write(f"combo-lightning {__version__}\n")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS)
        sys.stderr.write(f"combo-lightning: there is no command '{name}'{hint}\n")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    _invocation.set(tuple(words))
    wait_passively()
    keep_freed_memory()
    try:
        if name in LIGHTNING_COMMANDS:
            keep_early_signals()
            module = importlib.import_module("combo_lightning.cli.lightning_cli")
            return int(module.run(name, rest))
        return run_command(name, rest)
    except InputError as error:
        return _say(f"error: {error}", debug=debug)
    except OSError as error:
        # Disk full, no permission, a vanished folder: the system's own words are clear.
        named = f"{error.filename}: " if error.filename else ""
        return _say(f"error: {named}{error.strerror or error}", debug=debug)
    except KeyboardInterrupt:
        return _say("interrupted", debug=debug, code=130)


def _say(sentence: str, *, debug: bool, code: int = 2) -> int:
    if debug:
        traceback.print_exc()
    sys.stderr.write(f"{sentence}\n")
    return code


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Call one of our own commands.

    The module ``cli/NAME.py`` holds ``run``, or ``SUBCOMMANDS`` (name to function): options and
    their help are the function's arguments and docstring. A module with ``main`` reads its words
    itself.

    Args:
        name: The command.
        arguments: What follows it.

    Returns:
        The function's return value, or 0 where it returns nothing.
    """
    module = importlib.import_module(f"combo_lightning.cli.{name.replace('-', '_')}")
    if hasattr(module, "main"):
        return int(module.main(arguments))
    return parse_command(name, arguments)() or 0


def parse_command(name: str, arguments: Sequence[str]) -> Callable[[], int | None]:
    """Parse the options of one of our own commands from its function's signature.

    Args:
        name: The command, whose module has no ``main``.
        arguments: What follows it.

    Returns:
        The function with its arguments, to be called.
    """
    from jsonargparse import ArgumentParser

    module = importlib.import_module(f"combo_lightning.cli.{name.replace('-', '_')}")
    choices: dict[str, Callable[..., int | None]] | None = getattr(module, "SUBCOMMANDS", None)
    positional = getattr(module, "POSITIONAL", False)
    parser = ArgumentParser(prog=f"combo-lightning {name}", description=COMMANDS[name])
    if choices is None:
        parser.add_function_arguments(module.run, as_positional=positional)
        values = parser.parse_args(list(arguments))
        return partial(module.run, **values.as_dict())
    subcommands = parser.add_subcommands(dest="source")
    for choice, function in choices.items():
        sub = ArgumentParser(description=(function.__doc__ or "").split("\n")[0])
        sub.add_function_arguments(function, as_positional=positional)
        subcommands.add_subcommand(choice, sub)
    lists = getattr(module, "LISTS", ())
    _refuse_given_twice(arguments, lists)
    for name in getattr(module, "REPEATED", ()):
        # jsonargparse appends with `--name+` what it would replace with `--name`.
        arguments = [re.sub(rf"^--{name}(?=$|=)", f"--{name}+", word) for word in arguments]
    arguments = _bracketed(arguments, lists)
    values = parser.parse_args(arguments)
    return partial(choices[values.source], **values[values.source].as_dict())


def _bracketed(arguments: Sequence[str], lists: Sequence[str]) -> list[str]:
    """Put the brackets of a list around what stands without, as in ``--accept unit,range``."""
    words = list(arguments)
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        at = place + (not equals)
        value = value if equals else words[at] if at < len(words) else ""
        plain = value != "null" and re.fullmatch(r"[A-Za-z]\w*(,[A-Za-z]\w*)*", value)
        if option.removeprefix("--") in lists and plain:
            words[at] = f"{option}=[{value}]" if equals else f"[{value}]"
    return words


def _refuse_given_twice(arguments: Sequence[str], lists: Sequence[str]) -> None:
    """Refuse options of lists that are given again, of which only the last would count.

    Args:
        arguments: The command line.
        lists: Options that take several values in brackets.

    Raises:
        InputError: If one is given twice.
    """
    options = [word.partition("=")[0] for word in arguments]
    for name in lists:
        if options.count(f"--{name}") > 1:
            raise InputError(
                f"--{name} is given twice, and only the last would count; give its values in "
                f"brackets: --{name} '[a,b]'"
            )
