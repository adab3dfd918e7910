"""The cheap model of training: a linear regression under SGD, many groups at once.

Letters: G groups, D dimensions, R tournament rows. Inputs are normal with covariance diag(h), and
a group's error e is its weights minus the true ones, so that its excess MSE is the sum of h e^2.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Steps over which the size of the gradient's noise is taken as constant.
_AT_ONCE = 10


@dataclass(frozen=True)
class World:
    """What is learned, from what.

    A step of SGD on a batch of B normal rows moves e by -rate x (h e + noise), the noise of
    dimension i having variance (h_i (sum of h e^2 + noise) + h_i^2 e_i^2) / B. Several steps have
    a closed form while that variance is constant.

    Args:
        dimensions: D.
        condition: Largest over least curvature; between them they lie in equal ratios from 1 down.
        signal: Variance of the response that can be learned; excess MSE at the start.
        noise: Variance of the response that cannot.
        batch_size: Rows a step, B.
        train_rows: Training rows of all groups together.
        tournament_rows: Rows that models are scored on, R; the same for all groups and rounds.

    Source:
        Own choice. For the noise: fourth moments of normal variables (Isserlis).
    """

    dimensions: int = 32
    condition: float = 1e3
    signal: float = 0.7
    noise: float = 0.3
    batch_size: int = 256
    train_rows: int = 100_000
    tournament_rows: int = 1280

    @property
    def curvature_D(self) -> Floats:
        """Curvature of each dimension, h."""
        return np.geomspace(1.0, 1.0 / self.condition, self.dimensions)

    def start_D(self, draw: np.random.Generator) -> Floats:
        """Draw the true weights, seen from zero weights, at which all groups begin."""
        error_D = draw.normal(size=self.dimensions) / np.sqrt(self.curvature_D)
        return np.asarray(error_D * np.sqrt(self.signal / self.excess(error_D)), np.float64)

    def optimum_GD(self, num_groups: int, draw: np.random.Generator, *, partition: bool) -> Floats:
        """Draw where each group's training rows would lead it.

        Args:
            num_groups: G.
            draw: Random numbers.
            partition: Whether each group has a G-th of the rows; else all have all of them, and
                one optimum.
        """
        groups = num_groups if partition else 1
        spread_D = np.sqrt(self.noise * groups / self.train_rows / self.curvature_D)
        drawn = draw.normal(size=(groups, self.dimensions)) * spread_D
        return np.array(np.broadcast_to(drawn, (num_groups, self.dimensions)))

    def excess(self, error: Floats) -> Floats:
        """Give the excess MSE of errors [.., D]."""
        return np.asarray(np.square(error) @ self.curvature_D, np.float64)

    def train(
        self,
        error_GD: Floats,
        optimum_GD: Floats,
        rate_G: Floats,
        steps: int,
        draw: np.random.Generator,
    ) -> Floats:
        """Go some steps of SGD in every group.

        Args:
            error_GD: Weights minus the true ones.
            optimum_GD: Where each group's rows lead.
            rate_G: Learning rates; above about 2 a group diverges, to infinities and NaN.
            steps: How many.
            draw: Random numbers.
        """
        h_D, rate_G1 = self.curvature_D, rate_G[:, None]
        factor_GD = 1 - rate_G1 * h_D
        from_GD = error_GD - optimum_GD
        with np.errstate(all="ignore"):
            for count in [_AT_ONCE] * (steps // _AT_ONCE) + [steps % _AT_ONCE]:
                shrink_GD = factor_GD**count
                lost_GD = 1 - np.square(factor_GD)
                terms_GD = np.where(lost_GD == 0, count, (1 - np.square(shrink_GD)) / lost_GD)
                # The noise that remains hangs on the distance to the truth of these rows.
                distance_G1 = self.excess(from_GD)[:, None]
                variance_GD = h_D * (distance_G1 + self.noise) + np.square(h_D * from_GD)
                spread_GD = rate_G1 * np.sqrt(variance_GD * terms_GD / self.batch_size)
                from_GD = shrink_GD * from_GD + spread_GD * draw.normal(size=from_GD.shape)
        return from_GD + optimum_GD


class TournamentRows:
    """The rows that all groups are scored on, in every round.

    Args:
        world: What is learned.
        draw: Random numbers.
    """

    def __init__(self, world: World, draw: np.random.Generator) -> None:
        size = (world.tournament_rows, world.dimensions)
        self.input_RD = draw.normal(size=size) * np.sqrt(world.curvature_D)
        self.noise_R = draw.normal(size=world.tournament_rows) * np.sqrt(world.noise)

    def score(self, error_GD: Floats) -> Floats:
        """Give each group's squared error in every row: [G, R]."""
        with np.errstate(all="ignore"):
            return np.asarray(np.square(error_GD @ self.input_RD.T - self.noise_R), np.float64)
