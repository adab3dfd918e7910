"""NCI-ALMANAC ComboScores: one row a drug pair, one column a cell line.

``NSC1,NSC2,<60 cell lines>``, UTF-8 with BOM, comma, integers, ``NA`` where missing. Which drug
stands as NSC1 is kept: the orientation of the measurement carries a plate effect. A pair that was
measured twice stands in two rows. Source: NCI, DTP_NCI60_ALMANAC_COMBO_SCORE.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from combo_lightning.data.cell_names import KnownLine
from combo_lightning.data.dataset import SourceFile, kind_named
from combo_lightning.data.dataset_writer import Target
from combo_lightning.data.duplicates import merge_duplicates
from combo_lightning.data.names import cell_key
from combo_lightning.data.sources.columns import IDENTIFIERS, MISSING, plain, reads_as_number
from combo_lightning.data.sources.raw_text import find_columns, read_rows
from combo_lightning.data.sources.screen_entities import EntityFiles, build_cells, build_drugs
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

_MISSING = {"", "NA", "NaN", "nan"}


def read_scores(path: Path) -> tuple[pd.DataFrame, list[str], dict[str, int]]:
    """Read the wide table into one row a measurement.

    Args:
        path: The file, gzip or plain.

    Returns:
        Columns ``cell_id``, ``drug_1`` (NSC1), ``drug_2`` (NSC2), ``response``; all cell lines of
        the header; counts of dropped values by reason.

    Raises:
        InputError: If the layout is another or a score is no number.
    """
    option = "--scores"
    header, *rows = read_rows(path, option, ",")
    place = find_columns(header, ["NSC1", "NSC2"], path, option)
    others = [(i, name) for i, name in enumerate(header) if i not in place.values()]
    # Such as the index that pandas writes, or what ends each line behind a separator.
    left = [name for _, name in others if plain(name) in IDENTIFIERS]
    if left:
        logger.warning("%s: %s: no cell lines, left out: '%s'", option, path, "', '".join(left))
    lines = [(i, name) for i, name in others if plain(name) not in IDENTIFIERS]
    if not lines:
        raise InputError(f"{option}: {path} has no column of a cell line beside NSC1 and NSC2")
    _refuse_equal_lines([name for _, name in lines], path)
    values = np.full((len(rows), len(lines)), np.nan)
    for r, row in enumerate(rows):
        if len(row) != len(header):
            raise InputError(
                f"{option}: {path}, line {r + 2} has {len(row)} fields, the header {len(header)}"
            )
        for c, (i, name) in enumerate(lines):
            if row[i] not in _MISSING:
                values[r, c] = _number(row[i], path, r + 2, name)
    drug_1 = [row[place["NSC1"]] for row in rows]
    drug_2 = [row[place["NSC2"]] for row in rows]
    row_index, line_index = np.nonzero(~np.isnan(values))
    frame = pd.DataFrame(
        {
            "cell_id": pd.Categorical.from_codes(
                line_index, categories=pd.Index([name for _, name in lines])
            ),
            "drug_1": pd.Categorical(np.array(drug_1, dtype=object)[row_index]),
            "drug_2": pd.Categorical(np.array(drug_2, dtype=object)[row_index]),
            "response": values[row_index, line_index].astype(np.float32),
        }
    )
    dropped = {"missing score": int(np.isnan(values).sum())}
    return frame, [name for _, name in lines], dropped


def _number(text: str, path: Path, line: int, column: str) -> float:
    value = float(text) if reads_as_number(text) and text not in MISSING else np.nan
    if not np.isfinite(value):
        shown = " ".join(text.splitlines())
        raise InputError(
            f"--scores: {path}, line {line}, column '{column}' holds '{shown}'; a ComboScore is a "
            "finite number, or NA"
        )
    return value


def _refuse_equal_lines(names: list[str], path: Path) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(cell_key(name), name)
        if other is not name:
            raise InputError(
                f"--scores: {path} has two columns of one cell line: '{other}', '{name}'"
            )


def prepare_combo_scores(scores: Path, files: EntityFiles, target: Target) -> Path:
    """Turn the ComboScore table into a data set.

    Args:
        scores: The wide table.
        files: What describes cell lines and drugs.
        target: The data set to make.

    Returns:
        The data set's directory.

    Raises:
        InputError: If any file does not fit.
    """
    with target.writer(kind_named("combo_score"), 2) as writer:
        frame, lines, dropped = read_scores(scores)
        if frame.empty:
            raise InputError(f"--scores: {scores} holds no score")
        cells, cell_reports = build_cells([KnownLine(line) for line in lines], files)
        ids = sorted({*frame["drug_1"].cat.categories, *frame["drug_2"].cat.categories}, key=_nsc)
        drugs, drug_reports = build_drugs(ids, files, nsc_only=True)
        for report in (*cell_reports, *drug_reports):
            logger.info("%s", "\n".join(report.lines()))
        logger.info("%d scores kept, %d missing", len(frame), dropped["missing score"])
        writer.append(frame)
        if files.merge_duplicates:
            drugs = merge_duplicates(writer, drugs)
        made_by = {
            **target.made_by,
            "dropped": dropped,
            "joins": [report.to_plain() for report in (*cell_reports, *drug_reports)],
        }
        return writer.finish(cells, drugs, [SourceFile.of(scores), *files.sources()], made_by)


def _nsc(text: str) -> tuple[int, str]:
    return (int(text) if text.isdigit() else 2**62, text)
