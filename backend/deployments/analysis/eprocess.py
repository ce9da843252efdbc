"""E-processes: evidence that may be looked at after every observation without inflating false alarms.

An e-process is a bet against a null hypothesis. It starts with a capital of 1, and while the null holds its expected
capital never grows. By Ville's inequality (1939) it then exceeds ``c`` *at any time, ever* with probability at most
``1/c``. So one fixed threshold stays valid however often, and until whenever, somebody looks (Grünwald, de Heide and
Koolen, "Safe testing", 2024; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
sequences", 2021).

Both processes here are mixtures of likelihood ratios in two directions:

* over alternatives (how bad the new version is), on a fixed grid with fixed prior weights;
* over starting points (since when it is bad), as in Shin, Ramdas and Rinaldo, "E-detectors" (2023), so that a version
  which turns bad late is found without its good past speaking for it for ever.

For one alternative, write ``L_t`` for its likelihood ratio in tick ``t`` and ``w_t`` for the capital set aside for a bet that
starts at ``t``. All bets started so far are worth ``M_t = (M_{t-1} + w_t) L_t``: one number per alternative, however
many starting points. Capital not bet yet is kept as it is. Hence the whole state is a short list of numbers, which
is stored after each tick and continued after a crash with nothing lost and no second look paid for.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Count: TypeAlias = int | NDArray[np.int64]
"""One count, or one for each of many independent rollouts (as the simulations use it)."""

_UNIFORM_NODES = 24
_LOG_NODES = 12
_UNIFORM_SHARE = 0.8
_SMALLEST_SHARE = 1e-6
_DIGITS = 9


class EProcess:
    """Capital bet on a grid of alternatives; subclasses say what a tick's likelihood ratios are."""

    def __init__(self, log_prior: Floats) -> None:
        self._log_prior = log_prior
        self._log_bets: Floats = np.full(log_prior.shape, -np.inf)
        self._unspent = 1.0

    @property
    def log_value(self) -> Floats:
        """Natural logarithm of the capital: the e-value."""
        bets = np.logaddexp.reduce(self._log_prior + self._log_bets, axis=-1)
        return np.asarray(np.logaddexp(bets, np.log(max(self._unspent, 1e-300))), dtype=np.float64)

    @property
    def value(self) -> float:
        """The e-value, cut off where floating point ends."""
        return float(np.exp(min(float(self.log_value), 700.0)))

    def _bet(self, log_ratios: Floats, start_mass: float) -> None:
        spend = min(start_mass, self._unspent)
        self._unspent -= spend
        with np.errstate(divide="ignore"):
            self._log_bets = np.logaddexp(self._log_bets, np.log(spend)) + log_ratios

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        bets = [round(float(bet), _DIGITS) if np.isfinite(bet) else None for bet in self._log_bets]
        return {"unspent": self._unspent, "bets": bets}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`dump` returned."""
        bets: Sequence[float | None] = state["bets"]
        if len(bets) != len(self._log_prior):
            raise ValueError("the stored evidence was made with another grid of alternatives")
        self._unspent = float(state["unspent"])
        self._log_bets = np.array([-np.inf if bet is None else bet for bet in bets], dtype=np.float64)


class ShareProcess(EProcess):
    """Evidence that the share of bad outcomes is above ``limit``.

    The null is every share up to ``limit``. Testing its edge is enough: the likelihood ratio of a larger share grows with
    each bad outcome, so its expectation is largest at the edge. The alternatives cover ``(limit, 1)``: mostly
    uniformly, since a broken version is usually thoroughly broken, and partly on a logarithmic scale, for versions that are
    only a little over. ``limit`` may change from tick to tick as long as it comes from earlier ticks only.
    """

    def __init__(self) -> None:
        uniform = (np.arange(_UNIFORM_NODES) + 0.5) / _UNIFORM_NODES
        logarithmic = (np.arange(_LOG_NODES) + 0.5) / _LOG_NODES
        self._uniform, self._logarithmic = uniform, logarithmic
        weights = np.concatenate(
            [
                np.full(_UNIFORM_NODES, _UNIFORM_SHARE / _UNIFORM_NODES),
                np.full(_LOG_NODES, (1 - _UNIFORM_SHARE) / _LOG_NODES),
            ]
        )
        super().__init__(np.log(weights))

    def observe(self, bad: Count, total: Count, *, limit: float, start_mass: float) -> None:
        """Take in one tick: ``bad`` of ``total`` outcomes were bad."""
        limit = min(max(limit, _SMALLEST_SHARE), 1 - _SMALLEST_SHARE)
        alternatives = np.concatenate(
            [limit + (1 - limit) * self._uniform, np.exp(np.log(limit) * (1 - self._logarithmic))]
        )
        bad_, total_ = np.asarray(bad)[..., None], np.asarray(total)[..., None]
        gain = np.log(alternatives) - np.log(limit)
        loss = np.log1p(-alternatives) - np.log1p(-limit)
        self._bet(bad_ * gain + (total_ - bad_) * loss, start_mass)


class ComparisonProcess(EProcess):
    """Evidence that bad outcomes are more frequent with the canary than with the primary, in the same tick.

    Given how many outcomes were bad in a tick, and how many requests each side answered, the null (equal frequency, or the
    canary better) says which side each of them fell on: the canary's with probability ``q = n_c / (n_c + n_p)`` each. How
    frequent bad outcomes are, and how that moves with the time of day or with a dependency that both share, cancels
    out: the construction of Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that
    allow for optional stopping" (2024), in its conditional form. An alternative ``r`` says that the
    canary is ``r`` times as likely to be bad: ``q_r = r n_c / (r n_c + n_p)``.

    Exactly, the split is hypergeometric rather than binomial. The likelihood ratio is convex in the split, and a
    hypergeometric variable is smaller in convex order than the binomial of the same mean (Hoeffding 1963, theorem 4), so
    its expectation stays at most 1.
    """

    _RATIOS = np.array([1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 50.0, 150.0, 1000.0, 10_000.0])

    def __init__(self) -> None:
        super().__init__(np.full(len(self._RATIOS), -np.log(len(self._RATIOS))))

    def observe(
        self, bad_canary: Count, canary: Count, bad_primary: Count, primary: Count, *, start_mass: float
    ) -> None:
        """Take in one tick; where a side answered nothing, nothing is learnt."""
        canary_, primary_ = (np.asarray(count, dtype=np.float64)[..., None] for count in (canary, primary))
        both = (canary_ > 0) & (primary_ > 0)
        canary_, primary_ = np.where(both, canary_, 1.0), np.where(both, primary_, 1.0)
        weighted = self._RATIOS * canary_
        total = canary_ + primary_
        if_canary = np.log(weighted / (weighted + primary_)) - np.log(canary_ / total)
        if_primary = np.log(total) - np.log(weighted + primary_)
        ratios = np.asarray(bad_canary)[..., None] * if_canary + np.asarray(bad_primary)[..., None] * if_primary
        self._bet(np.where(both, ratios, 0.0), start_mass)


class StartSchedule:
    """How much capital is set aside for "bad since this tick".

    Half of it says "bad from the first request", which is how most bad versions are. The other half is shared equally by
    the rollout's steps. Within a step, half of the share is spread evenly over the ticks that the step is expected to
    take, and half falls off as ``1 / (j (j + 1))``, which sums to 1 over however many ticks there will be. One
    process spans the whole rollout, so its false alarms need not be divided by the number of steps, and evidence of one
    step still counts in the next.
    """

    _FIRST = 0.5

    def __init__(self, steps: int, ticks_per_step: int) -> None:
        self._share = (1 - self._FIRST) / max(steps, 1)
        self._expected = max(ticks_per_step, 1)

    def mass(self, tick_of_rollout: int, tick_of_step: int) -> float:
        """Return the capital for a bet that starts now; both ticks count from 1 and only where there was data."""
        first = self._FIRST if tick_of_rollout == 1 else 0.0
        even = 1 / self._expected if tick_of_step <= self._expected else 0.0
        return first + self._share * (even + 1 / (tick_of_step * (tick_of_step + 1))) / 2
