# SPDX-License-Identifier: Apache-2.0
"""fork(), multiprocessing, Ctrl-C, and the end of a process."""

from __future__ import annotations

import _thread
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable

import numpy as np
import pytest

import checkpoints
import tessera
from tessera import _run, _texts, session

TEXTS = [f"text number {i} about tea" for i in range(100)]
LONG = "an encyclopedia of everything that was ever written about tea, and how to brew it " * 4


def in_child(body) -> int:
    """The exit status of a forked child that calls ``body``; it has a minute."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(60)
        status = 1
        try:
            status = 0 if body() else 2
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1]


def test_a_forked_child_computes_with_its_copy() -> None:
    with tessera.Encoder(checkpoints.DEMO, threads=2) as encoder:
        expected = encoder.encode(TEXTS)

        def child() -> bool:
            is_same = np.array_equal(encoder.encode(TEXTS), expected)
            with tessera.Encoder(checkpoints.DEMO) as own:
                is_same = is_same and np.array_equal(own.encode(TEXTS), expected)
            encoder.close()
            return is_same

        assert in_child(child) == 0
        assert np.array_equal(encoder.encode(TEXTS), expected)


def test_a_child_forked_before_the_first_text() -> None:
    with tessera.Encoder(checkpoints.DEMO) as encoder:
        assert in_child(lambda: encoder.encode("tea").shape == (256,)) == 0
        assert encoder.encode("tea").shape == (256,)


def test_a_child_forked_while_threads_encode() -> None:
    with tessera.Encoder(checkpoints.DEMO, threads=2) as encoder:
        expected = encoder.encode(TEXTS)
        is_over = threading.Event()

        def work() -> None:
            while not is_over.is_set():
                encoder.encode(TEXTS)

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()

        def child() -> bool:
            # The session's lane may be in a call of a thread that is not here: a new object has its own.
            with tessera.Encoder(checkpoints.DEMO) as own:
                return np.array_equal(own.encode(TEXTS), expected)

        try:
            for _ in range(5):
                assert in_child(child) == 0
        finally:
            is_over.set()
            for worker in workers:
                worker.join()


def encode_all(encoder: tessera.Encoder) -> np.ndarray:
    return encoder.encode(TEXTS)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_takes_encoders(demo: tessera.Encoder, method: str) -> None:
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        rows = pool.map(encode_all, [demo, demo])
    assert all(np.array_equal(row, demo.encode(TEXTS)) for row in rows)


INTERRUPTED = """
import os, signal, sys, threading, time
import tessera
encoder = tessera.Encoder(sys.argv[1], threads=1)
encoder.encode("warm")
handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
sent = []
def interrupt():
    time.sleep(0.3)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
call = {
    "encode": lambda: encoder.encode([sys.argv[2]] * 60000),
    "bar": lambda: encoder.encode([sys.argv[2]] * 60000, show_progress_bar=True),
    "rank": lambda: tessera.Reranker(sys.argv[1], threads=1).rank("tea", [sys.argv[2]] * 60000),
}.get(sys.argv[3])
own = tessera.Cancel()
if sys.argv[3] == "asyncio":
    import asyncio
    call = lambda: asyncio.run(encoder.aencode([sys.argv[2]] * 60000))
if sys.argv[3] == "cancel":
    call = lambda: encoder.encode([sys.argv[2]] * 60000, cancel=own)
try:
    call()
    print("finished")
except KeyboardInterrupt:
    print("interrupted after", 1e3 * (time.perf_counter() - sent[0]), "ms")
assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
assert not own.is_requested and encoder.encode("goes on", cancel=own).shape == (256,)
"""


@pytest.mark.parametrize("call", ["encode", "bar", "rank", "cancel", "asyncio"])
def test_ctrl_c_ends_a_long_call(call: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(checkpoints.DEMO), LONG, call],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("interrupted after"), result.stdout
    milliseconds = float(result.stdout.split()[2])
    print(f"Ctrl-C during {call}: {milliseconds:.1f} ms")
    assert (
        milliseconds < 5000
    )  # the whole call takes more than ten seconds; tens of ms on an idle machine


def test_a_terminal_interrupt_that_is_not_caught_ends_the_process() -> None:
    code = "import sys, tessera; print('ready', flush=True); tessera.Encoder(sys.argv[1]).encode([sys.argv[2]] * 90000)"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(checkpoints.DEMO), LONG],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGINT, errors
    assert "KeyboardInterrupt" in errors


@pytest.mark.parametrize(
    "ending",
    [
        "pass",
        "sys.exit(0)",
        "del encoder",
        "encoder.close()",
        # A daemon thread is inside a call when the interpreter ends.
        "threading.Thread(target=lambda: encoder.encode([sys.argv[2]] * 20000), daemon=True).start(); time.sleep(0.05)",
    ],
)
def test_processes_end_as_they_should(ending: str) -> None:
    code = (
        "import sys, threading, time, tessera\n"
        "encoder = tessera.Encoder(sys.argv[1])\n"
        "encoder.encode('tea')\n" + ending
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(checkpoints.DEMO), LONG],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


MEMORY = """
import sys, tessera
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
encoder = tessera.Encoder(sys.argv[1], threads=1)
reranker = tessera.Reranker(sys.argv[1], threads=1)
def turn(i):
    encoder.encode("tea")
    encoder.encode(["a", "caf\\u00e9"][: 1 + i % 2], prompt="x ")
    if i % 50 == 0:
        encoder.encode(["a"] * (i % 37), precision="ubinary")
        encoder.encode("a b", output_value=None)
        reranker.rank("a", ["b", "c"])
        encoder.plan(8)
        try:
            encoder.encode([b"x"])
        except TypeError:
            pass
for i in range(1000):
    turn(i)
before = resident()
for i in range(int(sys.argv[2])):
    turn(i)
print(resident() - before)
"""


def test_memory_stays_where_it_is() -> None:
    """TESSERA_PYTHON_CALLS: of encode(), 1e5 in scripts/bench_python.py."""
    calls = int(os.environ.get("TESSERA_PYTHON_CALLS", "4000"))
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(checkpoints.DEMO), str(calls // 2)],
        capture_output=True,
        text=True,
        check=True,
    )
    # A leak of 100 bytes for each of 1e5 calls would be 10 MB; of a struct for each of 4000, 1 MB.
    print(f"resident memory grew by {int(result.stdout) / 1024:.0f} KiB over {calls} calls")
    assert int(result.stdout) < 1024 * 1024


def test_opening_and_closing_gives_memory_back() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def turn() -> None:
        with tessera.Encoder(checkpoints.DEMO, threads=1) as encoder:
            encoder.encode("tea")
        tessera.Encoder(checkpoints.DEMO, threads=1).encode("tea")  # left to its finalizer

    for _ in range(3):
        turn()
    before = resident()
    for _ in range(20):
        turn()
    assert resident() - before < 8 * 1024 * 1024  # an encoder takes 21 MB


class Late:
    """A module _thread whose threads begin half a second after they were asked for."""

    allocate_lock = staticmethod(_thread.allocate_lock)

    @staticmethod
    def start_new_thread(work: Callable[[], None], _: tuple[()]) -> None:
        threading.Timer(0.5, work).start()


def test_a_call_that_was_given_up_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "_thread", Late)
    monkeypatch.setattr(_run, "START_S", 0.05)
    made: list[bool] = []
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        _run.in_thread(lambda: made.append(True), tessera.Cancel())
    time.sleep(1)
    assert made == []


def test_handlers_that_go_on_raising_do_not_end_the_waiting() -> None:
    class Done:
        """A lock during whose wait a handler of signals raises, twice."""

        left = 3

        def acquire(self, timeout: float) -> bool:
            self.left -= 1
            if self.left:
                raise TimeoutError(f"a handler's, after {timeout}")
            return True

    done, cancel = Done(), tessera.Cancel()
    _run._end(cancel, done, [True], [])
    assert done.left == 0 and not cancel.is_requested


def test_what_a_run_reads_and_writes_lives_as_long_as_it() -> None:
    """A handler may also raise before the waiting begins: then the caller is gone and the run is not."""
    packed, out = _texts.packed("texts", ["tea", "brew"])[0], np.empty((2, 8), np.float32)
    assert _texts.struct_of(packed, packed).kept == (packed, packed)
    assert session.output_struct(b"embedding", out).kept is out
    assert session.output_struct(b"embedding", out[:1]).kept.base is out
    structs = session._structs([tessera.Output("embedding", 8, False)], [out])
    assert structs.kept[0] is out
