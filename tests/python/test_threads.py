# SPDX-License-Identifier: Apache-2.0
"""Threads share an encoder; the GIL is released; asyncio goes on and cancels."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import checkpoints
import tessera

LONG = [
    "an encyclopedia of everything that was ever written about tea, and how to brew it " * 4
] * 20000


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_threads_share_an_encoder(demo: tessera.Encoder, calls: int) -> None:
    texts = [f"text number {i} about tea" for i in range(200)]
    expected = demo.encode(texts)
    with tessera.Encoder(checkpoints.DEMO, concurrent_calls=calls) as encoder:
        with ThreadPoolExecutor(8) as pool:  # the first of them create the session together
            single = list(pool.map(encoder.encode, texts))
            lists = list(pool.map(encoder.encode, [texts[i::4] for i in range(4)]))
    assert np.array_equal(np.stack(single), expected)
    for i, rows in enumerate(lists):
        assert np.array_equal(rows, expected[i::4])


def test_errors_belong_to_their_thread(demo: tessera.Encoder) -> None:
    def fail(i: int) -> str:
        try:
            demo.encode("x", prompt_name=f"prompt-{i}")
        except tessera.NotFoundError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(8) as pool:
        for i, message in enumerate(pool.map(fail, range(200))):
            assert f"prompt-{i}" in message


@pytest.mark.parametrize("is_main", [True, False])
def test_other_threads_run_during_a_call(is_main: bool) -> None:
    """A thread that needs the GIL goes on while a call computes, wherever that is."""
    with tessera.Encoder(checkpoints.DEMO, threads=1) as encoder:
        encoder.encode("x")
        cancel = tessera.Cancel()
        turns = 0

        def count() -> None:
            nonlocal turns
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                turns += 1
                time.sleep(0.001)
            cancel.request()

        counter = threading.Thread(target=count)
        counter.start()
        if is_main:
            with pytest.raises(tessera.CancelledError):
                encoder.encode(LONG, cancel=cancel)
        else:
            with ThreadPoolExecutor(1) as pool:
                with pytest.raises(tessera.CancelledError):
                    pool.submit(encoder.encode, LONG, cancel=cancel).result()
        counter.join()
    assert turns > 10  # of 300; none while the GIL is kept


def test_timeouts_end_runs(demo: tessera.Encoder) -> None:
    begin = time.monotonic()
    with pytest.raises(tessera.DeadlineError) as caught:
        demo.encode(LONG, timeout=0.05)
    assert isinstance(caught.value, TimeoutError) and time.monotonic() - begin < 5
    assert demo.encode("x", timeout=60).shape == (256,)


def test_a_cancel_may_be_used_again(demo: tessera.Encoder) -> None:
    cancel = tessera.Cancel()
    assert demo.encode("x", cancel=cancel).shape == (256,)
    cancel.request()
    with pytest.raises(tessera.CancelledError):
        demo.encode("x", cancel=cancel)
    cancel.reset()
    assert not cancel.is_requested and demo.encode("x", cancel=cancel).shape == (256,)


def test_closing_waits_for_calls() -> None:
    encoder = tessera.Encoder(checkpoints.DEMO)
    expected = encoder.encode(LONG[:100])
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(encoder.encode, LONG[:100])
        time.sleep(0.02)
        encoder.close()
        try:
            assert np.array_equal(future.result(), expected)
        except tessera.InvalidArgumentError as error:  # closed before it began
            assert "closed" in str(error) or "handle" in str(error)


def test_asyncio_goes_on_during_a_call(demo: tessera.Encoder) -> None:
    async def main() -> tuple[np.ndarray, int]:
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        ticker = asyncio.ensure_future(tick())
        rows = await demo.aencode(LONG[:100])
        ticker.cancel()
        return rows, turns

    rows, turns = asyncio.run(main())
    assert np.array_equal(rows, demo.encode(LONG[:100]))
    assert turns > 3


def test_many_tasks_share_an_encoder(demo: tessera.Encoder) -> None:
    texts = [f"text number {i}" for i in range(50)]

    async def main() -> list[np.ndarray]:
        return await asyncio.gather(*(demo.aencode_query(text) for text in texts))

    assert np.array_equal(np.stack(asyncio.run(main())), demo.encode(texts))


def test_cancelling_a_task_ends_its_run() -> None:
    async def main(encoder: tessera.Encoder) -> float:
        task = asyncio.ensure_future(encoder.aencode(LONG))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        begin = time.monotonic()
        await encoder.aencode("x")  # waits until the session is free
        return time.monotonic() - begin

    with tessera.Encoder(checkpoints.DEMO, threads=1) as encoder:
        assert asyncio.run(main(encoder)) < 2  # of a run of more than ten seconds


def test_a_task_that_was_cancelled_writes_no_more_and_leaves_its_cancel() -> None:
    out = np.zeros((len(LONG), 256), np.float32)

    async def main(encoder: tessera.Encoder, cancel: tessera.Cancel) -> np.ndarray:
        task = asyncio.ensure_future(encoder.aencode(LONG, out=out, cancel=cancel))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # an impatient caller
        with pytest.raises(asyncio.CancelledError):
            await task
        return out.copy()

    with tessera.Encoder(checkpoints.DEMO, threads=1) as encoder:
        cancel = tessera.Cancel()
        then = asyncio.run(main(encoder, cancel))
        assert not cancel.is_requested
        assert encoder.encode("x", cancel=cancel).shape == (256,)
        assert np.array_equal(out, then) and not out[-1].any()


def test_a_timeout_of_asyncio_ends_its_run() -> None:
    async def main(encoder: tessera.Encoder) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(encoder.aencode(LONG), 0.05)
        await encoder.aencode("x")

    with tessera.Encoder(checkpoints.DEMO, threads=1) as encoder:
        asyncio.run(main(encoder))


def test_other_methods_run_for_asyncio(reranker) -> None:
    async def main(model: tessera.Reranker) -> None:
        assert (await model.arank("tea", ["cat", "tea"])) == model.rank("tea", ["cat", "tea"])
        predicted = await tessera.run_async(model.predict, ("tea", "cat"))
        assert predicted == model.predict(("tea", "cat"))

    with tessera.Reranker(reranker) as model:
        asyncio.run(main(model))
