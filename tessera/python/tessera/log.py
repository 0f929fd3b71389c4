# SPDX-License-Identifier: Apache-2.0
"""Messages of the library that are no errors: a NaN in the weights, a precision that is slower here."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ._functions import LogCallback
from ._library import check, lib

LEVELS = ("debug", "info", "warning")
_kept: list[Any] = []  # never freed: another thread may be in the one before


def set_log(callback: Optional[Callable[[str, str], None]]) -> None:
    """Hands messages to ``callback(level, message)``; None: silence, which is the default.

    level     "debug", "info" or "warning"
    Threads   called from any thread, one call at a time. It must not call Tessera; what it raises is
              printed by Python and goes no further.
    Example
        >>> import logging
        >>> log = logging.getLogger("tessera")
        >>> set_log(lambda level, message: log.log(getattr(logging, level.upper()), message))
        >>> set_log(None)
    """
    wrapped = LogCallback(0)  # NULL
    if callback is not None:
        given = callback

        def call(_: Any, level: int, message: bytes) -> None:
            given(LEVELS[min(max(level, 0), 2)], message.decode("utf-8", "replace"))

        wrapped = LogCallback(call)
    check(lib.tessera_set_log_callback(wrapped, None))
    _kept.append(wrapped)
