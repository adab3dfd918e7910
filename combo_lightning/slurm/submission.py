"""What sbatch is asked for: options on a command line and in a script, and the script to submit.

The grammar is sbatch's own (22.05): `OPTION ... SCRIPT WORD ...`, and ``#SBATCH`` lines at the
script's top, of which the last one counts.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from combo_lightning.errors import InputError

# sbatch's options that take no value, or only one after "=".
FLAGS = frozenset(
    ("contiguous", "exclusive", "get-user-env", "help", "hold", "ignore-pbs", "nice", "no-kill",
     "no-requeue", "overcommit", "oversubscribe", "parsable", "propagate", "quiet", "reboot",
     "requeue", "spread-job", "test-only", "usage", "use-min-nodes", "verbose", "version", "wait")
)  # fmt: skip
SHORT = {
    "A": "account", "a": "array", "B": "extra-node-info", "b": "begin", "C": "constraint",
    "c": "cpus-per-task", "D": "chdir", "d": "dependency", "e": "error", "F": "nodefile",
    "G": "gpus", "H": "hold", "h": "help", "i": "input", "J": "job-name", "k": "no-kill",
    "L": "licenses", "M": "clusters", "m": "distribution", "N": "nodes", "n": "ntasks",
    "O": "overcommit", "o": "output", "p": "partition", "Q": "quiet", "q": "qos",
    "S": "core-spec", "s": "oversubscribe", "t": "time", "V": "version", "v": "verbose",
    "W": "wait", "w": "nodelist", "x": "exclude",
}  # fmt: skip
SCRIPT_LINE = "#SBATCH"
# Where one of these is asked for, the script's other one goes.
RIVALS = {"requeue": "no-requeue", "no-requeue": "requeue"}


# sbatch's variables count more than a script's lines, and less than its command line.
VARIABLES = {
    "SBATCH_ACCOUNT": "account",
    "SBATCH_CLUSTERS": "clusters",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_PARTITION": "partition",
    "SBATCH_QOS": "qos",
    "SBATCH_RESERVATION": "reservation",
    "SBATCH_TIMELIMIT": "time",
}


@dataclass(frozen=True)
class Option:
    """One of sbatch's options.

    Args:
        name: Its long name, without dashes.
        value: Its value; None: it has none.
    """

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


def read_options(
    words: Sequence[str], own_flags: Sequence[str] = ()
) -> tuple[list[Option], list[str]]:
    """Read the options at the beginning of a command line, as sbatch does.

    Args:
        words: The command line.
        own_flags: Options without a value that are known besides.

    Returns:
        The options, and what follows them.

    Raises:
        InputError: If an option has no value, or is none.

    Example:
        >>> options, rest = read_options(["-N4", "--time", "10", "--requeue", "fit", "--x=1"])
        >>> [str(option) for option in options], rest
        (['--nodes=4', '--time=10', '--requeue'], ['fit', '--x=1'])
    """
    found: list[Option] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, value = _split(word)
        if value is None and name not in (*FLAGS, *own_flags):
            if not rest:
                raise InputError(f"sbatch's option --{name} needs a value, such as --{name}=VALUE")
            value = rest.pop(0)
        found.append(Option(name, value))
    return found, rest


def _split(word: str) -> tuple[str, str | None]:
    """Take an option's word apart.

    Raises:
        InputError: If sbatch has no such short option.
    """
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, value if equals else None
    if word[1] not in SHORT:
        raise InputError(f"sbatch has no option '{word}'; see 'sbatch --help'")
    name, value = SHORT[word[1]], word[2:]
    if value and name in FLAGS and name != "no-kill":
        raise InputError(f"sbatch's option -{word[1]} takes no value, but here is '{word}'")
    return name, value or None


def script_options(text: str) -> list[Option]:
    """Read the options in a script.

    Args:
        text: The script.

    Raises:
        InputError: If a line cannot be read.
    """
    words: list[str] = []
    for line in _top(text):
        if line.startswith(SCRIPT_LINE):
            words += split_line(line.removeprefix(SCRIPT_LINE))
    options, rest = read_options(words)
    if rest:
        raise InputError(
            f"'{SCRIPT_LINE} {rest[0]}' is no option of a simple job; submit heterogeneous jobs "
            "with sbatch itself"
        )
    return options


def _top(text: str) -> list[str]:
    """Give the lines where sbatch looks for options: those before the first command."""
    lines = _lines(text)
    for i, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            return lines[:i]
    return lines


def _lines(text: str) -> list[str]:
    """Give a script's lines; `str.splitlines` also ends some where the shell does not."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def split_line(line: str) -> list[str]:
    r"""Take a ``#SBATCH`` line apart as sbatch does, which is not quite as the shell does.

    A backslash escapes also between quotes, and ``#`` ends the line also within a word.

    Example:
        >>> split_line(r"--comment='a\'b' --nodes=2#two")
        ["--comment=a'b", '--nodes=2']
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    letters = iter(line)
    for letter in letters:
        if letter == "\\":
            word = (word or "") + next(letters, "")
        elif quote:
            word, quote = (word or "", "") if letter == quote else ((word or "") + letter, quote)
        elif letter in "\"'":
            word, quote = word or "", letter
        elif letter == "#":
            break
        elif letter in " \t\n\v\f\r":
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + letter
    return words + ([] if word is None else [word])


def quote(word: str) -> str:
    """Write a word so that `split_line` and sbatch read it back.

    Raises:
        InputError: If it holds the end of a line, which no ``#SBATCH`` line can.
    """
    if "\n" in word or "\0" in word:
        raise InputError(f"sbatch's option {word!r} holds the end of a line; leave it out")
    if re.fullmatch(r"[\w@%+=:,./\[\]-]+", word, re.ASCII):
        return word
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'


def variable_options(environment: Mapping[str, str]) -> list[Option]:
    """Read the options that sbatch takes from its variables.

    Args:
        environment: The variables.
    """
    found = ((option, environment.get(name)) for name, option in VARIABLES.items())
    return [Option(option, value) for option, value in found if value]


def merge(template: Iterable[Option], chosen: Iterable[Option]) -> list[Option]:
    """Put chosen options over a template's; of several with one name the last counts.

    Args:
        template: The template's.
        chosen: Those that win.
    """
    merged: dict[str, Option] = {}
    for option in (*template, *chosen):
        merged.pop(RIVALS.get(option.name, ""), None)
        merged[option.name] = option
    return list(merged.values())


def compose_script(text: str, options: Sequence[Option], words: Sequence[str]) -> str:
    """Write the script to submit: alone, it does what the template does with options and words.

    Words that are given to it follow those that are fixed in it.

    Args:
        text: The template.
        options: All of sbatch's options; the template's own lines go.
        words: The options of its command.

    Raises:
        InputError: If there are words, and the template does not pass them on.
    """
    top = _top(text)
    body = "".join(_lines(text)[len(top) :])
    if words and '"$@"' not in body:
        raise InputError(
            'the script does not pass options on: it has no "$@"; leave out what follows its '
            "name, or add it"
        )
    lines = [line for line in top if not line.startswith(SCRIPT_LINE)]
    first = lines[:1] if lines and lines[0].startswith("#!") else ["#!/usr/bin/env bash\n"]
    rest = lines[1:] if first == lines[:1] else lines
    asked = [f"{SCRIPT_LINE} {quote(str(option))}\n" for option in options]
    fixed = [f'set -- {shlex.join(words)} "$@"\n'] if words else []
    note = "# Written by combo-lightning slurm submit, with all options: sbatch repeats it.\n"
    return "".join([*first, note, *rest, *asked, *fixed, body])


def tasks_asked(options: Iterable[Option]) -> tuple[int, ...] | None:
    """Count the tasks of each node; None: only the allocation will tell.

    Args:
        options: All of sbatch's options.

    Example:
        >>> tasks_asked(read_options(["-N2", "--ntasks-per-node=4"])[0])
        (4, 4)
    """
    asked = {option.name: option.value or "" for option in options}
    numbers = [asked.get(name, "1") for name in ("nodes", "ntasks-per-node", "ntasks")]
    if not all(number.isdecimal() and int(number) for number in numbers):
        return None
    nodes, each, tasks = map(int, numbers)
    if "ntasks-per-gpu" in asked or ("ntasks" in asked and "nodes" not in asked):
        return None if tasks > 1 or "ntasks-per-gpu" in asked else (1,)
    if "ntasks" in asked:
        return tuple(tasks // nodes + (node < tasks % nodes) for node in range(nodes))
    return (each,) * nodes


def time_limit(options: Iterable[Option]) -> float | None:
    """Give the time limit in seconds; None: the partition's.

    Args:
        options: All of sbatch's options.

    Raises:
        InputError: If it is no time.

    Example:
        >>> time_limit([Option("time", "1-12")]), time_limit([Option("time", "90:30")])
        (129600.0, 5430.0)
    """
    asked = {option.name: option.value or "" for option in options}.get("time", "0")
    if asked.upper() in ("UNLIMITED", "INFINITE"):
        return None
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", asked)
    if found is None:
        raise InputError(
            f"--time is '{asked}'; give minutes, HOURS:MINUTES:SECONDS or DAYS-HOURS:MINUTES"
        )
    days, *parts = found.groups()
    given = [int(part) for part in parts if part is not None]
    # Without days, one number is minutes and two are minutes and seconds.
    units = (3600, 60, 1) if days or len(given) == 3 else (60, 1)
    seconds = int(days or 0) * 86_400 + sum(n * u for n, u in zip(given, units, strict=False))
    return float(seconds) or None


def command_of(text: str, variables: Mapping[str, str]) -> list[str] | None:
    """Find the command that a script runs with the words that it is given.

    Args:
        text: The script.
        variables: What is known of the job's variables before it runs.

    Returns:
        Its words before those, such as ``["fit", "--num_groups", "4"]``, without options whose
        values only the job knows; None: there is none.
    """
    body = text.replace("\\\n", " ")
    found = re.search(r'^[^#\n]*\bcombo-lightning\s+(?:slurm\s+run\s+)?(.*?)\s*"\$@"', body, re.M)
    if found is None:
        return None
    words: list[str] = []
    for word in shlex.split(found[1]):
        known = _expanded(word, variables)
        if "$" not in known:
            words.append(known)
        elif not known.startswith("-") and words and words[-1].startswith("-"):
            words.pop()
    return words


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    """Put variables' values into a word, and the sums of templates: ``$((NAME + 1))``."""

    def value(found: re.Match[str]) -> str:
        known = variables.get(found[1] or found[2] or found[3])
        if known is None:
            return found[0]
        return str(int(known) + int(found[4])) if found[3] else known

    names = r"\$(?:\{(\w+)(?::?-[^}]*)?\}|(\w+)|\(\((\w+) *\+ *(\d+)\)\))"
    return re.sub(names, value, word)


def array_tasks(spec: str) -> list[int]:
    """List the tasks of an array.

    Raises:
        InputError: If it is no list of numbers.

    Example:
        >>> array_tasks("1,4-10:3%2")
        [1, 4, 7, 10]
    """
    tasks: list[int] = []
    for part in spec.split("%")[0].split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+)(?::([1-9]\d*))?)?", part)
        if found is None:
            raise InputError(f"--array is '{spec}'; give numbers and ranges, such as 0-7%4")
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        tasks += range(first, last + 1, step)
    return tasks


def job_variables(options: Iterable[Option], tasks: tuple[int, ...] | None) -> dict[str, str]:
    """Tell what is known of a job's variables before it runs; of an array those of its first task.

    Args:
        options: All of sbatch's options.
        tasks: The tasks of each node; None: not known.
    """
    known: dict[str, str] = {}
    if tasks is not None:
        known |= dict.fromkeys(("SLURM_JOB_NUM_NODES", "SLURM_NNODES"), str(len(tasks)))
        known["SLURM_NTASKS"] = str(sum(tasks))
    spec = next((option.value for option in options if option.name == "array"), None)
    if spec:
        numbers = array_tasks(spec)
        known["SLURM_ARRAY_TASK_ID"] = known["SLURM_ARRAY_TASK_MIN"] = str(min(numbers))
        known["SLURM_ARRAY_TASK_MAX"] = str(max(numbers))
        known["SLURM_ARRAY_TASK_COUNT"] = str(len(numbers))
    return known


def log_pattern(output: str, job: str, name: str) -> str:
    """Name a job's log files, with ``*`` for what differs between an array's tasks.

    Args:
        output: Value of --output.
        job: The job's number.
        name: Its name.

    Example:
        >>> log_pattern("/r/job-%A_%a.log", "12", "fit")
        '/r/job-12_*.log'
    """
    known = {"%": "%", "j": job, "A": job, "x": name}
    return re.sub(r"%\d*(%|\w)", lambda found: known.get(found[1], "*"), output)
