"""The queue: what goes into one call, what does not, and who waits for whom."""

import asyncio
import time

import pytest

from mlplatform.serving.batching import SLOW, Batcher
from mlplatform.serving.execution import Execution
from mlplatform.serving.metrics import Metrics
from mlplatform.serving.model import LoadedModel
from mlplatform.serving.problems import ModelFailed, ModelTimeout
from mlplatform.serving.rows import InputSchema, OutputSchema
from mlplatform.serving.worker import Worker
from mlplatform.spec.model import Column

INPUTS = InputSchema([Column(name="x", type="double")])
OUTPUTS = OutputSchema([Column(name="y", type="double")])


class Calls:
    """A model that notes the size of each call and can be slow."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.seconds = 0.0

    def __call__(self, frame, _parameters):
        self.sizes.append(len(frame))
        time.sleep(self.seconds)
        if (frame["x"] < 0).any():
            raise ValueError
        return frame["x"] * 2

    def batcher(self, **options) -> Batcher:
        model = LoadedModel("frame", "test", INPUTS, OUTPUTS, None, call=self)
        settings = {"max_rows": 64, "timeout": 10.0, "shared": True, **options}
        return Batcher(Execution(model), Worker(), Metrics("m", "1", "test"), **settings)


def ask(batcher: Batcher, *values: float, parameters=None):
    return asyncio.ensure_future(batcher.predict(INPUTS.from_flat(list(values), len(values)), parameters, 1))


def test_requests_that_come_together_share_a_call():
    async def story():
        calls = Calls()
        batcher = calls.batcher()
        answers = await asyncio.gather(*(ask(batcher, number) for number in range(40)))
        assert answers == [[[number * 2.0]] for number in range(40)]
        assert calls.sizes == [40]
        assert await ask(batcher, 5) == [[10.0]]
        assert calls.sizes == [40, 1]

    asyncio.run(story())


def test_what_queues_up_during_a_slow_call_makes_the_next_one():
    async def story():
        calls = Calls()
        calls.seconds = SLOW * 5
        batcher = calls.batcher()
        batcher.observe(SLOW * 5)
        first = ask(batcher, 1)
        await asyncio.sleep(SLOW)
        later = [ask(batcher, number) for number in range(30)]
        await asyncio.gather(first, *later)
        assert calls.sizes == [1, 30]

    asyncio.run(story())


def test_no_call_is_larger_than_the_limit_and_a_large_request_is_cut():
    async def story():
        calls = Calls()
        batcher = calls.batcher(max_rows=10)
        large = ask(batcher, *range(35))
        small = [ask(batcher, number) for number in range(4)]
        assert await large == [[value * 2.0 for value in range(35)]]
        await asyncio.gather(*small)
        assert max(calls.sizes) <= 10
        assert sum(calls.sizes) == 39

    asyncio.run(story())


def test_a_model_that_is_not_row_wise_gets_each_request_whole():
    async def story():
        calls = Calls()
        batcher = calls.batcher(max_rows=10, shared=False)
        await asyncio.gather(ask(batcher, *range(35)), ask(batcher, 1), ask(batcher, 2))
        assert calls.sizes == [35, 1, 1]

    asyncio.run(story())


def test_other_parameters_go_into_another_call():
    async def story():
        calls = Calls()
        batcher = calls.batcher()
        await asyncio.gather(*(ask(batcher, 1, parameters={"factor": number // 2}) for number in range(4)))
        assert calls.sizes == [2, 2]

    asyncio.run(story())


def test_a_failing_request_fails_alone():
    async def story():
        answers = await asyncio.gather(*(ask(Calls().batcher(), value) for value in (1, -1, 2)), return_exceptions=True)
        assert answers[0] == [[2.0]]
        assert isinstance(answers[1], ModelFailed)
        assert answers[2] == [[4.0]]

    asyncio.run(story())


def test_the_loop_stays_free_while_a_slow_model_runs_and_late_answers_are_504():
    async def story():
        calls = Calls()
        calls.seconds = 0.6
        batcher = calls.batcher(timeout=0.2)
        batcher.observe(1.0)
        began = time.monotonic()
        running = ask(batcher, 1)
        await asyncio.sleep(0.01)
        waiting = ask(batcher, 2)
        with pytest.raises(ModelTimeout):
            await running
        with pytest.raises(ModelTimeout):
            await waiting
        assert time.monotonic() - began < 0.5
        calls.seconds = 0
        await asyncio.sleep(0.5)
        assert await ask(batcher, 3) == [[6.0]]
        assert calls.sizes == [1, 1]  # the one that timed out while it waited was never asked

    asyncio.run(story())


def test_one_slow_call_moves_the_model_to_a_thread_and_many_quick_ones_back():
    async def story():
        calls = Calls()
        batcher = calls.batcher()
        assert batcher.threaded is False
        calls.seconds = SLOW * 2
        await ask(batcher, 1)
        assert batcher.threaded is True
        for _ in range(2_000):
            batcher.observe(SLOW / 10)
        assert batcher.threaded is False

    asyncio.run(story())


def test_rows_that_nobody_waits_for_any_more_are_not_predicted():
    async def story():
        calls = Calls()
        batcher = calls.batcher()
        batcher.observe(1.0)
        calls.seconds = 0.1
        first = ask(batcher, 1)
        await asyncio.sleep(0.02)
        gone = ask(batcher, 2)
        await asyncio.sleep(0.02)
        gone.cancel()
        await first
        assert await ask(batcher, 3) == [[6.0]]
        assert calls.sizes == [1, 1]

    asyncio.run(story())
