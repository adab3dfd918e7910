"""Naive baselines: what identities alone predict. Fitted on training rows; see docs/baselines.md.

Shapes: N rows, L cell lines, D compounds, T terms of a ridge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.data.identity import Codes, combine_codes, compound_of_drug

Floats = npt.NDArray[np.float64]

# Shrinkage of an effect towards 0, as so many rows of nothing; a ridge's is chosen on validation.
PSEUDO_ROWS = 3.0
RIDGE_GRID = (1.0, 3.0, 10.0, 30.0)
# More rows do not change an identity ridge's figures, but its matrix would outgrow memory.
RIDGE_ROWS = 1_500_000


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
        num_agents: Distinct agents.
    """

    line_N: Codes
    agent_NK: Codes
    sorted_NK: Codes
    num_agents: int

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
        agent_NK = np.where(present_NK, agent, -1)
        return cls(
            line_N=responses.cell_N.astype(np.int64),
            agent_NK=agent_NK,
            sorted_NK=np.sort(agent_NK, axis=1),
            num_agents=int(agent_NK.max(initial=-1)) + 1,
        )


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
        mean, line mean, drug mean, pair mean, additive effects, ridge, ridge with slots.
    """
    who = Identities.of(dataset)
    responses = dataset.responses
    y = responses.response_N.astype(np.float64)
    w = np.ones_like(y) if responses.weight_N is None else responses.weight_N.astype(np.float64)
    mean = float(np.average(y[train_rows], weights=w[train_rows]))
    fits = _Fits(who, y, w, mean, train_rows, validation_rows)
    return [
        Baseline("mean", lambda rows: np.full(len(rows), mean)),
        fits.line_mean(),
        fits.drug_mean(),
        fits.pair_mean(),
        fits.additive(),
        fits.ridge("ridge on identities and pairs", _symmetric_terms(who)),
        fits.ridge("ridge with slots", _slot_terms(who)),
    ]


def _symmetric_terms(who: Identities) -> list[list[Codes]]:
    """Codes of line, drug, drugs together, drug x line; equal in whatever order drugs stand."""
    lines = [_with_line(column, who.line_N) for column in who.agent_NK.T]
    return [
        [who.line_N],
        list(who.agent_NK.T),
        [combine_codes(list(who.sorted_NK.T))],
        _shared_codes(lines),
    ]


def _slot_terms(who: Identities) -> list[list[Codes]]:
    """Codes of line, drug in its slot, drugs in their order, drug in its slot x line."""
    lines = [_with_line(column, who.line_N) for column in who.agent_NK.T]
    return [
        [who.line_N],
        *([column] for column in who.agent_NK.T),
        [combine_codes(list(who.agent_NK.T))],
        *(_shared_codes([column]) for column in lines),
    ]


def _with_line(agent_N: Codes, line_N: Codes) -> Codes:
    return np.where(agent_N >= 0, agent_N * (line_N.max(initial=0) + 1) + line_N, -1)


def _shared_codes(columns: list[Codes]) -> list[Codes]:
    """Number the values of several columns together, densely; -1 stays -1."""
    flat = np.concatenate(columns)
    distinct, code = np.unique(flat, return_inverse=True)
    code = code - int(len(distinct) > 0 and distinct[0] == -1)
    return list(code.reshape(len(columns), -1).astype(np.int64))


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

    def effect(self, code_N: Codes, rest_N: Floats) -> Floats:
        """Give the shrunk mean of what is left of the training rows, for each code."""
        code, weight = code_N[self.train], self.w[self.train]
        size = int(code_N.max(initial=0)) + 1
        total = np.bincount(code, weight * rest_N, minlength=size)
        count = np.bincount(code, weight, minlength=size)
        return np.asarray(total / (count + PSEUDO_ROWS))

    def line_mean(self) -> Baseline:
        """Mean + effect of the line."""
        line = self.effect(self.who.line_N, self.y[self.train] - self.mean)
        return Baseline("line mean", lambda rows: self.mean + line[self.who.line_N[rows]])

    def drug_mean(self) -> Baseline:
        """Mean + mean of the effects of the row's drugs."""
        agents = self.who.agent_NK
        rest = self.y[self.train] - self.mean
        size = self.who.num_agents
        total, count = np.zeros(size), np.zeros(size)
        for column in agents[self.train].T:
            here = column >= 0
            weight = self.w[self.train][here]
            total += np.bincount(column[here], weight * rest[here], minlength=size)
            count += np.bincount(column[here], weight, minlength=size)
        effect = np.append(total / (count + PSEUDO_ROWS), 0.0)

        def predict(rows: Codes) -> Floats:
            present = agents[rows] >= 0
            return np.asarray(self.mean + effect[agents[rows]].sum(axis=1) / present.sum(axis=1))

        return Baseline("drug mean", predict)

    def pair_mean(self) -> Baseline:
        """Mean + effect of the line + effect of the drugs together, over the other lines."""
        pair_N = combine_codes(list(self.who.sorted_NK.T))
        line = self.effect(self.who.line_N, self.y[self.train] - self.mean)
        rest = self.y[self.train] - self.mean - line[self.who.line_N[self.train]]
        pair = self.effect(pair_N, rest)
        return Baseline(
            "pair mean",
            lambda rows: self.mean + line[self.who.line_N[rows]] + pair[pair_N[rows]],
        )

    def additive(self) -> Baseline:
        """Mean + effect of the line + effect of each drug, fitted together."""
        terms = [[self.who.line_N], list(self.who.agent_NK.T)]
        return self.solve("additive effects", terms, (PSEUDO_ROWS,))

    def ridge(self, name: str, terms: list[list[Codes]]) -> Baseline:
        """Fit all terms together, shrunk as validation rows like it best."""
        return self.solve(name, terms, RIDGE_GRID)

    def solve(self, name: str, terms: list[list[Codes]], grid: tuple[float, ...]) -> Baseline:
        """Fit a ridge on one-hot terms and choose its strength from a grid."""
        draw = np.random.default_rng(0)
        train = self.train
        if len(train) > RIDGE_ROWS:
            train = np.sort(draw.choice(train, RIDGE_ROWS, replace=False))
            name = f"{name} (on {RIDGE_ROWS:,} rows)"
        fit_on, choose_on = train, self.validation
        if not len(choose_on):
            inner = draw.permutation(len(train)) < len(train) // 10
            fit_on, choose_on = train[~inner], train[inner]
        best = grid[0]
        if len(grid) > 1:
            design, judged = _one_hot(terms, fit_on), _one_hot(terms, choose_on)
            errors = {}
            for strength in grid:
                weights = self._ridge(design, fit_on, strength)
                error = self.mean + judged @ weights - self.y[choose_on]
                errors[strength] = float((self.w[choose_on] * error**2).sum())
            best = min(errors, key=errors.__getitem__)
        weights = self._ridge(_one_hot(terms, train), train, best)

        def predict(rows: Codes) -> Floats:
            return np.asarray(self.mean + _one_hot(terms, rows) @ weights)

        return Baseline(name, predict)

    def _ridge(self, design: Any, rows: Codes, strength: float) -> Floats:
        """Solve (X'WX + strength) b = X'W(y - mean) by conjugate gradients."""
        w = self.w[rows]
        rest = self.y[rows] - self.mean
        diagonal = np.asarray(design.multiply(w[:, None]).sum(axis=0)).ravel() + strength
        size = design.shape[1]
        normal = LinearOperator(
            (size, size), matvec=lambda b: design.T @ (w * (design @ b)) + strength * b
        )
        jacobi = LinearOperator((size, size), matvec=lambda b: b / diagonal)
        solution, _ = cg(normal, design.T @ (w * rest), rtol=1e-4, maxiter=200, M=jacobi)
        return np.asarray(solution)


def _one_hot(terms: list[list[Codes]], rows: Codes) -> Any:
    """Lay identities out as a sparse matrix: one block of columns a term; -1 is in none."""
    blocks, start = [], 0
    for columns in terms:
        size = max(int(column.max(initial=0)) for column in columns) + 1
        for column in columns:
            blocks.append((column[rows], start))
        start += size
    row = np.arange(len(rows))
    pieces = [(row[code >= 0], code[code >= 0] + at) for code, at in blocks]
    index = (np.concatenate([p[0] for p in pieces]), np.concatenate([p[1] for p in pieces]))
    values = np.ones(len(index[0]))
    return sparse.csr_matrix((values, index), shape=(len(rows), start))
