"""The tables of CTRP v2: which file of a folder or ZIP archive is which, told by its columns."""

import re
import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.sources.columns import UserTable, plain, texts
from combo_lightning.data.sources.screen import OPTION
from combo_lightning.data.sources.screen_file import find_column, header_of, open_table
from combo_lightning.errors import InputError

# What each table has, and what the release calls it.
CURVES, REFIT, POINTS = "curves", "refitted curves", "points"
COMPOUNDS, LINES, EXPERIMENTS = "compounds", "cell lines", "experiments"
_COLUMNS: dict[str, tuple[str, ...]] = {
    CURVES: ("experiment_id", "master_cpd_id", "area_under_curve", "p1_center", "p2_slope"),
    REFIT: ("experiment_id", "master_cpd_id", "area_under_curve", "ec50_log2_umol"),
    POINTS: ("experiment_id", "master_cpd_id", "cpd_conc_umol", "cpd_avg_pv", "cpd_pred_pv"),
    COMPOUNDS: ("master_cpd_id", "cpd_name", "top_test_conc_umol"),
    LINES: ("master_ccl_id", "ccl_name"),
    EXPERIMENTS: ("experiment_id", "master_ccl_id", "culture_media"),
}
NAMES = {
    CURVES: "v20.data.curves_post_qc.txt",
    REFIT: "new-abs-auc-with-qc.txt",
    POINTS: "v20.data.per_cpd_post_qc.txt",
    COMPOUNDS: "v20.meta.per_compound.txt",
    LINES: "v20.meta.per_cell_line.txt",
    EXPERIMENTS: "v20.meta.per_experiment.txt",
}
RESPONSES = (CURVES, REFIT, POINTS)
_TEXT = re.compile(r"\.(?:txt|tsv|csv)(?:\.gz)?$", re.IGNORECASE)
# A folder of more text files than that is no release of CTRP.
_MOST = 200
_HEADER_BYTES = 1 << 16


def kind_of(columns: Sequence[str]) -> str | None:
    """Tell which table a header belongs to; None: none of CTRP's."""
    have = {plain(name) for name in columns}
    return next((k for k, names in _COLUMNS.items() if {plain(n) for n in names} <= have), None)


def holds_responses(path: Path) -> bool:
    """Tell whether a folder, an archive or a file is or holds a table of responses."""
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if _TEXT.search(file.name)][:_MOST]
        return any(kind_of(header_of(file, OPTION)) in RESPONSES for file in files)
    if zipfile.is_zipfile(path):
        return any(kind in RESPONSES for _, kind in _members(path))
    return kind_of(header_of(path, OPTION)) in RESPONSES


def _members(path: Path) -> Iterator[tuple[zipfile.ZipInfo, str | None]]:
    """Give the members of an archive that are text, and which table each is."""
    # What Python cannot unpack (NCI's archives are Deflate64) is none of CTRP's.
    unreadable = (zipfile.BadZipFile, NotImplementedError, OSError, zlib.error)
    with suppress(*unreadable), zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if _TEXT.search(member.filename)]
        for member in members[:_MOST]:
            with archive.open(member) as file:
                header = file.readline(_HEADER_BYTES).decode("utf-8-sig", "replace")
            yield member, kind_of(re.split(r"[\t,;|]", header.strip()))


class _Unpacked:
    """A folder for members of an archive, which goes when nothing refers to this object."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="ctrp-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def take(self, path: Path) -> list[Path]:
        """Unpack the members of an archive that are tables of CTRP.

        Raises:
            InputError: If it is damaged.
        """
        members = [member for member, kind in _members(path) if kind is not None]
        try:
            with zipfile.ZipFile(path) as archive:
                return [Path(archive.extract(member, self.path)) for member in members]
        except (zipfile.BadZipFile, OSError, zlib.error) as error:
            raise InputError(
                f"{OPTION}: {path} is damaged or truncated ({error}); copy or download it again"
            ) from error


@dataclass(frozen=True)
class CtrpFiles:
    """The tables of a release.

    Args:
        where: What the user named.
        responses: The table of responses to read, one of `RESPONSES`.
        tables: Files by kind.
        unpacked: Where the members of an archive were put, and which goes with this object.
    """

    where: Path
    responses: str
    tables: Mapping[str, Path]
    unpacked: _Unpacked | None = None

    @classmethod
    def find(cls, path: Path, wanted: str | None) -> "CtrpFiles":
        """Find the tables: of a folder, an archive, or beside one of them.

        Args:
            path: What the user named, in which `holds_responses`.
            wanted: The table of responses; None: the one that is named, else the curves.

        Raises:
            InputError: If an archive cannot be unpacked.
        """
        unpacked: _Unpacked | None = None
        if path.is_dir():
            files = sorted(path.iterdir())
        elif zipfile.is_zipfile(path):
            unpacked = _Unpacked()
            files = unpacked.take(path)
        else:
            files = [path, *sorted(path.parent.iterdir())]
            wanted = wanted or kind_of(header_of(path, OPTION))
        tables: dict[str, Path] = {}
        for file in [file for file in files if _TEXT.search(file.name) and file.is_file()][:_MOST]:
            kind = kind_of(header_of(file, OPTION))
            if kind is not None:
                tables.setdefault(kind, file)
        responses = wanted or next(kind for kind in RESPONSES if kind in tables)
        return cls(path, responses, tables, unpacked)

    def path(self, kind: str) -> Path:
        """Give the file of a table.

        Raises:
            InputError: If it is not there.
        """
        if kind not in self.tables:
            raise InputError(
                f"{OPTION}: {self.where} has no table of {kind} ({NAMES[kind]}, with the columns "
                f"{', '.join(_COLUMNS[kind])}); put it beside the others"
            )
        return self.tables[kind]

    def open(self, kind: str) -> UserTable:
        """Open a table.

        Raises:
            InputError: If it is not there.
        """
        return open_table(self.path(kind), OPTION)

    def read(self, kind: str, key: str, *columns: str) -> dict[str, Any]:
        """Read columns of a table as text, by column; missing is null.

        Args:
            kind: The table.
            key: The column whose values name the rows.
            columns: Others; one that the file lacks is all null.

        Returns:
            The columns, with rows that say the same again left out.

        Raises:
            InputError: If it is not there, or two rows of one key disagree.
        """
        table = self.open(kind)
        rows = table.read()

        def column(name: str) -> Any:
            own = find_column(table, (name,))
            return pa.nulls(len(rows), pa.string()) if own is None else texts(rows.column(own))

        named = {name: column(name) for name in (key, *columns)}
        told = pa.table(named).filter(named[key].is_valid())
        told = told.group_by(told.column_names, use_threads=False).aggregate([])
        counts = pc.value_counts(told.column(key))
        twice = [entry["values"].as_py() for entry in counts if entry["counts"].as_py() > 1]
        if twice:
            raise InputError(
                f"{table.where} says different things of {key} {twice[0]} in several rows "
                f"(columns {', '.join(columns)}); leave one of them"
            )
        return {name: told.column(name).combine_chunks() for name in told.column_names}
