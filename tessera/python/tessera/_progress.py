# SPDX-License-Identifier: Apache-2.0
"""A line on stderr that says how far a call is; written only where it was asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from time import monotonic

CHUNK = 256  # items of one call of the library: several runs of 32, so that sorting by length still pays


def chunks(count: int, title: str) -> Iterator[slice]:
    """Slices of ``count`` items, the line rewritten after each."""
    if not count:
        return
    begin = monotonic()
    done = 0
    try:
        while done < count:
            _show(title, done, count, begin)
            part = slice(done, min(done + CHUNK, count))
            yield part
            done = part.stop
        _show(title, done, count, begin)
    finally:
        sys.stderr.write("\n")
        sys.stderr.flush()


def _show(title: str, done: int, count: int, begin: float) -> None:
    seconds = monotonic() - begin
    rate = done / seconds if seconds > 0 else 0.0
    filled = 20 * done // count
    bar = "#" * filled + "." * (20 - filled)
    sys.stderr.write(f"\r{title} [{bar}] {done}/{count}, {seconds:.1f} s, {rate:.0f}/s ")
    sys.stderr.flush()
