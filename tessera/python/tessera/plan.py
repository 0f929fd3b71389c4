# SPDX-License-Identifier: Apache-2.0
"""What a run will do, as `tessera plan` says it: a table, and what a notebook shows."""

from __future__ import annotations

import ctypes
import html
import json
from dataclasses import dataclass
from typing import Any, Optional

from . import _arrays, _texts
from ._enums import PlanFormat
from ._functions import TextCallback
from ._library import check, lib
from .model import MOST, Model
from .session import Session, memory_bytes

_HEADINGS = (
    "op",
    "order",
    "blocks",
    "MB > L1",
    "MB > L2",
    "MB > L3",
    "x bound",
    "time, us",
    "limited by",
)


@dataclass(frozen=True)
class PlanRow:
    """One operation: its loop order or dataflow, bytes into each cache, predicted seconds."""

    kind: str
    name: str
    shape: str
    order: str
    blocks: str
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int
    bound_bytes: int  #: least bytes into L2 of any order; 0 where there is no bound
    seconds: float
    limit: str  #: what limits it
    precision: Optional[str]  #: of the numbers that it multiplies

    @property
    def ratio(self) -> Optional[float]:
        """Bytes into L2 to the lower bound."""
        return self.l2_bytes / self.bound_bytes if self.bound_bytes else None

    def cells(self) -> tuple[str, ...]:
        ratio = self.ratio
        return (
            f"{self.kind} {self.name}".strip(),
            self.order,
            self.blocks,
            *(f"{bytes_ / 1e6:.2f}" for bytes_ in (self.l1_bytes, self.l2_bytes, self.l3_bytes)),
            f"{ratio:.2f}" if ratio is not None else "",
            f"{1e6 * self.seconds:.1f}",
            self.limit,
        )


def _row(op: dict[str, Any]) -> PlanRow:
    chosen = op["chosen"]
    return PlanRow(
        op["kind"],
        op["name"],
        op["shape"],
        chosen["name"],
        chosen["blocks"],
        chosen["l1_bytes"],
        chosen["l2_bytes"],
        chosen["l3_bytes"],
        op["bound_bytes"],
        chosen["seconds"],
        chosen["limit"],
        op["precision"],
    )


class Plan:
    """What a session does for a batch.

    rows    PlanRow of every operation, in order
    totals  the whole run, as a PlanRow
    data    everything, as `tessera plan --json` prints it: also why each other order lost
    str()   as `tessera plan` prints it; the tool's own batches are larger, 4096 rows
    """

    def __init__(self, text: str, data: dict[str, Any]) -> None:
        self._text = text
        self.data = data
        self.rows = [_row(op) for op in data["ops"]]
        bound = sum(row.bound_bytes for row in self.rows)
        total = {"kind": "total", "name": "", "shape": "", "precision": data["precision"]}
        self.totals = _row({**total, "bound_bytes": bound, "chosen": data["totals"]})

    @property
    def seconds(self) -> float:
        """Predicted, of the whole run."""
        return self.totals.seconds

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<Plan: {len(self)} operations, {1e3 * self.seconds:.3g} ms; str() is the table>"

    def table(self) -> str:
        """The operations as aligned text, the totals last."""
        lines = [_HEADINGS, *(row.cells() for row in self.rows), self.totals.cells()]
        widths = [max(map(len, column)) for column in zip(*lines)]
        is_text = (True, True, True, False, False, False, False, False, True)
        return "\n".join(
            "  ".join(
                cell.ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(line, widths, is_text)
            ).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        def line(cells: tuple[str, ...], tag: str) -> str:
            return (
                "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
            )

        body = "".join(line(row.cells(), "td") for row in self.rows)
        data = self.data
        caption = (
            f"{data['rows']} rows in {_counted(data['sequences'], 'sequence')}, "
            f"{_counted(data['threads'], 'thread')}, {data['isa']}, {data['precision']}"
        )
        return (
            f"<table><caption>{html.escape(caption)}</caption><thead>{line(_HEADINGS, 'th')}</thead>"
            f"<tbody>{body}</tbody><tfoot>{line(self.totals.cells(), 'th')}</tfoot></table>"
        )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def text_of(call: Any) -> str:
    """What a function of the library hands to its tessera_text_callback. ``call(callback)`` → status."""
    texts: list[bytes] = []
    callback = TextCallback(lambda _, text, size: texts.append(ctypes.string_at(text, size)))
    check(call(callback))
    return texts[0].decode("utf-8", "replace")


def session_plan(session: Session, rows: int, sequences: int = 0) -> Plan:
    """The plan of a session that exists. Errors: InvalidArgumentError, more rows than one run takes"""
    rows = _arrays.integer("rows", rows, 1, MOST)
    sequences = _arrays.integer("sequences", sequences, 0, MOST)
    texts = [
        text_of(
            lambda callback, form=form: lib.tessera_session_describe_plan(
                session.handle, rows, sequences, form, callback, None
            )
        )
        for form in (PlanFormat.PLAN_TEXT, PlanFormat.PLAN_JSON)
    ]
    return Plan(texts[0], json.loads(texts[1]))


def describe(model: Model, rows: int, sequences: int, session_options: dict[str, Any]) -> Plan:
    """The plan of a session with these options for such a batch.

    That of a session as it runs. Batches beyond its limits, which would be computed in several runs, are
    those of a session that takes them in one.
    """
    rows = _arrays.integer("rows", rows, 1, MOST)
    sequences = _arrays.integer("sequences", sequences, 0, MOST)
    limits = memory_bytes(model, **session_options)
    most = dict(session_options)
    if model.info.input == "tokens" and rows > limits.max_rows:
        most["max_rows"] = rows
    if sequences > limits.max_sequences:
        most["max_sequences"] = sequences
    with Session(model, **most) as session:
        return session_plan(session, rows, sequences)


def measure_machine(isa: Optional[str] = None) -> None:
    """Measures how fast this machine computes and moves data, two seconds, unless that was done before.

    Plans made from then on predict with it, in every process of this user: it is kept in
    $XDG_CACHE_HOME/tessera. Results of encoders do not depend on it.
    """
    check(lib.tessera_measure_machine(_texts.optional("isa", isa)))
