"""``prepare screen``: a public screen of whatever format, told by content, becomes a data set."""

import logging
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from combo_lightning.data.dataset import SourceFile, kind_named
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.duplicates import merge_duplicates
from combo_lightning.data.sources.profile_block import files_of
from combo_lightning.data.sources.screen_entities import EntityFiles, build_cells, build_drugs
from combo_lightning.data.sources.screen_facts import SeenDrugs, SeenLines
from combo_lightning.data.sources.screen_file import header_of, open_table
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)

OPTION = "--responses"
# A file that lacks so few of a format's columns is probably of it, and damaged.
_NEAR = 2


@dataclass(kw_only=True)
class ScreenSource(ABC):
    """A screen that is being read.

    Args:
        num_slots: K, the most drugs that one row combines.
        lines: Its cell lines, as far as the rows were read.
        drugs: Its drugs, likewise.
        nsc_only: Whether the drugs are NSC numbers and nothing else.
        files: The files that it is read from; None: all that the path names.
        dropped: Counts of dropped rows by reason, likewise.
        notes: What people should know, such as how many values are censored.
    """

    num_slots: int
    lines: SeenLines
    drugs: SeenDrugs
    nsc_only: bool = False
    files: Sequence[Path] | None = None
    dropped: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)

    @abstractmethod
    def rows(self) -> Iterator[Any]:
        """Read the rows, a batch at a time, in the unit of their kind.

        Yields:
            Arrow tables with columns of `data.schema.response_schema`.

        Raises:
            InputError: If a value is not what it must be.
        """


class ScreenFormat(Protocol):
    """A public format of screens."""

    @property
    def name(self) -> str:
        """What it is called, for people."""

    @property
    def responses(self) -> Sequence[str]:
        """The kinds of response that it holds, names of `schema.RESPONSE_KINDS`."""

    def recognises(self, path: Path, option: str) -> bool:
        """Tell from its content whether a file is of this format.

        Args:
            path: A file that exists, or a folder.
            option: The option that named it, for messages.
        """

    def open(self, path: Path, response: str) -> ScreenSource:
        """Open a file.

        Args:
            path: A file that `recognises` took.
            response: One of `responses`.

        Raises:
            InputError: If it lacks what the response needs.
        """


@runtime_checkable
class NearFormat(Protocol):
    """A format that can tell what a file lacks to be of it."""

    name: str

    def lacks(self, path: Path, option: str) -> Sequence[str]:
        """Name the columns that tell this format and that a file has not."""


@dataclass(frozen=True)
class ScreenRequest:
    """What is to be read.

    Args:
        path: The screen.
        response: What to take of it, a name of `schema.RESPONSE_KINDS`.
        entities: What describes cell lines and drugs.
        slots: K of the data set, more than the screen's leaves slots empty; None: the screen's.
        wells: What the user says that wells state, which only some formats ask; None: nothing.
    """

    path: Path
    response: str
    entities: EntityFiles
    slots: int | None = None
    wells: str | None = None


def format_of(path: Path, formats: Sequence[ScreenFormat]) -> ScreenFormat:
    """Tell the format of a screen.

    Args:
        path: The file, or a folder.
        formats: All formats, the most particular first.

    Raises:
        InputError: If it is missing, or of none of them.
    """
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{OPTION}: there is no file {path}{did_you_mean(path.name, siblings)}")
    for one in formats:
        if one.recognises(path, OPTION):
            logger.info("%s: %s: read as %s", OPTION, path, one.name)
            return one
    raise InputError(_why_unknown(path, formats))


def _why_unknown(path: Path, formats: Sequence[ScreenFormat]) -> str:
    """Say why a file is of no format: it cannot be read, it is nearly of one, or of none."""
    if zipfile.is_zipfile(path) and not header_of(path, OPTION):
        return f"{OPTION}: {path} is a ZIP archive; unpack it and name the file in it"
    if not path.is_dir():
        try:
            open_table(path, OPTION)
        except InputError as error:
            return str(error)
    lacking = {one.name: one.lacks(path, OPTION) for one in formats if isinstance(one, NearFormat)}
    nearest = min(lacking, key=lambda name: len(lacking[name]), default=None)
    if nearest is not None and len(lacking[nearest]) <= _NEAR:
        columns = header_of(path, OPTION)
        words = "' and '".join(lacking[nearest])
        return (
            f"{OPTION}: {path} would be {nearest} if it had a column '{words}'"
            f"{did_you_mean(lacking[nearest][0], columns)}; it has {', '.join(columns)}"
        )
    return (
        f"{OPTION}: {path} is of no format that is known here "
        f"({', '.join(one.name for one in formats)}); if it is a table of your own, use "
        "'combo-lightning prepare table' and name its columns"
    )


def prepare_screen(
    request: ScreenRequest,
    formats: Sequence[ScreenFormat],
    target: Target,
) -> Path:
    """Turn a public screen into a data set.

    Args:
        request: What to read.
        formats: All formats.
        target: The data set to make.

    Returns:
        The data set's directory.

    Raises:
        InputError: If a file does not fit.
    """
    found = format_of(request.path, formats)
    kind = kind_named(request.response)
    if kind.name not in found.responses:
        raise InputError(
            f"--response {kind.name}: {request.path} is {found.name}, which gives "
            f"{', '.join(found.responses)}"
        )
    if request.wells is not None and not hasattr(found, "wells"):
        raise InputError(
            f"--wells {request.wells}: {request.path} is {found.name}, which says itself what it "
            "states; leave the option out"
        )
    source = found.open(request.path, kind.name)
    slots = source.num_slots if request.slots is None else request.slots
    if slots < source.num_slots:
        raise InputError(
            f"--slots {slots}: the rows of {found.name} need {source.num_slots}; give that or more"
        )
    with target.writer(kind, slots) as writer:
        for rows in source.rows():
            writer.append(rows)
        told = _told(source, request.path)
        cells, reports = build_cells(source.lines.known(), request.entities)
        drugs, more = build_drugs(
            source.drugs.names(),
            request.entities,
            source.drugs.table(),
            nsc_only=source.nsc_only,
        )
        reports = [*reports, *more]
        for report in reports:
            logger.info("%s", "\n".join(report.lines()))
        if request.entities.merge_duplicates:
            drugs = merge_duplicates(writer, drugs)
        stated = {
            "format": found.name,
            **told,
            "joins": [report.to_plain() for report in reports],
        }
        files = files_of(request.path) if source.files is None else source.files
        sources = [
            *(SourceFile.of(file) for file in files),
            *request.entities.sources(),
        ]
        return writer.finish(cells, drugs, sources, {**target.made_by, **stated})


def _told(source: ScreenSource, path: Path) -> dict[str, dict[str, int]]:
    """Say what was dropped of a screen that was read, and what people should know.

    Returns:
        Both, for the manifest.

    Raises:
        InputError: If nothing is left.
    """
    dropped = {reason: count for reason, count in source.dropped.items() if count}
    notes = {note: count for note, count in source.notes.items() if count}
    for reason, count in dropped.items():
        logger.info("dropped %d: %s", count, reason)
    for note, count in notes.items():
        logger.info("%d: %s", count, note)
    if not source.lines:
        counted = [f"{count} ({reason})" for reason, count in dropped.items()]
        raise InputError(
            f"{OPTION}: {path} has no row that can be used; dropped were "
            f"{', '.join(counted) or 'none'}"
        )
    return {"dropped": dropped, "notes": notes}
