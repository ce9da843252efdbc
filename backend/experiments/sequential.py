"""A sequential test that may be looked at after every outcome, and stopped at any. Pure: no input, no output, no clock.

The difference of the two versions' means is tested by the mixture sequential probability ratio test (Robbins, 1970), in the form
that Johari, Koomen, Pekelis and Walsh give it in "Always valid inference: continuous monitoring of A/B tests" (Operations
Research, 2022): with a normal mixture over possible differences and with the variances that were observed so far. The p-value is
the smallest one met so far, and the confidence interval is the test turned round, so that both say the same. That this holds
with estimated variances, whatever the outcomes' distribution, once there are enough of them, is the asymptotic confidence
sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences" (Annals of Statistics, 2024); hence the least number of outcomes.

Whether keys are split as they should be is tested by a beta mixture against the very share that was asked for (Lindon and Malek,
"Anytime-valid inference for multinomial count data", NeurIPS 2022).
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["undecided", "challenger_better", "challenger_worse"]
Better = Literal["higher", "lower"]

RATIO_EVIDENCE = 1000.0
"""Evidence at which keys count as split wrongly; met by chance in at most one of so many experiments."""
_PRIOR_KEYS = 100.0
"""How many keys' worth the prior of that test is concentrated at the right share."""


@dataclass
class Arm:
    """Outcomes of one version: how many, their mean, and the sum of squared distances to it (Welford, 1962)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Take an outcome in."""
        self.count += 1
        distance = value - self.mean
        self.mean += distance / self.count
        self.squares += distance * (value - self.mean)

    @property
    def variance(self) -> float:
        """The outcomes' variance."""
        return self.squares / (self.count - 1) if self.count > 1 else 0.0

    def dump(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}


@dataclass(frozen=True)
class Design:
    """What was fixed before the first outcome."""

    effect: float
    """The difference that is worth knowing of; the mixture is as wide, so the test is quickest about there."""
    false_alarm_rate: float
    better: Better
    least: int


@dataclass(frozen=True)
class Result:
    """The test as it stands."""

    difference: float | None
    """Challenger minus champion."""
    interval: tuple[float, float] | None
    """Holds the true difference at all times at once, but for the rate of false alarms."""
    p_value: float
    verdict: Verdict


def judge(champion: Arm, challenger: Arm, test: Design, smallest: float = 1.0) -> Result:
    """Return how the test stands; ``smallest`` is the smallest p-value that was met so far."""
    if min(champion.count, challenger.count) < test.least:
        return Result(None, None, smallest, "undecided")
    difference = challenger.mean - champion.mean
    variance = champion.variance / champion.count + challenger.variance / challenger.count
    if variance == 0.0:
        # All outcomes of a version are the same: the normal approximation says nothing of what others may still come.
        return Result(difference, None, smallest, "undecided")
    p_value = min(smallest, math.exp(min(0.0, -log_ratio(difference, variance, test.effect))))
    half = half_width(variance, test)
    interval = difference - half, difference + half
    verdict: Verdict = "undecided"
    if p_value <= test.false_alarm_rate and not interval[0] <= 0 <= interval[1]:
        higher = difference > 0
        verdict = "challenger_better" if higher == (test.better == "higher") else "challenger_worse"
    return Result(difference, interval, p_value, verdict)


def log_ratio(difference: float, variance: float, effect: float) -> float:
    """Return the logarithm of the mixture likelihood ratio against no difference."""
    mixture = effect * effect
    return 0.5 * math.log(variance / (variance + mixture)) + difference * difference * mixture / (
        2 * variance * (variance + mixture)
    )


def half_width(variance: float, test: Design) -> float:
    """Return half of the confidence interval's width: the differences that the test does not refuse."""
    mixture = test.effect * test.effect
    log = -math.log(test.false_alarm_rate) + 0.5 * math.log((variance + mixture) / variance)
    return math.sqrt(2 * variance * (variance + mixture) / mixture * log)


def ratio_evidence(champion: int, challenger: int, share: float) -> float:
    """Return the evidence that keys are not split as asked: ``share`` of them to the challenger."""
    mine, other = _PRIOR_KEYS * share, _PRIOR_KEYS * (1 - share)
    mixed = _log_beta(mine + challenger, other + champion) - _log_beta(mine, other)
    asked = challenger * math.log(share) + champion * math.log1p(-share)
    return math.exp(min(mixed - asked, 700.0))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
