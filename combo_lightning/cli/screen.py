"""``combo-lightning screen``: all pairs of drugs in many cell lines, from a checkpoint."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # heavy imports
    from combo_lightning.inference.screen_request import ScreenRequest
    from combo_lightning.inference.screening import ScreenReport

logger = logging.getLogger(__name__)

SHOWN = 5


def run(
    *,
    ckpt_path: Path,
    out: Path,
    cells: str | None = None,
    drugs: str | None = None,
    top: int | None = None,
    contains: str | None = None,
    high: str | None = None,
    low: str | None = None,
    rank: Literal["highest", "lowest"] = "highest",
    log10_molar: float | None = None,
    study: str | None = None,
    precision: Literal["auto", "32-true", "bf16-mixed", "int8"] = "auto",
    part: str | None = None,
) -> None:
    """Answer all pairs; a stopped screen goes on when the same command is given again.

    Args:
        ckpt_path: The checkpoint, such as RUN/checkpoints/best.ckpt; nothing else is needed.
        out: With --top the table of the best, .parquet or .csv; else a folder for every score,
            one partition a cell line.
        cells: Cell lines, separated by commas, or a table of new ones (a name, then one column
            a feature); none: all that the model knows.
        drugs: Drugs, separated by commas, or a library: .smi, .sdf, or .csv, .tsv, .parquet
            with name and smiles; none: all that the model knows.
        top: Keep this many of each cell line and over all.
        contains: Drugs, separated by commas, of which each pair holds at least one.
        high: Cell lines, separated by commas, where the response should be high ..
        low: .. and lines where it should be low: ranks pairs by the difference of the means.
        rank: Which responses are the best.
        log10_molar: Dose of each drug, where the model was trained on doses.
        study: Study in whose scale to answer, where the model tells studies apart; none: unknown.
        precision: Arithmetic of the first pass; the best are always answered again in fp32. auto
            is int8, else bf16, where the processor has it, and fp32 where every score is written.
        part: K/N, such as 2/8: only the K-th of N equal parts, each a command of its own with the
            same other options, anywhere; the last one to end writes `out`.

    Raises:
        InputError: If the input is at fault.
        KeyboardInterrupt: If the user stops it.
    """
    from combo_lightning.inference.screen_request import ScreenRequest
    from combo_lightning.inference.screening import Screen
    from combo_lightning.parts import Part

    if precision == "auto" and top is None:
        precision = "32-true"
    request = ScreenRequest(
        ckpt_path=ckpt_path,
        out=out,
        cells=cells,
        drugs=drugs,
        contains=contains,
        high=high,
        low=low,
        top=top,
        lowest=rank == "lowest",
        log10_molar=log10_molar,
        study=study,
        dtype=_arithmetic(precision),
        part=Part.read(part) if part is not None else None,
    )
    screen = Screen(request)
    logger.info(
        "%s pairs in %d cell lines: %s scores%s",
        f"{len(screen.space):,}",
        len(screen.lines),
        f"{len(screen.space) * len(screen.lines):,}",
        f"; about {screen.num_scores:,} in {request.part}" if request.part else "",
    )
    try:
        report = screen.run()
    except KeyboardInterrupt:
        logger.info("stopped; the same command goes on from %s", screen.work.folder)
        raise
    _tell(report, request, screen.catalog.response.unit)


def _tell(report: "ScreenReport", request: "ScreenRequest", unit: str) -> None:
    """Say what was written, what was skipped, and how sure the list is."""
    out = request.out
    for row in report.skipped[:SHOWN]:
        logger.warning("skipped: row %d, '%s': %s", row.row, row.name, row.problem)
    if report.skipped:
        logger.warning(
            "%d rows of %s were skipped; all are in %s",
            len(report.skipped),
            request.drugs,
            out.with_name(f"{out.stem}.skipped.csv"),
        )
    rate = f"({report.rate:,.0f} a second)"
    if report.rows is None:
        sys.stdout.write(
            f"{request.part} is done: {report.scores:,} scores {rate}; the part that ends last "
            f"writes {out}\n"
        )
        return
    if request.top is None:
        sys.stdout.write(f"wrote {out}: {report.rows:,} scores {rate}\n")
        return
    logger.info(
        "the first pass erred by %.3g %s at most in a sample, by %.3g among the best, which were "
        "answered again",
        report.sample_error,
        unit,
        report.kept_error,
    )
    if not report.proven:
        logger.warning(
            "that is more than the screen allowed for: the end of the list may lack a pair; "
            "repeat with --precision 32-true"
        )
    sys.stdout.write(
        f"wrote {out}: {report.rows:,} rows, the best of {report.scores:,} scores {rate}\n"
    )


def _arithmetic(precision: Literal["auto", "32-true", "bf16-mixed", "int8"]) -> Any:
    """Choose the first pass's arithmetic.

    Raises:
        InputError: If int8 is asked for where the processor has no unit for it.
    """
    import torch

    from combo_lightning.errors import InputError
    from combo_lightning.precision import choose_precision, int8_unit

    unit = int8_unit()
    if precision == "int8" and unit is None:
        raise InputError(
            "--precision int8: this processor has no 8-bit unit (VNNI or AMX); leave it at auto"
        )
    if precision in ("auto", "int8") and unit is not None:
        logger.info("first pass: int8 (%s)", unit)
        return torch.qint8
    assert precision != "int8"
    chosen = choose_precision(precision, "cpu")
    return torch.bfloat16 if chosen == "bf16-mixed" else torch.float32
