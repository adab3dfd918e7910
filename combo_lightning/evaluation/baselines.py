"""Naive baselines: what identities alone predict. Fitted on training rows; see docs/baselines.md.

Shapes: N rows, K drug slots, C columns of codes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import Codes, combine_codes, compound_of_drug
from combo_lightning.errors import InputError

Floats = npt.NDArray[np.float64]
# Half the memory of `Codes`, which counts with millions of rows.
SmallCodes = npt.NDArray[np.int32]
Term = list[SmallCodes]

# Shrinkage of an effect towards 0, as so many rows of nothing; a ridge's is chosen on validation.
PSEUDO_ROWS = 3.0
# One strength for all terms: on the ComboScores a strength for each gained 0.0025 of R2 at most.
RIDGE_GRID = (1.0, 3.0, 10.0, 30.0)
# Beyond, rows are drawn: the matrix of 3.7 million dose-level rows would take over a gigabyte.
RIDGE_ROWS = 1_000_000


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline.

    Args:
        name: Its name in tables.
        predict: Predictions for rows of the data set, in the response's unit.
    """

    name: str
    predict: Callable[[Codes], Floats]


@dataclass(frozen=True)
class Identities:
    """The rows of a data set as codes of who was measured; doses are part of a drug's identity.

    Args:
        line_N: Cell line.
        agent_NK: Compound (at its dose), in the slot where it stands; -1: empty.
        sorted_NK: The same, sorted within the row, so that the order does not matter.
    """

    line_N: SmallCodes
    agent_NK: SmallCodes
    sorted_NK: SmallCodes

    @classmethod
    def of(cls, dataset: ScreenDataset) -> "Identities":
        """Code every row."""
        responses = dataset.responses
        present_NK = responses.drug_NK >= 0
        compound_NK = np.where(present_NK, compound_of_drug(dataset)[responses.drug_NK], -1)
        columns = [compound_NK.ravel()]
        if responses.log10_molar_NK is not None:
            # Doses of one drug stand decades or half-decades apart: a hundredth tells them apart.
            dose = np.rint(np.nan_to_num(responses.log10_molar_NK.ravel()) * 100)
            columns.append((dose - dose.min(initial=0)).astype(np.int64))
        agent = combine_codes(columns).reshape(compound_NK.shape)
        agent_NK = np.where(present_NK, agent, -1).astype(np.int32)
        return cls(responses.cell_N.astype(np.int32), agent_NK, np.sort(agent_NK, axis=1))


def fit_baselines(
    dataset: ScreenDataset, train_rows: Codes, validation_rows: Codes
) -> list[Baseline]:
    """Fit all baselines.

    Args:
        dataset: The screen.
        train_rows: The rows to fit on.
        validation_rows: The rows that choose the ridges' strength; empty: a tenth of the training
            rows does, and all are fitted on afterwards.

    Returns:
        mean, line mean, drug mean, pair mean, additive effects, ridge, ridge with slots. An entity
        that training never saw adds exactly nothing.

    Raises:
        InputError: If there are no training rows, or all weigh 0.
    """
    who = Identities.of(dataset)
    responses = dataset.responses
    y = responses.response_N.astype(np.float64)
    w = np.ones_like(y) if responses.weight_N is None else responses.weight_N.astype(np.float64)
    if not w[train_rows].sum() > 0:
        raise InputError(
            f"the {len(train_rows)} training rows have no weight above 0; the baselines need some"
        )
    mean = float(np.average(y[train_rows], weights=w[train_rows]))
    fits = _Fits(who, y, w, mean, train_rows, validation_rows)
    additive = fits.ridge("additive effects", _additive_terms(who), (PSEUDO_ROWS,))
    return [
        Baseline("mean", lambda rows: np.full(len(rows), mean)),
        fits.line_mean(),
        fits.drug_mean(),
        fits.pair_mean(additive),
        additive,
        fits.ridge("ridge on identities and pairs", _symmetric_terms(who), RIDGE_GRID),
        fits.ridge("ridge with slots", _slot_terms(who), RIDGE_GRID),
    ]


def _additive_terms(who: Identities) -> list[Term]:
    """Code line and drug."""
    return [[who.line_N], list(who.agent_NK.T)]


def _symmetric_terms(who: Identities) -> list[Term]:
    """Code line, drug, drug x line, pairs and the whole; equal in whatever order drugs stand."""
    return [
        *_additive_terms(who),
        _shared_codes([_crossed(column, who.line_N) for column in who.agent_NK.T]),
        *_pair_terms(who.sorted_NK),
    ]


def _slot_terms(who: Identities) -> list[Term]:
    """Code line, drug in its slot, drug in its slot x line, pairs and the whole in their order."""
    columns = list(who.agent_NK.T)
    return [
        [who.line_N],
        *([column] for column in columns),
        *(_shared_codes([_crossed(column, who.line_N)]) for column in columns),
        *_pair_terms(who.agent_NK),
    ]


def _pair_terms(agent_NK: SmallCodes) -> list[Term]:
    """Code all drugs of a row together and, where these may be three or more, their pairs."""
    columns = list(agent_NK.T)
    terms = [[combine_codes(columns).astype(np.int32)]]
    if len(columns) > 2:
        pairs = [_crossed(a, b) for a, b in combinations(columns, 2)]
        terms.append(_shared_codes(pairs))
    return terms


def _crossed(a_N: SmallCodes, b_N: SmallCodes) -> Codes:
    """Number the pairs of two codes; -1 where either is."""
    width = int(b_N.max(initial=0)) + 1
    return np.where((a_N >= 0) & (b_N >= 0), a_N.astype(np.int64) * width + b_N, -1)


def _shared_codes(columns: list[Codes]) -> Term:
    """Number the values of several columns together, densely; -1 stays -1."""
    distinct, code = np.unique(np.concatenate(columns), return_inverse=True)
    code -= int(len(distinct) > 0 and distinct[0] == -1)
    return list(code.reshape(len(columns), -1).astype(np.int32))


class _Fits:
    """The data that all baselines share, and one method for each."""

    def __init__(
        self,
        who: Identities,
        y: Floats,
        w: Floats,
        mean: float,
        train_rows: Codes,
        validation_rows: Codes,
    ) -> None:
        self.who, self.y, self.w, self.mean = who, y, w, mean
        self.train, self.validation = train_rows, validation_rows

    def effect(self, columns: Term, rest_N: Floats) -> tuple[Floats, Floats]:
        """Give, for each code, the shrunk mean of what is left of the training rows it is in.

        Returns:
            The effects and the weights behind them; both end with the 0 of code -1.
        """
        size = max(int(column.max(initial=-1)) for column in columns) + 1
        total, count = np.zeros(size + 1), np.zeros(size + 1)
        for column in columns:
            code = column[self.train]
            code = np.where(code >= 0, code, size)
            total += np.bincount(code, self.w[self.train] * rest_N, minlength=size + 1)
            count += np.bincount(code, self.w[self.train], minlength=size + 1)
        total[-1] = count[-1] = 0.0
        return total / (count + PSEUDO_ROWS), count

    def line_mean(self) -> Baseline:
        """Mean + effect of the line."""
        line, _ = self.effect([self.who.line_N], self.y[self.train] - self.mean)
        return Baseline("line mean", lambda rows: self.mean + line[self.who.line_N[rows]])

    def drug_mean(self) -> Baseline:
        """Mean + mean of the effects of the row's drugs."""
        agent_NK = self.who.agent_NK
        drug, _ = self.effect(list(agent_NK.T), self.y[self.train] - self.mean)

        def predict(rows: Codes) -> Floats:
            drugs = (agent_NK[rows] >= 0).sum(axis=1)
            return np.asarray(self.mean + drug[agent_NK[rows]].sum(axis=1) / drugs)

        return Baseline("drug mean", predict)

    def pair_mean(self, additive: Baseline) -> Baseline:
        """Mean + effect of the line + effect of the drugs together, over the other lines.

        Drugs that training never saw together are left to the additive effects.
        """
        who = self.who
        pair_N = combine_codes(list(who.sorted_NK.T)).astype(np.int32)
        line, _ = self.effect([who.line_N], self.y[self.train] - self.mean)
        rest = self.y[self.train] - self.mean - line[who.line_N[self.train]]
        pair, count = self.effect([pair_N], rest)

        def predict(rows: Codes) -> Floats:
            known = self.mean + line[who.line_N[rows]] + pair[pair_N[rows]]
            return np.where(count[pair_N[rows]] > 0, known, additive.predict(rows))

        return Baseline("pair mean", predict)

    def ridge(self, name: str, terms: list[Term], grid: tuple[float, ...]) -> Baseline:
        """Fit effects of all terms together, shrunk as validation rows like it best."""
        draw = np.random.default_rng(0)
        train = self.train
        if len(train) > RIDGE_ROWS:
            train = np.sort(draw.choice(train, RIDGE_ROWS, replace=False))
            name = f"{name} (on {RIDGE_ROWS:,} rows)"
        best = grid[0]
        if len(grid) > 1:
            fit_on, choose_on = train, self.validation
            if not len(choose_on):
                inner = draw.permutation(len(train)) < len(train) // 10
                fit_on, choose_on = train[~inner], train[inner]
            design, judged = _one_hot(terms, fit_on), _one_hot(terms, choose_on)
            errors = {}
            for strength in grid:
                error = self.mean + judged @ self._ridge(design, fit_on, strength)
                error -= self.y[choose_on]
                errors[strength] = float((self.w[choose_on] * error**2).sum())
            best = min(errors, key=errors.__getitem__)
            del design
        effects = self._ridge(_one_hot(terms, train), train, best)
        return Baseline(name, lambda rows: self.mean + _one_hot(terms, rows) @ effects)

    def _ridge(self, design: Any, rows: Codes, strength: float) -> Floats:
        """Solve (X'WX + strength) b = X'W(y - mean) by conjugate gradients.

        A column that no row has starts at 0 and stays there. R2 would be exact to 1e-5 at a
        tolerance of 1e-4 too, but rounding would show in the predictions.
        """
        w = self.w[rows]
        rest = self.y[rows] - self.mean
        diagonal = design.T @ w + strength
        size = design.shape[1]
        normal = LinearOperator(
            (size, size), matvec=lambda b: design.T @ (w * (design @ b)) + strength * b
        )
        jacobi = LinearOperator((size, size), matvec=lambda b: b / diagonal)
        solution, _ = cg(normal, design.T @ (w * rest), rtol=1e-7, maxiter=1000, M=jacobi)
        return np.asarray(solution)


def _one_hot(terms: list[Term], rows: Codes) -> Any:
    """Lay identities out as a sparse matrix: one block of columns a term; -1 is in none."""
    blocks, start = [], 0
    for columns in terms:
        for column in columns:
            code = column[rows]
            blocks.append(np.where(code >= 0, code + np.int32(start), np.int32(-1)))
        start += max(int(column.max(initial=-1)) for column in columns) + 1
    code_NC = np.stack(blocks, axis=1)
    present_NC = code_NC >= 0
    ends = np.concatenate([[0], np.cumsum(present_NC.sum(axis=1))])
    codes = code_NC[present_NC]
    return sparse.csr_matrix((np.ones(len(codes)), codes, ends), shape=(len(rows), start))
