"""Tables of cell lines' names: DepMap's Model.csv, GDSC's and any user's own, Cellosaurus.

A table has a column of names and further columns of names and identifiers; several names in a
field are separated by ``;`` or ``|``. ``cellosaurus.txt`` has lines ID (name), AC and AS
(accessions), SY (synonyms), DR (identifiers elsewhere) and ``//`` at the end of an entry; it was
not seen in bytes, but in code that reads it.
"""

import gzip
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from combo_lightning.data.cell_names import KnownLine, KnownLines
from combo_lightning.data.names import cell_key
from combo_lightning.data.sources.columns import GUESSES, MISSING, plain
from combo_lightning.data.sources.raw_text import is_gzip, read_rows, require_file
from combo_lightning.data.sources.spreadsheet import is_spreadsheet, read_sheets
from combo_lightning.data.sources.wide_table import open_wide, read_head
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

OPTION = "--cell_names"
# Columns by their names, letters and digits in lower case: DepMap's, GDSC's, the GDC's sample
# sheet, NCI-ALMANAC's, and what people write.
_NAME = (
    "celllinename", "cellline", "name", "samplename", "cellname", "sampleid", "modelname",
    "strippedcelllinename", "id", "cellid", "cell",
)  # fmt: skip
_OTHER = (
    *_NAME, "synonyms", "synonym", "othernames", "aliases", "alias", "modelid", "depmapid",
    "achid", "broadid", "rrid", "cellosaurus", "cellosaurusid", "accession", "cosmicid",
    "cosmicidentifier", "cosmic", "cclename", "ccleid", "sangermodelid", "sidm", "cellminer",
    "caseid",
)  # fmt: skip
_TISSUE = ("oncotreelineage", *GUESSES["tissue"], "gdsctissuedescriptor1", "tissuedescriptor1")
_SEVERAL = re.compile(r"[;|]")
# What names a line in another registry; the other cross-references are papers and collections.
_REGISTRIES = {"DepMap", "GDSC", "Cosmic", "Cosmic-CLP", "Cell_Model_Passport"}
_COSMIC = {"GDSC", "Cosmic", "Cosmic-CLP"}


def read_known_lines(paths: Sequence[Path], own: Sequence[KnownLine] = ()) -> KnownLines:
    """Read tables of names.

    Args:
        paths: The tables; where two disagree, the first is believed.
        own: What the screen itself tells of its lines; believed last.

    Raises:
        InputError: If one is missing, damaged or of no known layout.
    """
    tables: dict[str, Sequence[KnownLine]] = {}
    for path in paths:
        lines = list(_read(path))
        if not lines:
            raise InputError(f"{OPTION}: {path} names no cell line")
        logger.info("%s: %s names %d cell lines", OPTION, path, len(lines))
        tables[str(path.name) if path.name not in tables else str(path)] = lines
    if own:
        tables["the screen"] = own
    return KnownLines(tables, cell_key)


def _read(path: Path) -> Iterator[KnownLine]:
    require_file(path, OPTION)
    if is_spreadsheet(path):
        sheets = read_sheets(path, OPTION)
        for rows in sheets.values():
            if rows and _name_column(rows[0]) is not None:
                return _from_rows(rows, path)
        raise _no_names(path, next(iter(sheets.values()), [[]])[0])
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            raise InputError(f"{OPTION}: {path} is Parquet; save the table of names as CSV or TSV")
    head, _ = read_head(path, OPTION)
    if re.search(r"^ID {3}\S.*\nAC {3}CVCL_", head, re.MULTILINE):
        return _cellosaurus(path)
    rows = read_rows(path, OPTION, open_wide(path, OPTION).table.delimiter)
    _refuse_torn(rows, path)
    return _from_rows(rows, path)


def _refuse_torn(rows: Sequence[Sequence[str]], path: Path) -> None:
    """Refuse rows whose names could stand in another column, and a header that comes again.

    Raises:
        InputError: With the row.
    """
    header = rows[0]
    for row in rows[1:]:
        begin = f"{OPTION}: {path}, the row of '{row[0]}'"
        if len(row) > len(header):  # Excel leaves separators at the ends of rows away
            raise InputError(
                f"{begin} has {len(row)} fields, the header has {len(header)}; a name that holds "
                "the separator needs quotes around it"
            )
        if row == header:
            raise InputError(f"{begin}: the header comes again; remove the row")


def _name_column(header: Sequence[str]) -> int | None:
    place = {plain(name): i for i, name in reversed(list(enumerate(header)))}
    return next((place[name] for name in _NAME if name in place), None)


def _no_names(path: Path, header: Sequence[str]) -> InputError:
    return InputError(
        f"{OPTION}: {path} has no column of names, such as 'name' or 'CellLineName'; it has "
        f"{', '.join(header[:10])}"
    )


def _from_rows(rows: Sequence[Sequence[str]], path: Path) -> Iterator[KnownLine]:
    header = rows[0]
    name_column = _name_column(header)
    if name_column is None:
        raise _no_names(path, header)
    others = [i for i, h in enumerate(header) if plain(h) in _OTHER and i != name_column]
    tissues = {plain(h): i for i, h in enumerate(header)}
    tissue_column = next((tissues[name] for name in _TISSUE if name in tissues), None)
    for row in rows[1:]:
        fields = [("" if f in MISSING else f) for f in [*row, *[""] * (len(header) - len(row))]]
        names = [n.strip() for i in others for n in _SEVERAL.split(fields[i]) if n.strip()]
        name = fields[name_column] or next(iter(names), "")
        if name:
            tissue = fields[tissue_column] if tissue_column is not None else ""
            yield KnownLine(name, tuple(dict.fromkeys(names)), tissue or None)


def _cellosaurus(path: Path) -> Iterator[KnownLine]:
    """Read the entries in a stream: the file has about 120 MB."""
    name, others = "", list[str]()
    with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
        for raw in file:
            line = raw.decode("utf-8", errors="replace").lstrip("\ufeff")
            code, value = line[:2], line[5:].strip()
            if code == "ID":
                name, others = value, []
            elif code in ("AC", "AS", "SY"):
                others += [text.strip() for text in value.split(";") if text.strip()]
            elif code == "DR":
                registry, _, text = value.partition(";")
                if registry in _REGISTRIES:
                    text = text.strip()
                    others.append(f"COSMIC:{text}" if registry in _COSMIC else text)
            elif code == "//" and name:
                yield KnownLine(name, tuple(o for o in dict.fromkeys(others) if o != name))
                name = ""
