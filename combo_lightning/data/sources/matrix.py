"""Any matrix of features and cell lines, either way round: text of any delimiter, or Parquet."""

import logging
from collections.abc import Callable, Sequence

from combo_lightning.data.sources.columns import GUESSES, IDENTIFIERS, plain
from combo_lightning.data.sources.depmap import gene_symbol
from combo_lightning.data.sources.profile import Profile, distinct
from combo_lightning.data.sources.wide_table import WideTable
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

_GENE_COLUMNS = (
    "genesymbol", "genesymbols", "hgncsymbol", "hugosymbol", "symbol", "genename", "gene",
    "description",
)  # fmt: skip


def matrix_profile(wide: WideTable, is_line: Callable[[str], bool] | None) -> Profile:
    """Read a matrix with lines as rows, or as columns, whichever has more of the lines.

    Args:
        wide: The file.
        is_line: Tells whether a name is one of the data set's lines; None: lines are rows, named
            by the first column.

    Raises:
        InputError: If no column holds numbers, a feature or line has no name or stands twice, or
            there is text among the numbers.
    """
    text = wide.text_columns()
    # What names rows: a column of text, the first one, or one of ids, which may be numbers.
    ids = [n for n in wide.columns if plain(n) in IDENTIFIERS or plain(n) in GUESSES["cell"]]
    candidates = list(dict.fromkeys([wide.columns[0], *text, *ids]))
    id_column, turned = wide.columns[0], False
    if is_line is not None:
        found = wide.read(candidates, []).texts
        hits = {
            name: sum(v is not None and is_line(v) for v in dict.fromkeys(values))
            for name, values in found.items()
        }
        id_column = max(hits, key=hits.__getitem__)
        turned = sum(map(is_line, wide.columns)) > hits[id_column]
    numbers = [n for n in wide.columns if n not in text and n != id_column]
    if turned:
        return _lines_as_columns(wide, text, is_line)
    features = [n for n in numbers if plain(n) not in IDENTIFIERS]
    if not features:
        raise InputError(f"{wide.table.where} has no column of numbers; each feature needs one")
    left = [name for name in wide.columns if name not in features and name != id_column]
    gene = next((n for n in left if plain(n) in _GENE_COLUMNS and n in text), None)
    if is_line is not None and gene is not None and len(features) == 1:
        raise InputError(
            f"{wide.table.where} has a row for each line ('{id_column}') and gene ('{gene}'); "
            "turn it into a matrix with one row a line and one column a gene"
        )
    columns, values_EF, _ = wide.read([id_column], features)
    lines = _names(wide, columns[id_column], id_column, "line")
    named = f"column '{id_column}'" if id_column else "the first column"
    _say(wide, len(lines), len(features), f"a row a line, named by {named}", left)
    symbols = [gene_symbol(name) or name for name in features]
    return Profile(distinct(symbols), tuple(symbols), tuple(lines), values_EF)


def _lines_as_columns(
    wide: WideTable, text: Sequence[str], is_line: Callable[[str], bool] | None
) -> Profile:
    """Read a matrix with a row a feature and a column a line.

    Raises:
        InputError: If no column names the features.
    """
    named = text if text else [wide.columns[0]]
    if is_line is not None and is_line(named[0]):
        raise InputError(
            f"{wide.table.where} has cell lines as columns and no column of names beside them; "
            "one must name the features"
        )
    wordy = next((n for n in text if is_line is not None and is_line(n)), None)
    if wordy is not None:
        raise InputError(
            f"{wide.table.where}: column '{wordy}' is a cell line, and holds text; its values "
            "must be numbers without quotes or signs around them"
        )
    # Lines that the data set lacks are read too: they are what a name is compared with.
    lines = [n for n in wide.columns if n not in named and plain(n) not in IDENTIFIERS]
    columns, values_FE, _ = wide.read(named, lines)
    by_plain = {plain(name): name for name in reversed(named)}
    gene_column = next((by_plain[n] for n in _GENE_COLUMNS if n in by_plain), None)
    # A column that names each row once; a chromosome or a type comes again.
    name_column = next(
        (n for n in named if len(set(columns[n])) == len(columns[n])), gene_column or named[0]
    )
    gene_column = gene_column or name_column
    features = _names(wide, columns[name_column], name_column, "feature")
    if not text and not all(name.isdigit() for name in features):
        raise InputError(
            f"{wide.table.where}: column '{name_column}' must name the features, and it holds "
            f"'{features[0]}'; put a column of names first"
        )
    genes = [g or "" for g in columns[gene_column]]
    left = [n for n in wide.columns if n not in (name_column, gene_column, *lines)]
    layout = f"a column a line; column '{name_column}' names the features, '{gene_column}' genes"
    _say(wide, len(lines), len(features), layout, left)
    return Profile(
        distinct([gene_symbol(name) or name for name in features]),
        tuple(gene_symbol(gene) or gene for gene in genes),
        tuple(lines),
        values_FE.T,
    )


def _names(wide: WideTable, values: Sequence[str | None], column: str, what: str) -> list[str]:
    """Give the names of rows, each there once (features may come again: they are numbered).

    Raises:
        InputError: If one is missing, or a line stands twice.
    """
    names: list[str] = []
    seen: dict[str, int] = {}
    for row, name in enumerate(values):
        if name is None:
            raise InputError(
                f"{wide.table.place(row)} has nothing in column '{column}', which names the "
                f"{what}s; name the {what} or remove the row"
            )
        if what == "line" and name in seen:
            raise InputError(
                f"{wide.table.place(row)}: the line '{name}' stood in "
                f"{wide.table.place(seen[name]).split(', ')[-1]} already; keep one row a line"
            )
        seen.setdefault(name, row)
        names.append(name)
    return names


def _say(wide: WideTable, lines: int, features: int, layout: str, left: Sequence[str]) -> None:
    logger.info(
        "%s: taken as a matrix of %d lines and %d features: %s", wide.table.where, lines, features,
        layout,
    )  # fmt: skip
    if left:
        shown = ", ".join(left[:8]) + (" ..." if len(left) > 8 else "")
        logger.info("%s: left out, as text or identifiers: %s", wide.table.where, shown)
