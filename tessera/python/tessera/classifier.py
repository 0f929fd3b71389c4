# SPDX-License-Identifier: Apache-2.0
"""Labels and their scores, as the pipelines of transformers give them: of texts, of images, and labels
that no one trained (zero-shot)."""

from __future__ import annotations

from ctypes import byref, c_char_p
from typing import Any, Optional

import numpy as np

from . import _arrays, _texts, errors
from . import images as images_
from ._library import lib
from ._run import Cancel
from .model import MOST
from .task import Task, run_async


class Classifier(Task):
    """A model with a head for classes of sequences or images.

    Arguments, threads and errors as Task.
    Example
        >>> classifier = Classifier("models/demo/text-sections")
        >>> classifier("a board game for two players")[0]["label"]
        'games'
    """

    @property
    def labels(self) -> list[str]:
        """The names of the classes, in the order of the logits."""
        return self.model.labels

    def logits(
        self,
        texts: Any = None,
        pairs: Any = None,
        *,
        images: Any = None,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
    ) -> np.ndarray:
        """Logits of texts, of pairs of texts, or of images: (labels), or (N, labels) of a list."""
        self._is_classifier()
        if images is not None:
            if texts is not None or pairs is not None:
                raise errors.InvalidArgumentError(
                    "classify: got texts and images, expected one of them"
                )
            items, is_one = images_.listed(images)
            out = np.empty((len(items), self.info.label_count), np.float32)
            if items:
                session = self.session(("logits",))
                images_.encode_into(session, "logits", items, out, cancel=cancel, timeout=timeout)
        else:
            is_one = isinstance(texts, str)
            items = [texts] if is_one else texts
            seconds = [pairs] if isinstance(pairs, str) else pairs
            encoded = self.session(("logits",)).encode_texts(
                items, seconds, cancel=cancel, timeout=timeout
            )
            out = encoded.outputs["logits"]
        return out[0] if is_one else out

    def scores(self, texts: Any = None, pairs: Any = None, **options: Any) -> np.ndarray:
        """As logits(), after softmax; the sigmoid of models of several labels at once, or of one label;
        the logits themselves of a regression."""
        logits = self.logits(texts, pairs, **options)
        problem = self.info.problem_type
        if problem == "regression":
            return logits
        if problem == "multi_label_classification" or self.info.label_count == 1:
            return 1 / (1 + np.exp(-logits))
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def __call__(
        self,
        texts: Any = None,
        *,
        images: Any = None,
        labels: Any = None,
        top_k: Optional[int] = 1,
        hypothesis_template: Optional[str] = None,
        multi_label: bool = False,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
    ) -> Any:
        """Labels and scores, the best first.

        top_k     labels of each; None: all
        labels    those to choose from, of a model of natural language inference: see zero_shot()
        Returns   of a str or one image a list of {"label", "score"}; of a list such a dict for each item
                  with top_k=1, else a list of them for each; with ``labels`` as zero_shot()
        """
        if labels is not None:
            return self.zero_shot(
                texts, labels, hypothesis_template, multi_label, timeout=timeout, cancel=cancel
            )
        count = self.info.label_count if top_k is None else _arrays.integer("top_k", top_k, 1, MOST)
        scores = self.scores(texts, images=images, timeout=timeout, cancel=cancel)
        names = self.labels
        is_one = scores.ndim == 1
        result = []
        for row in scores[np.newaxis] if is_one else scores:
            order = np.argsort(-row, kind="stable")[:count]
            result.append([{"label": names[i], "score": float(row[i])} for i in order])
        if is_one:
            return result[0]
        return [row[0] for row in result] if top_k == 1 else result

    def zero_shot(
        self,
        texts: Any,
        labels: Any,
        hypothesis_template: Optional[str] = None,
        multi_label: bool = False,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
    ) -> Any:
        """Which of ``labels`` hold, by a model one of whose classes begins with "entail".

        labels               a list of str, or one str with commas between them
        hypothesis_template  where a label stands for {}; None: "This example is {}."
        multi_label          True: several may hold, each has a probability of its own
        Returns   {"sequence", "labels", "scores"}, the best label first; of a list one for each text
        Errors    UnsupportedModelError: no such class; InvalidArgumentError: labels, the template
        """
        if isinstance(labels, str):
            labels = [part.strip() for part in labels.split(",") if part.strip()]
        names = _texts.listed("labels", labels)
        data = [_texts.optional(f"labels[{i}]", name) for i, name in enumerate(names)]
        pointers = (c_char_p * len(data))(*data)
        template = _texts.optional("hypothesis_template", hypothesis_template)
        session = self.session(("logits",))
        is_one = isinstance(texts, str)
        items = [texts] if is_one else _texts.listed("texts", texts)
        packed, _ = session.packed("texts", items)
        out = np.empty((packed.count, len(names)), np.float32)
        if packed.count:
            c = _texts.struct_of(packed)
            handle, classify = session.handle, lib.tessera_classify_texts
            session.run(
                lambda run: classify(
                    handle,
                    byref(c),
                    run,
                    pointers,
                    len(names),
                    template,
                    int(multi_label),
                    out.ctypes.data,
                    out.size,
                ),
                packed.units * max(len(names), 1),
                cancel,
                timeout,
            )
        result = []
        for text, row in zip(items, out):
            order = np.argsort(-row, kind="stable")
            result.append(
                {
                    "sequence": text,
                    "labels": [names[i] for i in order],
                    "scores": [float(row[i]) for i in order],
                }
            )
        return result[0] if is_one else result

    async def acall(self, *args: Any, **options: Any) -> Any:
        """As calling it, for asyncio; cancelling the task ends the run."""
        return await run_async(self.__call__, *args, **options)

    def _is_classifier(self) -> None:
        if self.info.label_count == 0 or self.model.output("logits").is_per_token:
            raise errors.UnsupportedModelError(
                f"Classifier: {self.info.architecture} has no classes of texts or images, expected a "
                "model with a head for them; EntityRecognizer labels tokens"
            )
