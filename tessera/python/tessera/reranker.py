# SPDX-License-Identifier: Apache-2.0
"""Documents by how well they answer a query, with the methods of sentence-transformers' CrossEncoder."""

from __future__ import annotations

from ctypes import byref
from typing import Any, Optional

import numpy as np

from . import _arrays, _progress, _texts, errors
from ._library import lib
from ._run import Cancel
from .model import MOST
from .session import Session
from .task import Task, run_async


def rank_texts(
    session: Session,
    queries: Any,
    documents: Any,
    k: int,
    *,
    max_tokens: int = 0,
    prompt: Optional[str] = None,
    prompt_name: Optional[str] = None,
    cancel: Optional[Cancel] = None,
    timeout: Optional[float] = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The best k of D documents for each of Q queries: numbers (Q,k) int64, scores (Q,k) float32."""
    q, _ = session.packed("queries", queries)
    d, _ = session.packed("documents", documents)
    ids = np.empty((q.count, k), np.int64)
    scores = np.empty((q.count, k), np.float32)
    if ids.size:
        name = _texts.optional("prompt_name", prompt_name) if prompt is None else None
        asked = _texts.struct_of(q, None, _texts.optional("prompt", prompt), name, max_tokens)
        searched = _texts.struct_of(d, max_tokens=max_tokens)
        handle, rank = session.handle, lib.tessera_rank_texts
        session.run(
            lambda run: rank(
                handle,
                byref(asked),
                byref(searched),
                run,
                k,
                ids.ctypes.data,
                scores.ctypes.data,
                None,
                ids.size,
            ),
            q.count * (d.units + q.units),
            cancel,
            timeout,
        )
    return ids, scores


class Reranker(Task):
    """A reranker; also an embedding model, whose embeddings are compared, and late interaction (ColBERT).

    Arguments, threads and errors as Task.
    Example
        >>> reranker = Reranker("models/demo/text")  # embeddings, so scores are cosines
        >>> documents = ["vi for small screens", "play chess against the computer", "Compiler for C"]
        >>> best = reranker.rank("a board game", documents, top_k=1, return_documents=True)
        >>> best[0]["corpus_id"], best[0]["text"]
        (1, 'play chess against the computer')
    """

    def rank(
        self,
        query: str,
        documents: Any,
        top_k: Optional[int] = None,
        return_documents: bool = False,
        batch_size: int = 32,
        show_progress_bar: Optional[bool] = None,
        *,
        max_tokens: int = 0,
        prompt: Optional[str] = None,
        prompt_name: Optional[str] = None,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
    ) -> list[dict[str, Any]]:
        """The documents, best first: {"corpus_id", "score"}, and "text" with return_documents.

        top_k       the best alone; None: all
        batch_size  accepted and ignored, and so is show_progress_bar
        score       of a reranker its logit after the activation that the files name, or the sigmoid; of
                    embeddings their similarity
        Errors      ArgumentTypeError, InvalidArgumentError; UnsupportedModelError: none of these models
        """
        del batch_size, show_progress_bar
        texts = _texts.listed("documents", [documents] if isinstance(documents, str) else documents)
        if not isinstance(query, str):
            raise errors.ArgumentTypeError(f"query: got {errors.kind_of(query)}, expected a str")
        most = len(texts) if top_k is None else _arrays.integer("top_k", top_k, 1, MOST)
        ids, scores = rank_texts(
            self._ranking_session(),
            query,
            texts,
            min(most, len(texts)),
            max_tokens=_arrays.integer("max_tokens", max_tokens, 0, MOST),
            prompt=prompt,
            prompt_name=prompt_name,
            cancel=cancel,
            timeout=timeout,
        )
        hits = [
            {"corpus_id": i, "score": score}
            for i, score in zip(ids.ravel().tolist(), scores.ravel().tolist())
        ]
        if return_documents:
            for hit in hits:
                hit["text"] = texts[hit["corpus_id"]]
        return hits

    async def arank(self, *args: Any, **options: Any) -> list[dict[str, Any]]:
        """rank() for asyncio; cancelling the task ends the run."""
        return await run_async(self.rank, *args, **options)

    def predict(
        self,
        sentences: Any,
        batch_size: int = 32,
        show_progress_bar: Optional[bool] = None,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
    ) -> Any:
        """Scores of pairs (query, document), as rank() gives them; of a model with several labels logits.

        Shapes    one pair gives a float, N pairs (N) float32; several labels (labels), (N, labels)
        Errors    ArgumentTypeError: what is no pair of str, by its number
        """
        del batch_size
        pairs, is_one = _pairs(sentences)
        if self.info.label_count > 1 and self.info.main_output == "logits":
            encoded = self.session().encode_texts(
                [a for a, _ in pairs], [b for _, b in pairs], cancel=cancel, timeout=timeout
            )
            result = encoded.outputs["logits"]  # (N, labels)
            return result[0] if is_one else result
        result = np.empty(len(pairs), np.float32)
        by_query: dict[str, list[int]] = {}
        for i, (query, _) in enumerate(pairs):
            by_query.setdefault(query, []).append(i)
        session = self._ranking_session()
        work = list(by_query.items())
        parts = _progress.chunks(len(work), "Predicting") if show_progress_bar else [slice(None)]
        for part in parts:
            for query, places in work[part]:
                documents = [pairs[i][1] for i in places]
                ids, scores = rank_texts(
                    session, query, documents, len(documents), cancel=cancel, timeout=timeout
                )
                result[np.array(places)[ids[0]]] = scores[0]
        return float(result[0]) if is_one else result

    def _ranking_session(self) -> Session:
        """The session of what is compared, which is not the main output of every model."""
        info = self.info
        if info.main_output == "logits" and info.label_count == 1:
            return self.session()
        return self.session(("token_embeddings",) if info.is_multi_vector else None)


def _pairs(sentences: Any) -> tuple[list[tuple[str, str]], bool]:
    if (
        isinstance(sentences, (tuple, list))
        and len(sentences) == 2
        and all(isinstance(part, str) for part in sentences)
    ):
        return [(sentences[0], sentences[1])], True
    pairs = []
    for i, pair in enumerate(_texts.listed("sentences", sentences)):
        is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2
        if not is_pair or not all(isinstance(part, str) for part in pair):
            raise errors.ArgumentTypeError(
                f"sentences[{i}]: got {errors.shown(pair)}, expected a pair of str: (query, document)"
            )
        pairs.append((pair[0], pair[1]))
    return pairs, False
