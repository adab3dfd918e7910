"""What a screen's own file tells of its cell lines and drugs, gathered while its rows are read."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from combo_lightning.data.cell_names import KnownLine, identifier
from combo_lightning.data.sources.drug_schema import DrugFile, DrugTable, drug_rows

logger = logging.getLogger(__name__)


class SeenLines:
    """The cell lines of a screen, in the order in which they come."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[dict[str, None], dict[str, None]]] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, name: Any, tissue: Any = None, others: Sequence[Any] = ()) -> None:
        """Note the lines of a batch.

        Args:
            name: Arrow text column of their names; rows without one are ignored.
            tissue: Their tissues.
            others: Columns of other names and identifiers.
        """
        for line, *known in _distinct([name, tissue, *others]):
            names, tissues = self._lines.setdefault(line, ({}, {}))
            tissues.update({known[0]: None} if known[0] else {})
            names.update(dict.fromkeys(word for word in known[1:] if word and word != line))

    def names(self) -> list[str]:
        """Give the lines' names."""
        return list(self._lines)

    def known(self) -> list[KnownLine]:
        """Give what is known of each line; of several tissues the first.

        A name that stands for several lines tells none of them (CCLE's TT is two), and goes.
        """
        self._warn_of_doubles()
        held = Counter(word for names, _ in self._lines.values() for word in names)
        held.update(self._lines.keys())
        return [
            KnownLine(
                line,
                tuple(w for w in names if held[w] == 1 or identifier(w) is not None),
                next(iter(tissues), None),
            )
            for line, (names, tissues) in self._lines.items()
        ]

    def _warn_of_doubles(self) -> None:
        """Say which names stand for several lines by identifiers, and the other way round."""
        holders: dict[tuple[str, str], list[str]] = {}
        for line, (names, _) in self._lines.items():
            found = [known for word in names if (known := identifier(word)) is not None]
            for known in found:
                holders.setdefault(known, []).append(line)
            for kind, count in Counter(kind for kind, _ in found).items():
                if count > 1:
                    of_it = ", ".join(value for other, value in found if other == kind)
                    logger.warning(
                        "'%s' has several %ss (%s) and is taken as one line", line, kind, of_it
                    )
        for (kind, value), lines in holders.items():
            if len(lines) > 1:
                logger.warning(
                    "%s %s stands for '%s', which stay %d lines",
                    kind,
                    value,
                    "', '".join(lines),
                    len(lines),
                )


class SeenDrugs:
    """The drugs of a screen, in the order in which they come.

    Args:
        path: The screen's file.
        option: The option that named it.
        format: What it is read as, for people.
    """

    def __init__(self, path: Path, option: str, format: str) -> None:
        self._path, self._option, self._format = path, option, format
        self._drugs: dict[str, dict[str, dict[str, None]]] = {}

    def __len__(self) -> int:
        return len(self._drugs)

    def add(self, name: Any, facts: Mapping[str, Any] = {}) -> None:
        """Note the drugs of a batch.

        Args:
            name: Arrow text column of what the rows call them; rows without one are ignored.
            facts: Columns by role, a key of `drug_schema.ROLES`.
        """
        for drug, *known in _distinct([name, *facts.values()]):
            roles = self._drugs.setdefault(drug, {})
            for role, value in zip(facts, known, strict=True):
                if value:
                    roles.setdefault(role, {})[value] = None

    def names(self) -> list[str]:
        """Give what the rows call the drugs."""
        return list(self._drugs)

    def table(self) -> DrugTable | None:
        """Give what the file knows of them beside names; None: nothing."""
        told = {name: roles for name, roles in self._drugs.items() if roles}
        if not told:
            return None
        names = list(told)
        columns = {
            role: [pa.array([next(iter(d.get(role, {})), None) for d in told.values()])]
            for role in dict.fromkeys(role for roles in told.values() for role in roles)
        }
        words = [{**roles.get("name", {}), **roles.get("synonyms", {})} for roles in told.values()]
        columns["name"] = [pa.array(names)]
        columns["synonyms"] = [pa.array(["\x1f".join(w) or None for w in words], pa.string())]

        def place(row: int) -> str:
            return f"{self._option}: {self._path}, drug '{names[row]}'"

        has_smiles = any("smiles" in roles for roles in told.values())
        file = DrugFile(
            self._path, self._option, self._format, place, has_smiles=has_smiles, lenient=True
        )
        return DrugTable((file,), drug_rows(0, columns))


def _distinct(columns: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Give the distinct rows of text columns, in order; those without a first are left out."""
    count = len(columns[0])
    named = {
        str(i): pa.nulls(count, pa.string()) if column is None else column
        for i, column in enumerate(columns)
    }
    table = pa.table(named)
    table = table.filter(table.column("0").is_valid())
    distinct = table.group_by(list(named), use_threads=False).aggregate([])
    return list(zip(*(column.to_pylist() for column in distinct.columns), strict=True))
