# SPDX-License-Identifier: Apache-2.0
"""Learned sparse embeddings (SPLADE, lexical weights of BGE-M3): a weight for few of all tokens."""

from __future__ import annotations

from ctypes import byref, c_size_t
from typing import Any, Optional

import numpy as np

from . import _progress, _texts, errors
from ._abi import Element
from ._library import check, lib
from ._run import Cancel
from .model import Directory
from .task import Task, run_async

_ELEMENT = np.dtype(Element)
_ROWS = 64  # dense rows at a time: 8 MB of a vocabulary of 30,000


class SparseVectors:
    """N sparse rows of D columns, of each the elements that are not 0, the largest first.

    indices  (elements) int64 columns: token ids
    values   (elements) float32
    indptr   (N+1) int64: row r has the elements indptr[r] to indptr[r+1]
    shape    (N, D)

    Pickled or copied they are numbers alone: decode() needs those of encode().
    """

    def __init__(
        self,
        indices: np.ndarray,
        values: np.ndarray,
        indptr: np.ndarray,
        width: int,
        decoder: Any = None,
    ) -> None:
        self.indices, self.values, self.indptr = indices, values, indptr
        self.shape = (len(indptr) - 1, width)
        self._decoder = decoder

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns and weights of a row."""
        if not -len(self) <= row < len(self):
            raise IndexError(f"sparse vectors: got row {row}, expected one of {len(self)}")
        row %= len(self)
        part = slice(self.indptr[row], self.indptr[row + 1])
        return self.indices[part], self.values[part]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_decoder": None}

    def to_dense(self) -> np.ndarray:
        """(N, D) float32."""
        out = np.zeros(self.shape, np.float32)
        rows = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        out[rows, self.indices] = self.values
        return out

    def to_scipy(self) -> Any:
        """A scipy.sparse.csr_matrix, which shares the memory; needs SciPy."""
        from scipy.sparse import csr_matrix  # pylint: disable=import-outside-toplevel

        return csr_matrix((self.values, self.indices, self.indptr), shape=self.shape)

    def decode(self, top_k: Optional[int] = None) -> list[list[tuple[str, float]]]:
        """Tokens and weights of each row, the heaviest first."""
        if self._decoder is None:
            raise errors.InvalidArgumentError(
                "decode: got vectors without a model, expected encode()'s"
            )
        result = []
        for row in range(len(self)):
            columns, weights = self[row]
            pairs = zip(columns[:top_k].tolist(), weights[:top_k].tolist())
            result.append([(self._decoder(column), weight) for column, weight in pairs])
        return result


class SparseEncoder(Task):
    """A model of sparse embeddings.

    max_active_dims  the heaviest tokens of a text alone, chosen while the logits are computed: those of
                     the whole vocabulary are never held

    Further arguments, threads and errors as Task.
    """

    def __init__(
        self, directory: Directory, *, max_active_dims: Optional[int] = None, **options: Any
    ) -> None:
        super().__init__(directory, top_k=max_active_dims, **options)
        names = [output.name for output in self.model.outputs]
        if not self.info.is_sparse and "lexical_weights" not in names:
            raise errors.UnsupportedModelError(
                f"SparseEncoder: {self.info.architecture} has no weights of tokens, expected a model with "
                "sentence-transformers' SpladePooling or a sparse_linear.pt"
            )
        self._output = "embedding" if self.info.is_sparse else "lexical_weights"
        self._top_k = max_active_dims
        self._prompts = self.model.prompts

    def encode(
        self,
        sentences: Any,
        prompt_name: Optional[str] = None,
        prompt: Optional[str] = None,
        batch_size: int = 32,
        show_progress_bar: Optional[bool] = None,
        *,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
        _route: Optional[str] = None,
    ) -> SparseVectors:
        """Sparse vectors of texts; of a str there is one row.

        batch_size  accepted and ignored
        Errors      ArgumentTypeError, InvalidArgumentError; NotFoundError: a prompt
        """
        del batch_size
        items = [sentences] if isinstance(sentences, str) else _texts.listed("sentences", sentences)
        model = self._side(route=_route if self.info.route_count else None)
        session = self.session((self._output,), model)
        name = prompt_name if prompt is None else None
        parts = (
            _progress.chunks(len(items), "Encoding")
            if show_progress_bar
            else [slice(0, len(items))]
        )
        columns, weights, counts = [], [], []
        for part in parts:
            for begin in range(part.start, part.stop, _ROWS):
                chunk = items[begin : min(begin + _ROWS, part.stop)]
                rows = session.encode_texts(
                    chunk,
                    prompt=prompt,
                    prompt_name=name,
                    timeout=timeout,
                    cancel=cancel,
                    first=begin,
                ).outputs[self._output]
                for row in rows:
                    indices, values = self._elements(row)
                    columns.append(indices)
                    weights.append(values)
                    counts.append(len(indices))
        indptr = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=indptr[1:])
        return SparseVectors(
            np.concatenate(columns) if columns else np.empty(0, np.int64),
            np.concatenate(weights) if weights else np.empty(0, np.float32),
            indptr,
            self.info.vocabulary_size,
            model.token,
        )

    def encode_query(self, sentences: Any, **options: Any) -> SparseVectors:
        """As encode(), of queries: their prompt, and of a Router their way."""
        return self.encode(sentences, _route="query", **self._prompted(options, ("query",)))

    def encode_document(self, sentences: Any, **options: Any) -> SparseVectors:
        """As encode(), of documents: their prompt, and of a Router their way."""
        options = self._prompted(options, ("document", "passage", "corpus"))
        return self.encode(sentences, _route="document", **options)

    async def aencode(self, *args: Any, **options: Any) -> SparseVectors:
        """encode() for asyncio; cancelling the task ends the run."""
        return await run_async(self.encode, *args, **options)

    def similarity(self, embeddings1: SparseVectors, embeddings2: SparseVectors) -> np.ndarray:
        """The product of every row with every row, (N,M) float32; cosines if the files say so."""
        a, b = (rows.to_dense() for rows in (embeddings1, embeddings2))
        if self.info.similarity_function == "cosine":
            for rows in (a, b):
                rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return a @ b.T

    def _prompted(self, options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        if options.get("prompt") is None and options.get("prompt_name") is None:
            known = [name for name in names if name in self._prompts]
            return {**options, "prompt_name": known[0]} if known else options
        return options

    def _elements(self, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is not 0 of a row: columns and values, the largest first."""
        if self._top_k:  # a row is k values, then their k columns
            values, tokens = row[: len(row) // 2], row[len(row) // 2 :].astype(np.int64)
            return tokens[tokens >= 0], values[tokens >= 0].copy()
        elements: Any = np.empty(np.count_nonzero(row), _ELEMENT)
        count = c_size_t()
        check(
            lib.tessera_sparse_elements(
                row.ctypes.data, len(row), elements.ctypes.data, len(elements), byref(count)
            )
        )
        return elements["column"].copy(), elements["value"].copy()

    def __reduce__(self) -> Any:
        reopen, (kind, directory, options) = super().__reduce__()
        options = {**options, "max_active_dims": options.get("top_k")}
        options.pop("top_k", None)
        return reopen, (kind, directory, options)
