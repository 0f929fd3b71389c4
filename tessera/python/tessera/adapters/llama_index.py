# SPDX-License-Identifier: Apache-2.0
"""For LlamaIndex: a BaseEmbedding and a BaseNodePostprocessor.

    from tessera.adapters.llama_index import TesseraEmbedding
    Settings.embed_model = TesseraEmbedding("all-MiniLM-L6-v2")

Without llama_index.core the classes have the same methods, but not its base classes.
"""

from __future__ import annotations

from typing import Any, Optional, Union

from ..encoder import Encoder
from ..reranker import Reranker
from ._base import base_class

_Embedding = base_class(
    "BaseEmbedding", "llama_index.core.embeddings", "llama_index.core.base.embeddings.base"
)
_Postprocessor = base_class("BaseNodePostprocessor", "llama_index.core.postprocessor.types")
_BATCH = 2048  # LlamaIndex cuts texts into calls of so many, at most this; the library makes its own batches


class TesseraEmbedding(_Embedding):  # type: ignore[misc, valid-type]
    """Embeddings of an Encoder, or of the directory of one with Encoder's arguments."""

    _encoder: Any = None

    def __init__(self, model: Union[Encoder, Any], **options: Any) -> None:
        encoder = model if isinstance(model, Encoder) else Encoder(model, **options)
        super().__init__(model_name=repr(encoder), embed_batch_size=_BATCH)
        self._encoder = encoder

    @classmethod
    def class_name(cls) -> str:
        return "TesseraEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._encoder.encode_query(query).tolist()

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._encoder.encode_document(text).tolist()

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._encoder.encode_document(texts).tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return (await self._encoder.aencode_query(query)).tolist()

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._encoder.aencode_document(text)).tolist()

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return (await self._encoder.aencode_document(texts)).tolist()


class TesseraRerank(_Postprocessor):  # type: ignore[misc, valid-type]
    """The best ``top_n`` nodes for the query, with the reranker's scores."""

    top_n: int = 3
    _reranker: Any = None

    def __init__(self, model: Union[Reranker, Any], top_n: int = 3, **options: Any) -> None:
        super().__init__(top_n=top_n)
        self._reranker = model if isinstance(model, Reranker) else Reranker(model, **options)

    @classmethod
    def class_name(cls) -> str:
        return "TesseraRerank"

    def _postprocess_nodes(self, nodes: list[Any], query_bundle: Optional[Any] = None) -> list[Any]:
        if query_bundle is None:
            raise ValueError("TesseraRerank: got no query_bundle, expected the query to rank by")
        texts = [node.node.get_content() for node in nodes]
        hits = self._reranker.rank(query_bundle.query_str, texts, top_k=self.top_n)
        return [
            type(nodes[0])(node=nodes[hit["corpus_id"]].node, score=hit["score"]) for hit in hits
        ]
