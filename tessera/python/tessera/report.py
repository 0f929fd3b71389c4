# SPDX-License-Identifier: Apache-2.0
"""`tessera report` for a notebook, or as a file."""

from __future__ import annotations

import html
import os
from ctypes import Structure, byref, c_char_p, c_int, c_int32, c_int64, c_uint32, c_void_p, sizeof
from typing import Any, Optional, Union

from . import _arrays, _texts, errors
from ._functions import TextCallback
from ._library import PATH, lib
from ._run import in_thread, on_main_thread
from .model import MOST, Model
from .plan import text_of


class ReportOptions(Structure):
    """tessera_report_options."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_int32),
        ("rows", c_int64),
        ("sequences", c_int64),
        ("runs", c_int64),
        ("title", c_char_p),
        ("is_untimed", c_uint32),
        ("counts_no_bytes", c_uint32),
    ]


class Report:
    """One HTML page without external resources: plan, roofline and times of a run. A notebook shows it."""

    def __init__(self, page: str) -> None:
        self.html = page

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes the page."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.html)

    def _repr_html_(self) -> str:
        page = html.escape(self.html, quote=True)
        return f'<iframe srcdoc="{page}" style="width:100%;height:40em;border:0"></iframe>'

    def __repr__(self) -> str:
        return f"<Report: a page of {len(self.html)} characters; save(path) writes it>"


def make_report(
    model: Model,
    *,
    rows: int = 128,
    sequences: int = 0,
    threads: int = 0,
    runs: int = 10,
    title: Optional[str] = None,
    is_timed: bool = True,
    counts_bytes: bool = True,
) -> Report:
    """The report of a run of ``rows`` token rows, timed ``runs`` times.

    is_timed      False: predictions alone
    counts_bytes  bytes counted by a replay of the walk, beside those predicted
    Errors        InvalidArgumentError; those of weights
    """
    c = ReportOptions(sizeof(ReportOptions))
    c.threads = _arrays.integer("threads", threads, 0, 2**31 - 1)
    c.rows = _arrays.integer("rows", rows, 1, MOST)
    c.sequences = _arrays.integer("sequences", sequences, 0, MOST)
    c.runs = _arrays.integer("runs", runs, 1, 2**31 - 1)
    c.title = _texts.optional("title", title)
    c.is_untimed = int(not is_timed)
    c.counts_no_bytes = int(not counts_bytes)
    handle = model.handle
    function: Any = getattr(lib, "tessera_model_report", None)
    if function is None:
        raise errors.UnsupportedModelError(
            f"report: {PATH} has no function tessera_model_report, expected a newer library"
        )
    function.restype, function.argtypes = c_int, [c_void_p, c_void_p, TextCallback, c_void_p]

    def make() -> str:
        return text_of(lambda callback: function(handle, byref(c), callback, None))

    return Report(in_thread(make) if on_main_thread() else make())
