"""``combo-lightning predict``: responses from a checkpoint alone."""

import sys
import time
from pathlib import Path


def run(
    *,
    ckpt_path: Path,
    pairs: Path,
    out: Path,
    drugs: Path | None = None,
    cells: Path | None = None,
) -> None:
    """Predict the rows of a table.

    Args:
        ckpt_path: The checkpoint, such as RUN/checkpoints/best.ckpt; nothing else is needed.
        pairs: CSV, TSV or Parquet: cell_id, drug_1, drug_2 (names or ids), and log10_molar_1,
            log10_molar_2 where the model was trained on doses; study (or empty: unknown) where it
            tells studies apart.
        out: The predictions to write, .parquet or .csv.
        drugs: New drugs that `pairs` names: name, smiles.
        cells: New cell lines that `pairs` names: a name, then one column a feature.
    """
    from combo_lightning.inference.predictor import Predictor
    from combo_lightning.inference.tables import predict_file, read_new_cells, read_new_drugs

    predictor = Predictor.load(ckpt_path)
    if drugs is not None:
        predictor.add_drugs(*read_new_drugs(drugs))
    if cells is not None:
        predictor.add_cells(*read_new_cells(cells))
    start = time.perf_counter()
    rows = predict_file(predictor, pairs, out)
    seconds = time.perf_counter() - start
    sys.stdout.write(
        f"wrote {out}: {rows:,} predictions of {predictor.catalog.response.name} "
        f"({predictor.unit}) in {seconds:.1f} s\n"
    )
