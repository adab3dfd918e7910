"""``python -m scripts.bench.drugcomb``: prepare DrugComb's summary at its full size.

It writes 1.4 million rows in the layout of ``summary_v_1_5.csv`` (drawn at random), prepares each
kind of response in a process of its own, prints time and peak memory, and deletes the file.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scripts.bench import product

# DrugComb v1.5: rows, and about how many of them hold one drug, drugs, lines and studies.
ROWS, SINGLES, DRUGS, LINES, STUDIES = 1_432_351, 0.48, 8_397, 2_320, 34
COLUMNS = (
    "block_id", "drug_row", "drug_col", "cell_line_name", "study_name", "tissue_name",
    "conc_row_unit", "conc_col_unit", "ic50_row", "ic50_col", "ri_row", "ri_col", "css_row",
    "css_col", "css_ri", "S_sum", "S_mean", "S_max", "synergy_zip", "synergy_loewe",
    "synergy_hsa", "synergy_bliss", "drug_row_clinical_phase", "drug_col_clinical_phase",
    "drug_row_target_name", "drug_col_target_name",
)  # fmt: skip
# Of a row without a second drug these are missing.
_OF_PAIRS = {
    "drug_col", "conc_col_unit", "ic50_col", "ri_col", "css_col", "css_ri", "S_sum", "S_mean",
    "S_max", "synergy_zip", "synergy_loewe", "synergy_hsa", "synergy_bliss",
    "drug_col_clinical_phase", "drug_col_target_name",
}  # fmt: skip
_AT_ONCE = 20_000


def rows(count: int, seed: int = 1) -> Iterator[list[str | None]]:
    """Draw rows of the summary; None is missing."""
    random = np.random.default_rng(seed)
    for start in range(0, count, _AT_ONCE):
        size = min(_AT_ONCE, count - start)
        codes = random.integers((DRUGS, DRUGS, LINES, STUDIES), size=(size, 4))
        alone = random.random(size) < SINGLES
        numbers = np.round(random.normal(0, 15, (size, 14)), 6)
        ic50 = np.round(10 ** random.normal(0, 1, (size, 2)), 6)
        for i, (one, other, line, study) in enumerate(codes.tolist()):
            values = [f"{x}" for x in numbers[i].tolist()]
            row: list[str | None] = [
                str(start + i + 1), f"Drug-{one}", f"Drug-{other}", f"LINE-{line}",
                f"STUDY{study}", f"tissue {line % 20}", "uM", "uM", str(ic50[i, 0]),
                str(ic50[i, 1]), *values[:12], str(one % 5), str(other % 5),
                f"TARGET{one % 900}; TARGET{one % 7}", f"TARGET{other % 900}",
            ]  # fmt: skip
            if alone[i]:
                row = [None if c in _OF_PAIRS else v for c, v in zip(COLUMNS, row, strict=True)]
            yield row


def write_summary(path: Path, count: int) -> None:
    """Write the summary: everything in quotes but what is missing."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(f'"{name}"' for name in COLUMNS) + "\n")
        for row in rows(count):
            file.write(",".join("\\N" if v is None else f'"{v}"' for v in row) + "\n")


def main() -> int:
    """Write the file, prepare it, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/bench/drugcomb"))
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path = arguments.folder / "summary_v_1_5.csv"
    write_summary(path, arguments.rows)
    figures: dict[str, dict[str, float]] = {"file": {"mb": path.stat().st_size / 1e6}}
    for response in ("zip", "css", "ic50"):
        ran = product.run(
            "prepare", "screen", "--responses", str(path), "--response", response,
            "--out", str(arguments.folder / response), "--overwrite", "true",
        )  # fmt: skip
        figures[response] = {"seconds": ran.seconds, "peak_mb": ran.peak_mb}
    path.unlink()
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
