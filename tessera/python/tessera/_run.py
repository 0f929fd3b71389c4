# SPDX-License-Identifier: Apache-2.0
"""How a call of the library is run: in place if it is short, else so that Ctrl-C ends it.

Python runs its signal handlers between bytecodes of the main thread, so a call of seconds would keep
Ctrl-C waiting. The library installs no handlers, and neither does this package: a call in the main
thread that will take more than LONG_NS runs on a thread of its own while the main thread waits for a
lock, which a signal interrupts. Then the run is cancelled, at the next tile, and KeyboardInterrupt goes
on. Calls on other threads, which get no KeyboardInterrupt, and short ones run in place: the hand-over
costs more than a short text. ctypes releases the GIL during every call.
"""

from __future__ import annotations

import _thread
import threading
import weakref
from ctypes import byref, c_void_p, sizeof
from time import perf_counter_ns
from typing import Any, Callable, Optional, TypeVar

from . import errors
from ._abi import RunOptions
from ._enums import Status
from ._library import NotCopied, check, last_error, lib

LONG_NS = 20_000_000  # a person does not notice it; the hand-over, up to 0.4 ms on a busy machine, is 2 % of it
START_S = 1.0  # a thread that has not begun by then never was started

Result = TypeVar("Result")


def in_thread(call: Callable[[], Result], cancel: Optional["Cancel"] = None) -> Result:
    """``call()`` on a thread, waited for so that signals are handled; what it raises is raised here.

    When a signal handler raises, the run is cancelled and its end is waited for, as it reads and writes
    what the caller holds. Without ``cancel`` it is left to its thread: it must hold what it needs.
    """
    done = _thread.allocate_lock()
    done.acquire()
    begun: list[bool] = []
    given_up: list[bool] = []
    outcome: list[Any] = []

    def work() -> None:
        begun.append(True)
        try:
            if not given_up:  # else what the call reads is gone
                outcome.append((call(), None))
        except BaseException as error:  # pylint: disable=broad-except
            outcome.append((None, error))
        finally:
            done.release()

    try:
        _thread.start_new_thread(work, ())
        done.acquire()
    except RuntimeError:  # no thread can be started (ulimit, interpreter shutting down): in place
        work()
    except BaseException:
        if cancel is not None:
            _end(cancel, done, begun, given_up)
        raise
    result, error = outcome.pop()
    if error is not None:
        raise error
    return result


def _end(cancel: "Cancel", done: Any, begun: list[bool], given_up: list[bool]) -> None:
    """Ends a run, a matter of milliseconds. What signal handlers raise meanwhile (a further Ctrl-C, a
    timer) has nothing more to end, and must not let the caller's memory go while the run is in it.
    """
    was_requested = cancel.is_requested
    while True:
        try:
            cancel.request()
            if done.acquire(timeout=START_S):
                break
            given_up.append(True)  # first this, then a look: work() does it the other way round
            if not begun:
                break
        except BaseException:  # pylint: disable=broad-except
            continue
    if not was_requested:  # the caller's own object serves the next call
        cancel.reset()


def on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class Cancel(NotCopied):
    """Ends runs that were given it, from any thread, now or later.

    Example
        >>> cancel = Cancel()
        >>> cancel.request()
        >>> cancel.is_requested
        True
    """

    def __init__(self) -> None:
        handle = c_void_p()
        check(lib.tessera_cancel_create(byref(handle)))
        self._handle: int = handle.value or 0
        self._is_requested = False
        weakref.finalize(self, lib.tessera_cancel_close, self._handle)

    @property
    def is_requested(self) -> bool:
        return self._is_requested

    def request(self) -> None:
        """Runs that were given this object end with CancelledError, at the next tile."""
        self._is_requested = True
        check(lib.tessera_cancel_request(self._handle))

    def reset(self) -> None:
        """Takes the request back."""
        check(lib.tessera_cancel_reset(self._handle))
        self._is_requested = False


class Pace:
    """Nanoseconds for a byte of text (or a pixel) in the calls that one session has seen."""

    def __init__(self) -> None:
        self.ns_per_unit = float("inf")  # the first call is long: it may pack the weights

    def saw(self, units: int, ns: int) -> None:
        rate = ns / max(units, 1)
        # A slow call counts at once, quick ones by and by: waiting in place is the mistake to avoid.
        is_first = self.ns_per_unit == float("inf")
        self.ns_per_unit = rate if is_first else max(rate, 0.1 * self.ns_per_unit)

    def is_long(self, units: int) -> bool:
        return units * self.ns_per_unit > LONG_NS


def execute(
    call: Callable[[Any], int],
    pace: Pace,
    units: int,
    cancel: Optional[Cancel] = None,
    timeout: Optional[float] = None,
    *,
    max_pixels: int = 0,
    names_a_file: bool = False,
) -> None:
    """Runs ``call(run_options)``, a function of the library, and raises what it says.

    units       how much there is to do, as ``pace`` counts
    timeout     seconds from now on; None: none
    max_pixels  of an image as it is given; 0: the library's
    Errors    those of the function; CancelledError, DeadlineError; KeyboardInterrupt
    """
    is_long = pace.is_long(units) and on_main_thread()
    if cancel is None and is_long:
        cancel = Cancel()
    options = None
    if cancel is not None or timeout is not None or max_pixels:
        run = RunOptions(sizeof(RunOptions))
        run.cancel = cancel._handle if cancel is not None else None
        run.timeout_ns = _nanoseconds(timeout)
        run.max_pixels = max_pixels
        options = byref(run)
    if is_long:

        def work() -> tuple[int, str]:
            status = call(options)
            return status, last_error() if status else ""  # what went wrong is kept by thread

        begin = perf_counter_ns()
        status, message = in_thread(work, cancel)
        pace.saw(units, perf_counter_ns() - begin)
    else:
        begin = perf_counter_ns()
        status = call(options)
        pace.saw(units, perf_counter_ns() - begin)
        message = last_error() if status else ""
    if status:
        if (
            status == Status.CANCELLED
            and timeout is not None
            and not (cancel and cancel.is_requested)
        ):
            raise errors.DeadlineError(message)
        raise errors.from_status(status, message, names_a_file=names_a_file)


def _nanoseconds(timeout: Optional[float]) -> int:
    if timeout is None:
        return 0
    if isinstance(timeout, (str, bytes)) or not 0 < timeout <= 1e9:
        raise errors.InvalidArgumentError(
            f"timeout: got {errors.shown(timeout)}, expected seconds, above 0 and at most 1e9, or None"
        )
    return max(int(timeout * 1e9), 1)
