"""``combo-lightning merge A B [C ...] --out M``: several data sets as one."""

import sys
from collections.abc import Sequence
from pathlib import Path

from combo_lightning.cli.main import COMMANDS, invocation


def run(
    *,
    data_sets: list[Path],
    out: Path,
    study_names: list[str | None] | None = None,
    cell_names: list[Path] | Path | None = None,
    separate_blocks: list[str] | None = None,
    overwrite: bool = False,
) -> None:
    """Merge data sets.

    Args:
        data_sets: The data sets; where they differ, the first stands.
        out: The data set to make, a directory.
        study_names: A study name for all rows of each data set, as '[first,second]'; null: rows
            keep their own, and those without one are of a study named as the folder.
        cell_names: Other names of cell lines: DepMap's Model.csv, GDSC's table, cellosaurus.txt
            or your own; of several the first is believed.
        separate_blocks: Feature blocks that stay apart, as '[expression]': of other units, or
            other platforms.
        overwrite: Replace a data set that is there.
    """
    from combo_lightning.data.merging.merge import MergeOptions, merge

    tables = (cell_names,) if isinstance(cell_names, Path) else tuple(cell_names or ())
    options = MergeOptions(study_names or (), tables, separate_blocks or ())
    made = merge(data_sets, out, options, {"command": invocation()}, overwrite=overwrite)
    sys.stdout.write(f"wrote {made}\nnext: combo-lightning info {made}\n")


def main(words: Sequence[str]) -> int:
    """Read the command line, whose data sets stand without an option, and merge.

    Args:
        words: What follows the command's name.

    Returns:
        The exit code.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="combo-lightning merge", description=COMMANDS["merge"])
    parser.add_argument(
        "data_sets",
        nargs="+",
        type=Path,
        help="the data sets; where they differ, the first stands",
    )
    parser.add_function_arguments(run, skip={"data_sets"})
    run(**parser.parse_args(list(words)).as_dict())
    return 0
