# SPDX-License-Identifier: Apache-2.0
"""Places in texts: named entities, and answers to questions."""

from __future__ import annotations

from ctypes import byref, sizeof
from typing import Any, Optional

import numpy as np

from . import _arrays, _texts, errors
from ._abi import AnswerOptions, Span
from ._enums import Grouping
from ._library import lib
from ._run import Cancel
from .model import MOST
from .session import Session
from .task import Task, run_async

GROUPINGS = {
    "none": Grouping.GROUP_NONE,
    "simple": Grouping.GROUP_SIMPLE,
    "first": Grouping.GROUP_FIRST,
    "average": Grouping.GROUP_AVERAGE,
    "max": Grouping.GROUP_MAX,
}
_SPAN = np.dtype(Span)


class EntityRecognizer(Task):
    """A model whose head labels tokens (NER). Arguments, threads and errors as Task."""

    def entities(
        self,
        texts: Any,
        aggregation_strategy: str = "simple",
        *,
        stride: Optional[int] = None,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
    ) -> Any:
        """Named entities with their places, as transformers' token-classification pipeline finds them.

        aggregation_strategy  "none": every token that is not "O"; "simple", "first", "average", "max"
        stride                a text that is too long is read in windows with so many tokens in common;
                              None: it is cut
        Returns   of a str a list of {"entity_group" ("entity" with "none"), "score", "word", "start",
                  "end"}, of a list such a list for each; text[start:end] is the word
        Errors    UnsupportedModelError: another head; InvalidArgumentError: a strategy
        """
        grouping = _arrays.one_of("aggregation_strategy", aggregation_strategy, GROUPINGS)
        step = -1 if stride is None else _arrays.integer("stride", stride, 0, MOST)
        session = _session_of(self, ("logits",), "a head that labels tokens")
        is_one = isinstance(texts, str)
        items = [texts] if is_one else _texts.listed("texts", texts)
        packed, _ = session.packed("texts", items)
        c = _texts.struct_of(packed)
        offsets = np.zeros(packed.count + 1, np.int64)
        spans = np.empty(0, _SPAN)
        if packed.count:
            # No more entities than tokens. Read in windows a text has more of these than tokenize() says,
            # which cuts: as many as 18 of a code point of three bytes (byte fallback after NFKD).
            room = int(self.model.token_offsets(c)[-1])
            if step >= 0:
                room = max(room, sum(6 * len(item.encode()) + 1 for item in items))
            spans = np.empty(room, _SPAN)
            handle, find = session.handle, lib.tessera_find_entities
            session.run(
                lambda run: find(
                    handle,
                    byref(c),
                    run,
                    grouping,
                    step,
                    spans.ctypes.data,
                    len(spans),
                    offsets.ctypes.data,
                ),
                packed.units,
                cancel,
                timeout,
            )
        key = "entity" if grouping == Grouping.GROUP_NONE else "entity_group"
        names = self._names(is_grouped=grouping != Grouping.GROUP_NONE)
        result = []
        for i, text in enumerate(items):
            found = spans[offsets[i] : offsets[i + 1]]
            result.append([_entity(span, text, key, names) for span in found])
        return result[0] if is_one else result

    __call__ = entities

    async def aentities(self, *args: Any, **options: Any) -> Any:
        """entities() for asyncio; cancelling the task ends the run."""
        return await run_async(self.entities, *args, **options)

    def _names(self, is_grouped: bool) -> list[str]:
        """Names of classes; of groups without the "B-" and "I-" of their tokens."""
        names = self.model.labels
        if not is_grouped:
            return names
        return [name[2:] if name[:2] in ("B-", "I-") else name for name in names]


def _session_of(task: Task, outputs: tuple[str, ...], head: str) -> Session:
    """The session of these outputs. Errors: UnsupportedModelError: the model has none"""
    try:
        return task.session(outputs)
    except errors.NotFoundError:
        raise errors.UnsupportedModelError(
            f"{type(task).__name__}: {task.info.architecture} has no output {outputs[0]}, expected a "
            f"model with {head}"
        ) from None


def _entity(span: Any, text: str, key: str, names: list[str]) -> dict[str, Any]:
    begin, end = int(span["begin"]), int(span["end"])
    return {
        key: names[span["label"]],
        "score": float(span["score"]),
        "word": text[begin:end],
        "start": begin,
        "end": end,
    }


class QuestionAnswerer(Task):
    """A model whose head finds answers in a context (extractive). Arguments, threads, errors as Task."""

    def answer(
        self,
        question: str,
        context: str,
        top_k: Optional[int] = None,
        *,
        handle_impossible_answer: bool = False,
        max_answer_len: int = 0,
        doc_stride: Optional[int] = None,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
    ) -> Any:
        """The best answer that stands in ``context``, as transformers' question-answering pipeline.

        top_k                     None: the best; k: a list of at most k, best first
        handle_impossible_answer  True: "" may be the answer
        max_answer_len            tokens; 0: 15
        doc_stride                tokens that windows of a long context have in common; None: 128
        Returns   {"score", "start", "end", "answer"}; context[start:end] is the answer; None without any
        Errors    UnsupportedModelError: another head; InvalidArgumentError: an empty text
        """
        for name, text in (("question", question), ("context", context)):
            if not isinstance(text, str):
                raise errors.ArgumentTypeError(
                    f"{name}: got {errors.described(text)}, expected a str"
                )
        k = 1 if top_k is None else _arrays.integer("top_k", top_k, 1, 2**24)
        session = _session_of(self, ("start_logits", "end_logits"), "a head for question answering")
        asked, _ = session.packed("question", question)
        read, _ = session.packed("context", context)
        c = _texts.struct_of(asked, read)
        how = AnswerOptions(sizeof(AnswerOptions), int(handle_impossible_answer))
        how.max_answer_tokens = _arrays.integer("max_answer_len", max_answer_len, 0, MOST)
        how.stride = (
            -1 if doc_stride is None else _arrays.integer("doc_stride", doc_stride, 0, MOST)
        )
        spans = np.empty(k, _SPAN)
        handle, find = session.handle, lib.tessera_find_answers
        session.run(
            lambda run: find(handle, byref(c), run, byref(how), k, spans.ctypes.data, k),
            len(context.encode()) + asked.units,  # windows read the whole of it
            cancel,
            timeout,
        )
        answers = [
            {
                "score": float(span["score"]),
                "start": int(span["begin"]),
                "end": int(span["end"]),
                "answer": context[span["begin"] : span["end"]],
            }
            for span in spans
            if np.isfinite(span["score"])  # those that are left over are -inf
        ]
        if top_k is not None:
            return answers
        return answers[0] if answers else None

    __call__ = answer

    async def aanswer(self, *args: Any, **options: Any) -> Any:
        """answer() for asyncio; cancelling the task ends the run."""
        return await run_async(self.answer, *args, **options)
