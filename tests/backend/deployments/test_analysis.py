"""What the rollout's statistics promise, by simulation: few false alarms, fast detection, nothing lost in a crash."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.deployments.analysis import Delta, Histogram, Judgement, Limits, RolloutJudge, delta_between
from backend.deployments.analysis.counters import dump_sample, edge_at_or_above, load_sample
from backend.deployments.analysis.eprocess import ComparisonProcess, ShareProcess, StartSchedule
from backend.deployments.analysis.judge import LATENCY, LATENCY_VS_PRIMARY, SUCCESS_RATE, SUCCESS_RATE_VS_PRIMARY
from backend.deployments.targets.base import Sample, VersionKey

LIMITS = Limits(
    minimum_success=0.99,
    max_drop=0.005,
    percentile=99,
    maximum_ms=500,
    max_ratio=1.5,
    min_requests=50,
    false_alarm_rate=0.01,
)
STEPS, TICKS = 4, 120
WEIGHTS = (0.05, 0.25, 0.5, 1.0)
EDGES = tuple(float(edge) for edge in np.geomspace(1, 5000, 40))
KEY = VersionKey("production", "wine", 2)


def judge(limits: Limits = LIMITS) -> RolloutJudge:
    made = RolloutJudge(limits, steps=STEPS, ticks_per_step=TICKS)
    made.begin_step()
    return made


def delta(requests: int, errors: int = 0, latencies: np.ndarray | None = None) -> Delta:
    values = np.full(requests, 5.0) if latencies is None else latencies
    counts = np.bincount(np.searchsorted(EDGES, values), minlength=len(EDGES))
    buckets = tuple((edge, int(n)) for edge, n in zip(EDGES, counts, strict=True) if n)
    return Delta(requests, errors, Histogram(buckets), EDGES)


def verdicts(judgement: Judgement) -> dict[str, str]:
    return {check.name: check.verdict for check in judgement.checks}


class TestFewRequests:
    """With a limit of 1 %, two failures among the first few requests settle it and one never does."""

    @pytest.mark.parametrize("outcomes", ["FF", "FFS", "FSF", "SFF"])
    def test_two_failures_among_the_first_three_requests_breach(self, outcomes: str) -> None:
        made = judge()
        for outcome in outcomes:
            last = made.observe(delta(1, int(outcome == "F")), delta(20))
        assert last.breached is not None
        assert last.breached.name == SUCCESS_RATE
        assert (last.canary.requests, last.canary.errors) == (len(outcomes), 2)

    def test_two_failures_in_one_tick_of_three_breach(self) -> None:
        assert judge().observe(delta(3, 2), delta(60)).breached is not None

    @pytest.mark.parametrize("minimum", [0.9, 0.99, 0.999, 1.0])
    def test_a_single_failed_request_never_breaches(self, minimum: float) -> None:
        limits = Limits(minimum, 0.0, 99, 500, 1.5, 50, 0.2)
        made = judge(limits)
        assert made.observe(delta(1, 1), delta(1000)).breached is None
        for _ in range(200):
            assert made.observe(delta(1), delta(20)).breached is None

    def test_no_traffic_is_no_verdict(self) -> None:
        judgement = judge().observe(Delta(), Delta())
        assert set(verdicts(judgement).values()) == {"no_data"}
        assert not judgement.enough


@pytest.mark.slow
class TestFalseAlarms:
    """Over whole rollouts, looked at after every tick, with the null true at its edge."""

    ROLLOUTS = 4000

    def capital_ever_reached(self, kind: str, rng: np.random.Generator) -> np.ndarray:
        """Largest e-value of each simulated rollout; many rollouts at once, through the same code."""
        schedule = StartSchedule(STEPS, TICKS)
        share, comparison = ShareProcess(), ComparisonProcess()
        highest = np.zeros(self.ROLLOUTS)
        tick = 0
        for weight in WEIGHTS:
            for tick_of_step in range(1, TICKS + 1):
                tick += 1
                mass = schedule.mass(tick, tick_of_step)
                canary = rng.binomial(25, weight, self.ROLLOUTS)
                if kind == "share":
                    share.observe(rng.binomial(canary, 0.01), canary, limit=0.01, start_mass=mass)
                    highest = np.maximum(highest, np.exp(share.log_value))
                    continue
                primary = 25 - canary
                # The primary is noisy itself: its failure rate is anything between 0 and 60 %, anew in each tick.
                rate = rng.beta(0.3, 2.0, self.ROLLOUTS) if kind == "noisy" else 0.01
                bad_canary, bad_primary = rng.binomial(canary, rate), rng.binomial(primary, rate)
                comparison.observe(bad_canary, canary, bad_primary, primary, start_mass=mass)
                highest = np.maximum(highest, np.exp(comparison.log_value))
        return highest

    @pytest.mark.parametrize(("kind", "seed"), [("share", 1), ("comparison", 2), ("noisy", 3)])
    def test_ville_holds_at_every_threshold(self, kind: str, seed: int) -> None:
        highest = self.capital_ever_reached(kind, np.random.default_rng(seed))
        for threshold in (5, 20, 100, LIMITS.threshold):
            bound = 1 / threshold
            slack = 4 * np.sqrt(bound * (1 - bound) / self.ROLLOUTS)
            assert np.mean(highest >= threshold) <= bound + slack, threshold
        # A process that never bets would hold the bound too.
        assert np.max(highest) > 5

    def test_healthy_rollouts_are_not_rolled_back(self) -> None:
        """All four tests together, a primary with bursts of failures and slowness that the canary shares."""
        rng = np.random.default_rng(4)
        limits = Limits(0.9, 0.005, 99, 5000, 1.5, 50, 0.05)
        rollouts, alarms = 60, 0
        for _ in range(rollouts):
            made = RolloutJudge(limits, steps=2, ticks_per_step=60)
            for weight in (0.1, 0.5):
                made.begin_step()
                for _ in range(60):
                    burst = rng.random() < 0.05
                    rate, scale = (0.15, 60.0) if burst else (0.01, 15.0)
                    canary = int(rng.binomial(25, weight))
                    sides = [
                        delta(n, int(rng.binomial(n, rate)), rng.gamma(2.0, scale, n)) for n in (canary, 25 - canary)
                    ]
                    last = made.observe(*sides)
                if last.breached:
                    break
            alarms += last.breached is not None
        assert alarms <= rollouts * 0.05 + 3 * np.sqrt(rollouts * 0.05)

    def test_slightly_slower_or_worse_than_the_primary_is_left_alone_for_ever(self) -> None:
        """Differences within maxDrop and maxRatio are no breach however much evidence there is for them."""
        made = judge(Limits(0.9, 0.02, 95, 5000, 2.0, 50, 0.05))
        rng = np.random.default_rng(5)
        for _ in range(300):
            canary = delta(200, int(rng.binomial(200, 0.02)), rng.gamma(4.0, 26.0, 200))
            primary = delta(200, int(rng.binomial(200, 0.005)), rng.gamma(4.0, 20.0, 200))
            last = made.observe(canary, primary)
        assert last.breached is None
        assert last.canary.errors > 2 * last.primary.errors


class TestDetection:
    """50 requests a second, 5 % of them to the canary, figures read twice a second."""

    def delays(self, *, share: float, good_ticks: int, seed: int, rollouts: int = 60) -> np.ndarray:
        """Seconds from the tick before the first failure to the breach."""
        rng = np.random.default_rng(seed)
        delays = []
        for _ in range(rollouts):
            made, first = judge(), None
            for tick in range(good_ticks + TICKS):
                canary = int(rng.binomial(25, 0.05))
                errors = int(rng.binomial(canary, share)) if tick >= good_ticks else 0
                first = tick if errors and first is None else first
                if made.observe(delta(canary, errors), delta(25 - canary)).breached:
                    break
            assert first is not None
            delays.append((tick - first + 1) * 0.5)
        return np.array(delays)

    def test_thirty_percent_errors_from_the_start(self) -> None:
        delays = self.delays(share=0.3, good_ticks=0, seed=6)
        assert np.median(delays) <= 4
        assert np.mean(delays <= 5.5) > 0.7

    def test_a_version_that_breaks_in_the_middle_of_a_step(self) -> None:
        delays = self.delays(share=1.0, good_ticks=100, seed=7)
        assert np.max(delays) <= 5

    def test_slower_than_the_absolute_limit(self) -> None:
        made = judge()
        made.observe(delta(2), delta(48))
        last = made.observe(delta(3, 0, np.array([900.0, 5.0, 800.0])), delta(48))
        while not last.breached:
            last = made.observe(delta(2, 0, np.array([900.0, 5.0])), delta(48))
        assert last.breached.name == LATENCY
        assert last.canary.requests < 12
        assert last.breached.limit == 500

    def test_slower_than_the_primary_but_below_the_absolute_limit(self) -> None:
        made = judge()
        rng = np.random.default_rng(8)
        for tick in range(60):
            canary = rng.normal(120.0 if tick >= 20 else 20.0, 2.0, 3)
            last = made.observe(delta(3, 0, canary), delta(47, 0, rng.normal(20.0, 2.0, 47)))
            if last.breached:
                break
        assert last.breached is not None
        assert last.breached.name == LATENCY_VS_PRIMARY
        assert 20 <= tick <= 27
        assert last.breached.limit == pytest.approx(33, abs=8)

    def test_worse_than_the_primary_but_above_the_absolute_limit(self) -> None:
        made = judge(Limits(0.8, 0.005, 99, 500, 1.5, 50, 0.01))
        rng = np.random.default_rng(9)
        for _ in range(400):
            last = made.observe(delta(12, int(rng.binomial(12, 0.08))), delta(38, int(rng.binomial(38, 0.001))))
            if last.breached:
                break
        assert last.breached is not None
        assert last.breached.name == SUCCESS_RATE_VS_PRIMARY

    def test_what_both_sides_suffer_is_not_the_canarys_fault(self) -> None:
        made = judge(Limits(0.5, 0.005, 99, 5000, 1.5, 50, 0.01))
        rng = np.random.default_rng(10)
        for tick in range(200):
            rate = 0.3 if 50 <= tick < 150 else 0.0
            last = made.observe(delta(12, int(rng.binomial(12, rate))), delta(38, int(rng.binomial(38, rate))))
            assert last.breached is None

    def test_suspicion_is_said_before_it_is_certainty_and_taken_back(self) -> None:
        made = judge()
        last = made.observe(delta(100, 6), delta(0))
        assert last.breached is None
        assert last.suspected is not None
        assert 10 <= last.suspected.evidence < 400
        for _ in range(5):
            last = made.observe(delta(100), delta(0))
        assert last.suspected is None


class TestCounters:
    """From cumulative readings to what happened in between."""

    def sample(self, requests: int, errors: int, counts: list[int]) -> Sample:
        cumulative = np.cumsum(counts).tolist()
        bounds = [1.0, 10.0, 100.0, float("inf")]
        return Sample(KEY, requests, errors, tuple(zip(bounds, cumulative, strict=True)))

    def test_a_tick_is_the_difference(self) -> None:
        found = delta_between(self.sample(10, 1, [4, 4, 2, 0]), self.sample(25, 3, [4, 10, 10, 1]))
        assert (found.requests, found.errors) == (15, 2)
        assert found.latency.buckets == ((10.0, 6), (100.0, 8), (float("inf"), 1))
        assert found.latency.above(10.0) == 9

    def test_a_restarted_proxy_counts_from_zero(self) -> None:
        found = delta_between(self.sample(1000, 50, [500, 500, 0, 0]), self.sample(7, 2, [3, 4, 0, 0]))
        assert (found.requests, found.errors, found.latency.total) == (7, 2, 7)

    def test_a_version_that_the_proxy_did_not_know_starts_at_zero(self) -> None:
        assert delta_between(None, self.sample(7, 2, [3, 4, 0, 0])).requests == 7
        assert delta_between(self.sample(7, 2, [3, 4, 0, 0]), None) == Delta()

    def test_failures_never_exceed_requests(self) -> None:
        found = delta_between(self.sample(10, 0, [0, 0, 0, 0]), self.sample(10, 2, [0, 2, 0, 0]))
        assert (found.requests, found.errors) == (2, 2)

    def test_percentiles_are_interpolated_and_open_ended_buckets_are_not(self) -> None:
        assert Histogram(((10.0, 50), (20.0, 50))).percentile(75) == pytest.approx(15)
        assert Histogram(((10.0, 1), (float("inf"), 99))).percentile(99) == 10.0
        assert Histogram().percentile(99) is None

    def test_a_limit_is_judged_at_the_next_bucket_bound(self) -> None:
        assert edge_at_or_above((1.0, 10.0, float("inf")), 10.0) == 10.0
        assert edge_at_or_above((1.0, 10.0, float("inf")), 2.0) == 10.0
        assert edge_at_or_above((1.0, 10.0, float("inf")), 11.0) is None

    def test_readings_survive_storage(self) -> None:
        sample = self.sample(25, 3, [4, 10, 10, 1])
        assert load_sample(KEY, json.loads(json.dumps(dump_sample(sample)))) == sample


tick = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60), st.integers(0, 60), st.booleans())


@settings(max_examples=60, deadline=None)
@given(ticks=st.lists(tick, min_size=1, max_size=25), crash_after=st.integers(0, 24))
def test_a_crash_between_two_ticks_changes_nothing(
    ticks: list[tuple[int, int, int, int, bool]], crash_after: int
) -> None:
    straight, crashed = judge(), judge()
    for number, (requests, errors, primary_requests, primary_errors, slow) in enumerate(ticks):
        canary = delta(requests, min(errors, requests), np.full(requests, 900.0 if slow else 5.0))
        primary = delta(primary_requests, min(primary_errors, primary_requests))
        one, other = straight.observe(canary, primary), crashed.observe(canary, primary)
        if number == crash_after:
            stored = json.loads(json.dumps(crashed.dump()))
            crashed = RolloutJudge(LIMITS, steps=STEPS, ticks_per_step=TICKS)
            crashed.restore(stored)
            other = crashed.judgement()
        assert verdicts(one) == verdicts(other)
        assert one.canary == other.canary
        assert one.primary == other.primary
        for mine, theirs in zip(one.checks, other.checks, strict=True):
            assert mine.evidence == pytest.approx(theirs.evidence, rel=1e-6)
            assert np.isfinite(mine.evidence)
