# SPDX-License-Identifier: Apache-2.0
"""For LangChain: an Embeddings, a BaseDocumentCompressor and a BaseCrossEncoder.

    from tessera.adapters.langchain import TesseraEmbeddings
    store = InMemoryVectorStore(TesseraEmbeddings("all-MiniLM-L6-v2"))

Without langchain_core the classes have the same methods, but not its base classes.
"""

from __future__ import annotations

from typing import Any, Optional, Union

from ..encoder import Encoder
from ..reranker import Reranker
from ._base import base_class

_Embeddings = base_class("Embeddings", "langchain_core.embeddings")
_Compressor = base_class("BaseDocumentCompressor", "langchain_core.documents")
_CrossEncoder = base_class(
    "BaseCrossEncoder",
    "langchain_classic.retrievers.document_compressors.cross_encoder",
    "langchain_community.cross_encoders.base",
)


class TesseraEmbeddings(_Embeddings):  # type: ignore[misc, valid-type]
    """Embeddings of an Encoder, or of the directory of one with Encoder's arguments."""

    def __init__(self, model: Union[Encoder, Any], **options: Any) -> None:
        self.encoder = model if isinstance(model, Encoder) else Encoder(model, **options)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.encoder.encode_document(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self.encoder.encode_query(text).tolist()

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return (await self.encoder.aencode_document(texts)).tolist()

    async def aembed_query(self, text: str) -> list[float]:
        return (await self.encoder.aencode_query(text)).tolist()


class TesseraReranker(_Compressor):  # type: ignore[misc, valid-type]
    """The best ``top_n`` documents, for a ContextualCompressionRetriever; "relevance_score" is added to
    their metadata."""

    reranker: Any = None
    top_n: int = 3

    def __init__(self, model: Union[Reranker, Any], top_n: int = 3, **options: Any) -> None:
        reranker = model if isinstance(model, Reranker) else Reranker(model, **options)
        super().__init__(reranker=reranker, top_n=top_n)

    def compress_documents(
        self, documents: Any, query: str, callbacks: Optional[Any] = None
    ) -> Any:
        texts = [document.page_content for document in documents]
        hits = self.reranker.rank(query, texts, top_k=self.top_n)
        return [_scored(documents[hit["corpus_id"]], hit["score"]) for hit in hits]

    async def acompress_documents(
        self, documents: Any, query: str, callbacks: Optional[Any] = None
    ) -> Any:
        texts = [document.page_content for document in documents]
        hits = await self.reranker.arank(query, texts, top_k=self.top_n)
        return [_scored(documents[hit["corpus_id"]], hit["score"]) for hit in hits]


def _scored(document: Any, score: float) -> Any:
    """A copy of a Document with its score."""
    metadata = {**document.metadata, "relevance_score": score}
    kept = {"id": document.id} if getattr(document, "id", None) is not None else {}
    return type(document)(page_content=document.page_content, metadata=metadata, **kept)


class TesseraCrossEncoder(_CrossEncoder):  # type: ignore[misc, valid-type]
    """For LangChain's own CrossEncoderReranker."""

    def __init__(self, model: Union[Reranker, Any], **options: Any) -> None:
        self.reranker = model if isinstance(model, Reranker) else Reranker(model, **options)

    def score(self, text_pairs: list[tuple[str, str]]) -> list[float]:
        return self.reranker.predict(list(text_pairs)).tolist()
