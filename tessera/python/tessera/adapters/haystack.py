# SPDX-License-Identifier: Apache-2.0
"""For Haystack 2: components that embed texts and documents, and rank documents.

    from tessera.adapters.haystack import TesseraTextEmbedder
    pipeline.add_component("embedder", TesseraTextEmbedder("all-MiniLM-L6-v2"))

Needs haystack-ai, whose decorator reads the types of run(): hence no postponed annotations here.
"""

from dataclasses import replace
from typing import Any, Dict, List, Optional

from haystack import Document, component

from ..encoder import Encoder
from ..reranker import Reranker


@component
class TesseraTextEmbedder:
    """The embedding of a query. ``options``: further arguments of Encoder."""

    def __init__(self, model: str, options: Optional[Dict[str, Any]] = None) -> None:
        self.model = model
        self.options = options
        self._encoder: Optional[Encoder] = None

    def warm_up(self) -> None:
        """Opens the model, unless that was done."""
        if self._encoder is None:
            self._encoder = Encoder(self.model, **(self.options or {}))

    @component.output_types(embedding=List[float])
    def run(self, text: str) -> Dict[str, Any]:
        self.warm_up()
        assert self._encoder is not None
        return {"embedding": self._encoder.encode_query(text).tolist()}


@component
class TesseraDocumentEmbedder:
    """Documents with their embeddings, of their content alone."""

    def __init__(self, model: str, options: Optional[Dict[str, Any]] = None) -> None:
        self.model = model
        self.options = options
        self._encoder: Optional[Encoder] = None

    def warm_up(self) -> None:
        """Opens the model, unless that was done."""
        if self._encoder is None:
            self._encoder = Encoder(self.model, **(self.options or {}))

    @component.output_types(documents=List[Document])
    def run(self, documents: List[Document]) -> Dict[str, Any]:
        self.warm_up()
        assert self._encoder is not None
        rows = self._encoder.encode_document([document.content or "" for document in documents])
        return {
            "documents": [
                replace(document, embedding=row) for document, row in zip(documents, rows.tolist())
            ]
        }


@component
class TesseraRanker:
    """The best ``top_k`` documents for a query, with their scores."""

    def __init__(
        self, model: str, top_k: int = 10, options: Optional[Dict[str, Any]] = None
    ) -> None:
        self.model = model
        self.top_k = top_k
        self.options = options
        self._reranker: Optional[Reranker] = None

    def warm_up(self) -> None:
        """Opens the model, unless that was done."""
        if self._reranker is None:
            self._reranker = Reranker(self.model, **(self.options or {}))

    @component.output_types(documents=List[Document])
    def run(
        self, query: str, documents: List[Document], top_k: Optional[int] = None
    ) -> Dict[str, Any]:
        self.warm_up()
        assert self._reranker is not None
        texts = [document.content or "" for document in documents]
        hits = self._reranker.rank(query, texts, top_k=self.top_k if top_k is None else top_k)
        return {
            "documents": [replace(documents[hit["corpus_id"]], score=hit["score"]) for hit in hits]
        }
