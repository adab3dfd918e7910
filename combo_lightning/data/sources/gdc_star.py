"""The Genomic Data Commons' gene counts by STAR, one file a sample, to log2(TPM + 1).

``*.augmented_star_gene_counts.tsv``: ``# gene-model: GENCODE v36``, then gene_id (versioned),
gene_name (not unique), gene_type, unstranded, stranded_first, stranded_second, tpm_unstranded,
fpkm_unstranded, fpkm_uq_unstranded; four summary rows N_*. Samples are named by the portal's
sample sheet, where one lies in the folder. Source: portal.gdc.cancer.gov; not seen in bytes, but
in code that reads them.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from combo_lightning.data.blocks import FloatArray
from combo_lightning.data.sources.profile import Profile, distinct
from combo_lightning.data.sources.raw_text import find_columns, read_rows
from combo_lightning.data.sources.wide_table import WideTable, open_wide
from combo_lightning.errors import InputError

logger = logging.getLogger(__name__)

_TPM = "tpm_unstranded"
_SHEET = ("File Name", "Sample ID")


def is_gdc_counts(columns: Sequence[str]) -> bool:
    """Tell the layout from the names of its columns."""
    return {"gene_id", "gene_name"} <= set(columns) and bool(
        {_TPM, "unstranded", "fpkm_unstranded"} & set(columns)
    )


def is_sample_sheet(columns: Sequence[str]) -> bool:
    """Tell the portal's sample sheet from the names of its columns."""
    return set(_SHEET) <= set(columns)


def gdc_counts(path: Path, option: str) -> Profile:
    """Read one sample's file, or a folder of them, also as the portal's tool lays it out.

    Args:
        path: The file or the folder.
        option: The option that named it, for messages.

    Raises:
        InputError: If the folder holds none, files differ in their genes, a TPM is negative, or
            the sample sheet gives two files the same sample.
    """
    files, sheet = _files(path, option)
    samples = _sample_names(files, sheet, option)
    first = ""
    genes: list[tuple[str, str]] = []
    values_EF = np.empty((0, 0), dtype=np.float32)
    for row, file in enumerate(files):
        found, values_F = _read_one(open_wide(file, option))
        if not row:
            first, genes = file.name, found
            values_EF = np.empty((len(files), len(genes)), dtype=np.float32)
        elif found != genes:
            raise InputError(
                f"{option}: {file} has other genes than {first}; samples of one gene model, in "
                "one order, can stand together"
            )
        values_EF[row] = values_F
    names = [name for _, name in genes]
    logger.info(
        "%s: %s: taken as GDC gene counts, log2(TPM + 1): %d samples%s, %d genes, %d of them with "
        "a name that others have too",
        option,
        path,
        len(files),
        "" if sheet else " (named by their files: no sample sheet is there)",
        len(names),
        len(names) - len(set(names)),
    )
    return Profile(distinct(names), tuple(names), samples, values_EF, "GDC")


def _files(path: Path, option: str) -> tuple[list[Path], Path | None]:
    """Find the files of counts, and a sample sheet beside them.

    Raises:
        InputError: If there is no file of counts, or there are two sheets.
    """
    if path.is_file():
        return [path], None
    files, sheets = [], []
    for file in sorted(path.rglob("*")):
        if not file.is_file() or not file.name.lower().endswith((".tsv", ".txt", ".tsv.gz")):
            continue
        columns = _columns(file, option)
        if is_gdc_counts(columns):
            files.append(file)
        elif is_sample_sheet(columns):
            sheets.append(file)
    if not files:
        raise InputError(
            f"{option}: {path} is a folder without files of the GDC's gene counts "
            "(*.augmented_star_gene_counts.tsv); name a file, or the folder that holds them"
        )
    if len(sheets) > 1:
        raise InputError(
            f"{option}: {path} holds two sample sheets, {sheets[0].name} and {sheets[1].name}; "
            "keep one"
        )
    return files, sheets[0] if sheets else None


def _columns(file: Path, option: str) -> tuple[str, ...]:
    try:
        return open_wide(file, option).columns
    except InputError:
        return ()  # a manifest, a log: no table of ours


def _sample_names(files: Sequence[Path], sheet: Path | None, option: str) -> tuple[str, ...]:
    """Name each file's sample.

    Raises:
        InputError: If the sheet lacks a file, or gives two files one sample.
    """
    if sheet is None:
        return distinct([file.name.split(".")[0] for file in files])
    header, *rows = read_rows(sheet, option, "\t")
    place = find_columns(header, list(_SHEET), sheet, option)
    names = {row[place["File Name"]]: row[place["Sample ID"]] for row in rows}
    owner: dict[str, Path] = {}
    for file in files:
        name = names.get(file.name) or names.get(f"{file.name}.gz")
        if name is None:
            raise InputError(
                f"{option}: the sample sheet {sheet} has no row for the file {file.name}; add "
                "it, or move the file away"
            )
        if name in owner:
            raise InputError(
                f"{option}: the sample sheet {sheet} names both {owner[name].name} and "
                f"{file.name} '{name}'; keep one file a sample"
            )
        owner[name] = file
    return tuple(owner)


def _read_one(wide: WideTable) -> tuple[list[tuple[str, str]], FloatArray]:
    """Read one sample: its genes, id and name, and log2(TPM + 1) of each.

    Raises:
        InputError: If there is no TPM, or one is negative or missing.
    """
    where = wide.table.where
    if _TPM not in wide.columns:
        raise InputError(
            f"{where} has no column '{_TPM}'; counts alone give no TPM without the lengths of "
            "genes: download the augmented counts from the GDC"
        )
    found, values_F1, _ = wide.read(
        ["gene_id", "gene_name"],
        [_TPM],
        lambda f: np.array([g is not None and not g.startswith("N_") for g in f["gene_id"]]),
    )
    values_F = values_F1[:, 0]
    ids = [str(gene).split(".")[0] for gene in found["gene_id"]]
    genes = [(i, n or i) for i, n in zip(ids, found["gene_name"], strict=True)]
    bad = np.flatnonzero(~(values_F >= 0))
    if bad.size:
        raise InputError(
            f"{where}: the gene {genes[bad[0]][1]} has the TPM {values_F[bad[0]]}; it must be 0 "
            "or more"
        )
    return genes, np.log2(values_F + np.float32(1))
