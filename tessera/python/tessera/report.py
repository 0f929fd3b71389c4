# SPDX-License-Identifier: Apache-2.0
"""`tessera report` for a notebook, or as a file."""

from __future__ import annotations

import html
import os
from typing import Optional, Union

from . import _arrays, _texts, _tool, errors
from .model import MOST, Model


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
    counts_bytes  bytes counted by a replay of the walk, beside those predicted (of one thread)
    Process   measured by the tool in a process of its own, which opens the directory again (_tool.py)
    Errors    NotFoundError (no tool); InvalidArgumentError; UnsupportedModelError: files in memory, and
              the texts of a model with two towers, which the tool does not report
    """
    flags = ["--rows", str(_arrays.integer("rows", rows, 1, 1 << 20))]
    if _arrays.integer("sequences", sequences, 0, MOST):
        flags += ["--sequences", str(sequences)]
    if _arrays.integer("threads", threads, 0, MOST):
        flags += ["--threads", str(threads)]
    _arrays.integer("runs", runs, 1, MOST)
    flags += ["--runs", str(runs)] if is_timed else ["--no-time"]
    if _texts.optional("title", title) is not None:
        flags += [f"--title={title}"]
    if not counts_bytes:
        flags += ["--bytes", "none"]
    if model.info.similarity != "none" and model.info.input == "tokens":
        raise errors.UnsupportedModelError(
            f"report: got the text tower of {model.info.architecture}, expected that of images, which "
            "the tool reports"
        )
    return Report(_tool.output_of(["report", "-o", "-", *flags, *model.tool_arguments()]))
