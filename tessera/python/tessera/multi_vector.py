# SPDX-License-Identifier: Apache-2.0
"""Late interaction (ColBERT, colbert_vecs of BGE-M3): a vector for each token."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from . import _arrays, _texts, errors
from ._run import Cancel
from .model import Directory
from .reranker import Reranker
from .session import Session
from .task import run_async

_OUTPUTS = ("token_embeddings", "colbert_vecs")


class MultiVector(Reranker):
    """A model with a vector for each token. rank() and predict() are those of Reranker: they add markers
    of queries and documents, their lengths, expansion and skip lists, as the model's files say.

    Arguments, threads and errors as Task.
    """

    def __init__(self, directory: Directory, **options: Any) -> None:
        super().__init__(directory, **options)
        names = [output.name for output in self.model.outputs]
        known = [name for name in _OUTPUTS if name in names]
        if not known:
            raise errors.UnsupportedModelError(
                f"MultiVector: {self.info.architecture} has one vector for a text, expected an output "
                f"{' or '.join(_OUTPUTS)}: use Encoder"
            )
        self._output = known[0]

    def encode(
        self,
        sentences: Any,
        prompt_name: Optional[str] = None,
        prompt: Optional[str] = None,
        batch_size: int = 32,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
    ) -> Any:
        """The vectors of the tokens of each text as it is, without the markers that rank() adds.

        Shapes    a str gives (T,D) float32, others a list of these
        """
        del batch_size
        is_one = isinstance(sentences, str)
        items = [sentences] if is_one else _texts.listed("sentences", sentences)
        encoded = self.session((self._output,)).encode_texts(
            items,
            prompt=prompt,
            prompt_name=prompt_name if prompt is None else None,
            timeout=timeout,
            cancel=cancel,
        )
        rows, offsets = encoded.outputs[self._output], encoded.offsets
        assert offsets is not None
        result = [rows[offsets[i] : offsets[i + 1]] for i in range(len(items))]
        return result[0] if is_one else result

    def _ranking_session(self) -> Session:
        if self._output != "token_embeddings":
            raise errors.UnsupportedModelError(
                f"rank: got a model with {self._output}, for which no files say how texts are marked, "
                "expected late interaction: compare rows of encode() by max_sim(), or use Reranker"
            )
        return super()._ranking_session()

    async def aencode(self, *args: Any, **options: Any) -> Any:
        """encode() for asyncio; cancelling the task ends the run."""
        return await run_async(self.encode, *args, **options)


def max_sim(query: Any, document: Any) -> float:
    """MaxSim: for each vector of the query the best product with one of the document, added.

    Shapes    query (T,D), document (U,D)
    Example
        >>> max_sim([[1, 0], [0, 1]], [[1, 0], [0.5, 0.5]])
        1.5
    """
    x, _ = _arrays.rows_of("query", query)
    y, _ = _arrays.rows_of("document", document, x.shape[1])
    if not len(x) or not len(y):
        raise errors.InvalidArgumentError(
            f"max_sim: got {len(x)} and {len(y)} vectors, expected at least one of each"
        )
    return float((x @ y.T).max(axis=1).sum(dtype=np.float64))
