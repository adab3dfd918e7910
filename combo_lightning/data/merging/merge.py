"""Several prepared data sets as one: the union of their rows, each with its study."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from combo_lightning.data.columns import name_codes
from combo_lightning.data.dataset import OpenedDataset, SourceFile, fingerprint_of, open_dataset
from combo_lightning.data.dataset_writer import DatasetWriter
from combo_lightning.data.merging.drugs import DrugSeeker
from combo_lightning.data.merging.features import merge_entities
from combo_lightning.data.merging.joining import Joined, join_entities
from combo_lightning.data.merging.lines import LineSeeker
from combo_lightning.data.plausibility import CHECKS
from combo_lightning.data.schema import ResponseKind, dose_columns, drug_columns
from combo_lightning.data.sources.cell_names_file import read_known_lines
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MergeOptions:
    """How data sets are merged.

    Args:
        study_names: What to call each data set and all its rows; None: by its folder, and its rows
            by their own studies. Empty: so for all.
        cell_names: Tables of other names of cell lines; the first is believed.
        separate_blocks: Feature blocks to keep apart, one for each data set.
    """

    study_names: Sequence[str | None] = ()
    cell_names: Sequence[Path] = ()
    separate_blocks: Sequence[str] = ()


@dataclass(frozen=True)
class _Part:
    """One of the data sets.

    Args:
        title: What it is called.
        renamed: Whether its rows are of a study of this title, whatever they say themselves.
        data: It.
        studies: Rows of each study, as they will be called.
    """

    title: str
    renamed: bool
    data: OpenedDataset
    studies: Mapping[str, int]

    @classmethod
    def of(cls, path: Path, title: str, *, renamed: bool) -> "_Part":
        """Open a data set and count the rows of its studies."""
        data = open_dataset(path)
        counts: Counter[str] = Counter()
        for batch in data.batches(["study"]):
            names = _studies(batch.column("study"), title, renamed=renamed)
            found = names.value_counts()
            counts.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(),
                                   strict=True)))  # fmt: skip
        return cls(title, renamed, data, dict(counts))

    def tables(self, cells: Any, drugs: Any) -> Iterator[pa.Table]:
        """Read the rows, with the names of the merged data set.

        Args:
            cells: Name of each of its cell lines there.
            drugs: Name of each of its drugs there.
        """
        slots = self.data.num_slots
        own = {
            "cell_id": (pa.array(self.data.cells.ids, pa.string()), cells),
            **{
                name: (pa.array(self.data.drugs.ids, pa.string()), drugs)
                for name in drug_columns(slots)
            },
        }
        for batch in self.data.batches():
            columns: dict[str, Any] = {
                name: _renamed(batch.column(name), *names) for name, names in own.items()
            }
            for name in [*dose_columns(slots), "response", "weight"]:
                columns[name] = batch.column(name)
            columns["study"] = _studies(batch.column("study"), self.title, renamed=self.renamed)
            yield pa.table(columns)


def _renamed(column: pa.DictionaryArray, old: Any, new: Any) -> Any:
    """Take the new name of each row."""
    names = new.take(pc.index_in(column.dictionary, value_set=old))
    return names.take(column.indices)


def _studies(column: pa.DictionaryArray, title: str, *, renamed: bool) -> Any:
    """Give the study of each row: its own, else the data set's."""
    if renamed:
        return pa.array([title]).take(pa.array([0] * len(column)))
    nameless = name_codes(column) < 0
    own = column.cast(pa.string())
    return pc.fill_null(own, title) if nameless.any() else own


def merge(
    paths: Sequence[Path],
    out: Path,
    options: MergeOptions,
    made_by: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> Path:
    """Merge data sets; memory holds their features, and a batch of rows.

    Args:
        paths: Their directories; where they differ, the first stands.
        out: The data set to make.
        options: How.
        made_by: The command, for the manifest.
        overwrite: Replace a data set that is there.

    Returns:
        The data set's directory.

    Raises:
        InputError: If data sets do not fit together; nothing is written then.
    """
    parts = _open_parts(paths, out, options)
    titles = [part.title for part in parts]
    for name in options.separate_blocks:
        blocks = {b for p in parts for b in (*p.data.cells.blocks, *p.data.drugs.blocks)}
        if name not in blocks:
            raise InputError(
                f"--separate_blocks names '{name}'{did_you_mean(name, blocks)}; there are "
                f"{', '.join(sorted(blocks)) or 'no blocks'}"
            )
    known = read_known_lines(options.cell_names) if options.cell_names else None
    line_sets, drug_sets = [p.data.cells for p in parts], [p.data.drugs for p in parts]
    lines = join_entities(line_sets, titles, LineSeeker(known))
    drugs = join_entities(drug_sets, titles, DrugSeeker())
    cells, cell_notes = merge_entities(line_sets, titles, lines, options.separate_blocks)
    compounds, drug_notes = merge_entities(drug_sets, titles, drugs, options.separate_blocks)
    reports = [
        report for pair in zip(lines.reports, drugs.reports, strict=True) for report in pair
    ]
    for text in [*(line for r in reports for line in r.lines()), *cell_notes, *drug_notes]:
        logger.info("%s", text)
    stated = {
        **made_by,
        "joins": [report.to_plain() for report in reports],
        "remarks": [*cell_notes, *drug_notes],
        "merged": [
            {
                "path": str(part.data.path),
                "title": part.title,
                "fingerprint": fingerprint_of(part.data.manifest),
                "studies": part.studies,
            }
            for part in parts
        ],
    }
    kind, slots = parts[0].data.kind, max(part.data.num_slots for part in parts)
    # Each was checked when it was prepared.
    with DatasetWriter(out, kind, slots, overwrite=overwrite, accept=CHECKS) as writer:
        _write_rows(writer, parts, lines, drugs)
        return writer.finish(cells, compounds, _sources(parts), stated)


def _write_rows(
    writer: DatasetWriter, parts: Sequence[_Part], lines: Joined, drugs: Joined
) -> None:
    for number, part in enumerate(parts):
        names = (
            pa.array([joined.ids[place] for place in joined.places[number]], pa.string())
            for joined in (lines, drugs)
        )
        for table in part.tables(*names):
            writer.append(table)


def _sources(parts: Sequence[_Part]) -> list[SourceFile]:
    """Carry the raw files over, each once."""
    found = {
        (source["path"], source["sha256"]): SourceFile(**source)
        for part in parts
        for source in part.data.manifest["sources"]
    }
    return list({asdict(source)["sha256"]: source for source in found.values()}.values())


def _open_parts(paths: Sequence[Path], out: Path, options: MergeOptions) -> list[_Part]:
    """Open the data sets and refuse those that do not fit together.

    Raises:
        InputError: If there are fewer than two, one stands twice, or kinds or studies clash.
    """
    if len(paths) < 2:
        raise InputError(f"merge needs two data sets or more; {len(paths)} was given")
    if any(Path(path).resolve() == out.resolve() for path in paths):
        raise InputError(f"--out: {out} is one of the data sets to merge; choose another name")
    given = list(options.study_names) or [None] * len(paths)
    if len(given) != len(paths):
        raise InputError(
            f"--study_names has {len(given)} names for {len(paths)} data sets; give one for each, "
            "or null where the rows keep their own"
        )
    titles = [name or Path(p).resolve().name for name, p in zip(given, paths, strict=True)]
    parts = [
        _Part.of(Path(path), title, renamed=bool(name))
        for path, title, name in zip(paths, titles, given, strict=True)
    ]
    for number, part in enumerate(parts):
        for other in parts[:number]:
            _check_pair(other, part)
    return parts


def _check_pair(first: _Part, second: _Part) -> None:
    """Refuse two data sets that cannot be one.

    Raises:
        InputError: If they are the same, of two kinds, or share a study by accident.
    """
    a, b = first.data, second.data
    if fingerprint_of(a.manifest) == fingerprint_of(b.manifest):
        raise InputError(f"{a.path} and {b.path} hold the same data; name each data set once")
    if a.kind != b.kind:
        raise InputError(
            f"{a.path} holds {_said(a.kind)}, {b.path} {_said(b.kind)}; only equal responses can "
            "be merged: prepare one of them again"
        )
    shared = sorted(first.studies.keys() & second.studies.keys())
    if (shared and not (first.renamed and second.renamed)) or first.title == second.title:
        name = shared[0] if shared else first.title
        if first.renamed and second.renamed:
            return
        raise InputError(
            f"{a.path} and {b.path} would both have rows of a study '{name}'; name the data sets "
            "apart with --study_names, as in '[first,second]', or alike if they are one study"
        )


def _said(kind: ResponseKind) -> str:
    return f"{kind.name} in {kind.unit}" + (" at stated doses" if kind.per_dose else "")
