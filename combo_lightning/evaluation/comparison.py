"""A model's test scores beside the baselines', as a whole and part by part.

Shapes: N test rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import Codes
from combo_lightning.data.splits import Split
from combo_lightning.data.study_split import measured_elsewhere
from combo_lightning.errors import InputError
from combo_lightning.evaluation.baselines import fit_baselines
from combo_lightning.evaluation.groups import scores_by_group
from combo_lightning.evaluation.replicates import (
    WHY_NOT_A_CEILING,
    ReplicateStatement,
    state_replicates,
)
from combo_lightning.evaluation.scores import Scores, score

Floats = npt.NDArray[np.float64]

# Studies whose scores fit into one sentence; a screen may name a study a plate.
MOST_STUDIES = 6
# Whether training rows of other studies hold a row's combination in its line.
MEASURED = ("measured here alone", "in other studies too")
METRICS = ("r2", "pearson", "spearman", "rmse", "mae")


@dataclass(frozen=True)
class Comparison:
    """Test scores side by side.

    Args:
        unit: Unit of the response.
        models: The model's scores by name, the model itself first.
        baselines: The baselines' scores by name.
        by_unseen: The scores of each model and baseline (column ``predictor``) for rows with 0, 1,
            2 .. drugs that training never saw; empty where all rows are of one kind.
        by_measured: The same for rows whose combination in their line training rows of other
            studies hold, and for others; empty where all rows are of one kind.
        measured: How many rows training rows of other studies hold so.
        by_study: The model's scores for each study; empty where all test rows are of one.
        by_line: The model's scores for each cell line.
        by_tissue: The same for each tissue.
        by_drug: The same for each drug; a row counts for each of its drugs.
        replicates: What replicates say.
        members: The scores of an ensemble's members alone, by name; empty: it is one model.
    """

    unit: str
    models: Mapping[str, Scores]
    baselines: Mapping[str, Scores]
    by_unseen: pd.DataFrame
    by_measured: pd.DataFrame
    measured: int
    by_study: pd.DataFrame
    by_line: pd.DataFrame
    by_tissue: pd.DataFrame
    by_drug: pd.DataFrame
    replicates: ReplicateStatement
    members: Mapping[str, Scores] = field(default_factory=dict)

    @property
    def mean_member(self) -> Scores | None:
        """The mean of each score over an ensemble's members; None: it is one model."""
        if not self.members:
            return None
        plain = [member.to_plain() for member in self.members.values()]
        means = {name: float(np.mean([scores[name] for scores in plain])) for name in plain[0]}
        del means["rows"]
        return Scores(self.model.rows, **means)

    @property
    def model(self) -> Scores:
        """The model's own scores."""
        return next(iter(self.models.values()))

    @property
    def best_baseline(self) -> str:
        """The baseline with the smallest squared error, which has the highest R2."""
        return min(self.baselines, key=lambda name: self.baselines[name].mse)

    def lines(self) -> list[str]:
        """Say plainly who is ahead, over all rows and part by part, and what replicates say."""
        errors = {name: scores.mse for name, scores in self.baselines.items()}
        lines = []
        for name, scores in self.models.items():
            who = "the model" if scores is self.model else f"'{name}'"
            better = _at_least_as_good(scores.mse, errors)
            if better:
                lines.append(f"A baseline beats {who}: {', '.join(better)}.")
            elif scores is self.model:
                lines.append(self._lead())
        lines += self._gain()
        if 0 < len(self.by_study) <= MOST_STUDIES:
            shown = zip(self.by_study["name"], self.by_study["r2"], strict=True)
            lines.append("R2 by study: " + ", ".join(f"{n} {r2:.3f}" for n, r2 in shown) + ".")
        if self.measured:
            lines.append(
                f"{self.measured:,} of {self.model.rows:,} test rows measure a combination in a "
                "line that training rows of other studies hold too."
            )
        for parts in (self.by_unseen, self.by_measured):
            for part, frame in parts.groupby("name") if len(parts) else ():
                error = dict(zip(frame["predictor"], frame["mse"], strict=True))
                own = error[next(iter(self.models))]
                better = _at_least_as_good(own, {name: error[name] for name in self.baselines})
                if better:
                    lines.append(f"With {part} a baseline beats the model: {', '.join(better)}.")
        lines += self.replicates.lines()
        if (
            self.replicates.opposite_order > 0.99
            and self.model.r2 > self.replicates.naive_ceiling_r2
        ):
            lines.append(WHY_NOT_A_CEILING)
        return lines

    def _gain(self) -> list[str]:
        """Say what averaging brings."""
        alone = self.mean_member
        if alone is None:
            return []
        rmses = [scores.rmse for scores in self.members.values()]
        return [
            f"The mean prediction of {len(rmses)} members has an RMSE of {self.model.rmse:.4g}; "
            f"alone they have {alone.rmse:.4g} on average ({min(rmses):.4g} to {max(rmses):.4g})."
        ]

    def _lead(self) -> str:
        best = self.best_baseline
        by = f"{self.model.r2 - self.baselines[best].r2:.3f} of R2"
        if not np.isfinite(self.model.r2):  # one row, or a constant response
            by = f"{self.baselines[best].rmse - self.model.rmse:.3g} of RMSE"
        return f"The model beats every baseline; the best is '{best}', by {by}."

    def to_plain(self) -> dict[str, Any]:
        """Give everything as plain values, for JSON; what is not defined is null."""
        frames = {
            "by_unseen_drugs": self.by_unseen,
            "by_measured": self.by_measured,
            "by_study": self.by_study,
            "by_cell_line": self.by_line,
            "by_tissue": self.by_tissue,
            "by_drug": self.by_drug,
        }
        return {
            "unit": self.unit,
            "models": {name: _plain(scores.to_plain()) for name, scores in self.models.items()},
            "baselines": {
                name: _plain(scores.to_plain()) for name, scores in self.baselines.items()
            },
            **self._plain_members(),
            "replicates": _plain(self.replicates.to_plain()),
            "summary": self.lines(),
            **{n: [_plain(row) for row in f.to_dict("records")] for n, f in frames.items()},
        }

    def _plain_members(self) -> dict[str, Any]:
        if not self.members:
            return {}
        return {
            "members": {n: _plain(scores.to_plain()) for n, scores in self.members.items()},
        }


def _at_least_as_good(mse: float, others: Mapping[str, float]) -> list[str]:
    """Name those whose error the model's does not undercut; an error of NaN undercuts none."""
    return [name for name, other in others.items() if not mse < other]


def _plain(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Turn NaN, which JSON does not know, into null."""
    return {
        str(key): None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in values.items()
    }


def compare(
    dataset: ScreenDataset,
    split: Split,
    predictions: Mapping[str, Floats],
    members: Mapping[str, Floats] | None = None,
) -> Comparison:
    """Fit the baselines on the training rows and score all on the test rows.

    Args:
        dataset: The screen.
        split: Its parts.
        predictions: Predictions of the test rows by name, in the response's unit; the model itself
            first.
        members: Those of an ensemble's members by name; None or empty: it is one model.

    Raises:
        InputError: If there are no test rows or nothing to fit the baselines on.
    """
    rows = split.test_rows
    if not len(rows):
        raise InputError("the split has no test rows; ask for some (data.split.test_fraction)")
    responses = dataset.responses
    y = responses.response_N[rows].astype(np.float64)
    w = None if responses.weight_N is None else responses.weight_N[rows].astype(np.float64)
    fitted = fit_baselines(dataset, split.train_rows, split.validation_rows)
    naive = {baseline.name: baseline.predict(rows) for baseline in fitted}
    baselines = {name: score(p, y, w) for name, p in naive.items()}
    model = next(iter(predictions.values()))
    tissues = [tissue or "not stated" for tissue in dataset.cells.annotation("tissue")]
    distinct = sorted(set(tissues))
    tissue_of_line = np.array([distinct.index(tissue) for tissue in tissues])
    line_N = responses.cell_N[rows].astype(np.int64)
    measured_N = measured_elsewhere(dataset, split)
    named = {**predictions, **naive}
    unseen_N = split.unseen_drugs_N[rows]
    unseen = [f"{n} unseen drug{'s' if n != 1 else ''}" for n in range(unseen_N.max() + 1)]
    return Comparison(
        unit=dataset.kind.unit,
        models={name: score(p, y, w) for name, p in predictions.items()},
        baselines=baselines,
        by_unseen=_by_part(named, y, w, unseen_N, unseen),
        by_measured=_by_part(named, y, w, measured_N, MEASURED),
        measured=int(measured_N.sum()),
        by_study=_by_study(dataset, rows, model),
        by_line=scores_by_group(model, y, w, line_N, dataset.cells.ids),
        by_tissue=scores_by_group(model, y, w, tissue_of_line[line_N], distinct),
        by_drug=_by_drug(model, y, w, responses.drug_NK[rows], _drug_names(dataset)),
        replicates=state_replicates(responses, rows, model),
        members={name: score(p, y, w) for name, p in (members or {}).items()},
    )


def _drug_names(dataset: ScreenDataset) -> list[str]:
    names = dataset.drugs.annotation("name")
    return [
        drug if name in (None, drug) else f"{name} ({drug})"
        for drug, name in zip(dataset.drugs.ids, names, strict=True)
    ]


def _by_study(dataset: ScreenDataset, rows: Codes, model: Floats) -> pd.DataFrame:
    responses = dataset.responses
    if responses.study_N is None or len(np.unique(responses.study_N[rows])) == 1:
        return pd.DataFrame()
    return scores_by_group(
        model,
        responses.response_N[rows].astype(np.float64),
        None if responses.weight_N is None else responses.weight_N[rows].astype(np.float64),
        responses.study_N[rows].astype(np.int64),
        [name or "(none)" for name in responses.studies],
    )


def _by_part(
    predictions: Mapping[str, Floats],
    y: Floats,
    w: Floats | None,
    part_N: npt.NDArray[Any],
    names: Sequence[str],
) -> pd.DataFrame:
    """Score every prediction part by part; nothing where all rows are of one part."""
    if len(np.unique(part_N)) == 1:
        return pd.DataFrame()
    frames = []
    for name, prediction in predictions.items():
        frame = scores_by_group(prediction, y, w, part_N.astype(np.int64), names)
        frames.append(frame.assign(predictor=name))
    frame = pd.concat(frames, ignore_index=True)
    return frame.sort_values("name", kind="stable", ignore_index=True)


def _by_drug(
    prediction: Floats,
    y: Floats,
    w: Floats | None,
    drug_NK: npt.NDArray[Any],
    names: Sequence[str],
) -> pd.DataFrame:
    num_slots = drug_NK.shape[1]
    drug_NK = np.sort(drug_NK.astype(np.int64), axis=1)
    drug_NK[:, 1:][drug_NK[:, 1:] == drug_NK[:, :-1]] = -1  # a drug with itself counts once
    return scores_by_group(
        np.tile(prediction, num_slots),
        np.tile(y, num_slots),
        None if w is None else np.tile(w, num_slots),
        drug_NK.T.reshape(-1),
        names,
    )


def summarise_folds(folds: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Take mean and spread over folds.

    Args:
        folds: `Comparison.to_plain` of each fold.

    Returns:
        One row a predictor: ``name``, ``folds``, and for each metric its mean and its standard
        deviation over folds (``r2``, ``r2_sd``, ..).
    """
    rows = []
    for group in ("models", "baselines"):
        names = list(dict.fromkeys(name for fold in folds for name in fold[group]))
        for name in names:
            found = [fold[group][name] for fold in folds if name in fold[group]]
            row: dict[str, Any] = {"name": name, "folds": len(found)}
            for metric in METRICS:
                values = np.array([f[metric] for f in found if f[metric] is not None], dtype=float)
                row[metric] = values.mean() if len(values) else np.nan
                row[f"{metric}_sd"] = values.std(ddof=1) if len(values) > 1 else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def rows_frame(
    dataset: ScreenDataset,
    rows: Codes,
    predictions: Mapping[str, Floats],
    members: Mapping[str, Floats] | None = None,
) -> pd.DataFrame:
    """Lay test rows and their predictions out by name.

    Args:
        dataset: The screen.
        rows: The rows.
        predictions: As in `compare`.
        members: As in `compare`.

    Returns:
        ``row``, ``cell_id``, ``drug_1``.., of several studies ``study``, ``response``, one column
        a prediction, and of an ensemble ``prediction_spread``, the members' standard deviation
        (divided by their number).
    """
    responses = dataset.responses
    drug_ids = np.array([*dataset.drugs.ids, None], dtype=object)
    columns: dict[str, Any] = {
        "row": rows,
        "cell_id": np.array(dataset.cells.ids, dtype=object)[responses.cell_N[rows]],
    }
    for k in range(responses.num_slots):
        columns[f"drug_{k + 1}"] = drug_ids[responses.drug_NK[rows, k]]
        if responses.log10_molar_NK is not None:
            columns[f"log10_molar_{k + 1}"] = responses.log10_molar_NK[rows, k]
    if responses.study_N is not None:
        columns["study"] = np.array([n or None for n in responses.studies], dtype=object)[
            responses.study_N[rows]
        ]
    columns["response"] = responses.response_N[rows]
    for i, prediction in enumerate(predictions.values()):
        columns["prediction" if i == 0 else "prediction_symmetric"] = prediction
    if members:
        columns["prediction_spread"] = np.std(list(members.values()), axis=0)
    return pd.DataFrame(columns)
