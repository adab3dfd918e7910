"""Reading a user's table, and finding out which of its columns is what."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from combo_lightning.data.sources.raw_text import read_rows, require_file
from combo_lightning.errors import InputError, did_you_mean

logger = logging.getLogger(__name__)

# Names that a column of each role goes by, in lower case without punctuation; the best first.
GUESSES: dict[str, tuple[str, ...]] = {
    "cell": ("cellid", "cell", "cellline", "celllinename", "cellname", "depmapid", "modelid"),
    "response": (
        "response",
        "comboscore",
        "score",
        "growth",
        "percentgrowth",
        "value",
        "viability",
    ),
    "weight": ("weight",),
    "study": ("study", "studyname", "source"),
    "name": ("name", "drugname", "compound"),
    "smiles": ("smiles", "canonicalsmiles", "isomericsmiles"),
    "tissue": ("tissue", "panel", "lineage", "cancertype"),
}
_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "\\N"]


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def read_table(path: Path, option: str) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet table; text columns stay text.

    Raises:
        InputError: If the file is missing, damaged, empty or separated by something else.
    """
    require_file(path, option)
    stem = path.name.lower().removesuffix(".gz")
    if stem.endswith((".parquet", ".pq")):
        try:
            return pd.read_parquet(path)
        except (ValueError, OSError) as error:
            raise InputError(f"{option}: cannot read {path} as Parquet: {error}") from error
    header, *rows = read_rows(
        path, option, "\t" if stem.endswith((".tsv", ".tab", ".txt")) else ","
    )
    if not rows:
        raise InputError(f"{option}: {path} has a header but no rows")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise InputError(
                f"{option}: {path}, line {line} has {len(row)} fields, the header {len(header)}"
            )
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise InputError(f"{option}: {path} has two columns named '{sorted(twice)[0]}'")
    frame = pd.DataFrame(rows, columns=header, dtype=object)
    return frame.where(~frame.isin(_MISSING), None)


def find_column(
    frame: pd.DataFrame, named: str | None, guesses: Sequence[str], role: str, where: str
) -> str | None:
    """Find the column of a role: as named, else by guess (logged), else None.

    Raises:
        InputError: If the named column is not there.
    """
    columns = [str(column) for column in frame.columns]
    if named is not None:
        if named not in columns:
            raise InputError(
                f"{where} has no column '{named}'{did_you_mean(named, columns)}; it has "
                f"{', '.join(columns[:10])}"
            )
        return named
    plain = {_plain(column): column for column in reversed(columns)}
    for guess in guesses:
        if guess in plain:
            logger.info("%s: taking column '%s' as the %s", where, plain[guess], role)
            return plain[guess]
    return None


def numbers(frame: pd.DataFrame, column: str, where: str) -> npt.NDArray[np.float64]:
    """Convert a column to numbers; missing is NaN.

    Raises:
        InputError: With the first value that is no finite number.
    """
    text = frame[column]
    values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    bad = (np.isnan(values) & text.notna().to_numpy()) | np.isinf(values)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{where}, row {row + 1}, column '{column}' holds '{text.iloc[row]}'; it must be a "
            "finite number, or empty"
        )
    return values
