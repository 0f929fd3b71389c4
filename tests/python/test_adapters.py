# SPDX-License-Identifier: Apache-2.0
"""Adapters: against what the libraries' base classes call and check, in stand-ins for these, as none of
the libraries is a Debian package; and that nothing is imported unless it is used."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import subprocess
import sys
import types
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Iterator, List, Optional

import numpy as np
import pytest

import checkpoints
import tessera

TEXTS = ["A tiny text editor", "play chess against the computer", "Compiler for C"]


class PydanticLike:
    """What of a pydantic model matters here: fields are declared, others are refused, private ones
    (underscore) are set after __init__."""

    def __init__(self, **fields: Any) -> None:
        declared = {
            name for kind in type(self).__mro__ for name in vars(kind).get("__annotations__", {})
        }
        for name, value in fields.items():
            assert name in declared and not name.startswith("_"), name
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        declared = {
            name for kind in type(self).__mro__ for name in vars(kind).get("__annotations__", {})
        }
        assert name in declared, f'object has no field "{name}"'
        object.__setattr__(self, name, value)


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    """Modules under the names of the libraries, with their base classes."""
    made = types.SimpleNamespace()

    def module(name: str, **content: Any) -> None:
        parts = name.split(".")
        for i in range(1, len(parts) + 1):
            path = ".".join(parts[:i])
            if path not in sys.modules:
                monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
        vars(sys.modules[name]).update(content)

    class Embeddings(ABC):
        @abstractmethod
        def embed_documents(self, texts: list) -> list:
            ...

        @abstractmethod
        def embed_query(self, text: str) -> list:
            ...

    class BaseDocumentCompressor(PydanticLike, ABC):
        @abstractmethod
        def compress_documents(self, documents: Any, query: str, callbacks: Any = None) -> Any:
            ...

    class BaseCrossEncoder(ABC):
        @abstractmethod
        def score(self, text_pairs: list) -> list:
            ...

    class BaseEmbedding(PydanticLike, ABC):
        model_name: str = "unknown"
        embed_batch_size: int = 10

        @abstractmethod
        def _get_query_embedding(self, query: str) -> list:
            ...

        @abstractmethod
        async def _aget_query_embedding(self, query: str) -> list:
            ...

        @abstractmethod
        def _get_text_embedding(self, text: str) -> list:
            ...

    class BaseNodePostprocessor(PydanticLike, ABC):
        def postprocess_nodes(self, nodes: list, query_bundle: Any = None) -> list:
            return self._postprocess_nodes(nodes, query_bundle)

        @abstractmethod
        def _postprocess_nodes(self, nodes: list, query_bundle: Any = None) -> list:
            ...

    @dataclass
    class Document:
        content: Optional[str] = None
        meta: dict = field(default_factory=dict)
        score: Optional[float] = None
        embedding: Optional[List[float]] = None

    class Component:
        """@component reads types from the signature of run(), which must be no strings."""

        def __call__(self, kind: type) -> type:
            for parameter in inspect.signature(kind.run).parameters.values():
                assert not isinstance(parameter.annotation, str)
            assert kind.run.outputs
            return kind

        def output_types(self, **outputs: Any) -> Any:
            def mark(run: Any) -> Any:
                run.outputs = outputs
                return run

            return mark

    module("langchain_core.embeddings", Embeddings=Embeddings)
    module("langchain_core.documents", BaseDocumentCompressor=BaseDocumentCompressor)
    module("langchain_community.cross_encoders.base", BaseCrossEncoder=BaseCrossEncoder)
    module("llama_index.core.embeddings", BaseEmbedding=BaseEmbedding)
    module("llama_index.core.postprocessor.types", BaseNodePostprocessor=BaseNodePostprocessor)
    module("haystack", Document=Document, component=Component())
    vars(made).update(locals())
    names = [f"tessera.adapters.{name}" for name in ("langchain", "llama_index", "haystack")]
    for name in names:
        sys.modules.pop(name, None)
    yield made
    for name in names:
        sys.modules.pop(name, None)


@dataclass
class LangChainDocument:
    page_content: str
    metadata: dict = field(default_factory=dict)
    id: Optional[str] = None


def adapter(name: str) -> Any:
    sys.modules.pop(f"tessera.adapters.{name}", None)
    return importlib.import_module(f"tessera.adapters.{name}")


def check_langchain(demo: tessera.Encoder) -> Any:
    langchain = adapter("langchain")
    embeddings = langchain.TesseraEmbeddings(demo)
    expected = demo.encode(TEXTS).tolist()
    assert embeddings.embed_documents(TEXTS) == expected
    assert embeddings.embed_query(TEXTS[0]) == expected[0]
    assert asyncio.run(embeddings.aembed_documents(TEXTS)) == expected
    assert asyncio.run(embeddings.aembed_query(TEXTS[1])) == expected[1]
    reranker = langchain.TesseraReranker(checkpoints.DEMO, top_n=2)
    documents = [LangChainDocument(text, {"n": i}, str(i)) for i, text in enumerate(TEXTS)]
    best = reranker.compress_documents(documents, "a board game")
    assert [document.id for document in best][0] == "1" and len(best) == 2
    assert best[0].metadata["n"] == 1 and best[0].metadata["relevance_score"] > 0
    assert documents[1].metadata == {"n": 1}
    assert asyncio.run(reranker.acompress_documents(documents, "a board game")) == best
    scores = langchain.TesseraCrossEncoder(reranker.reranker).score([("a board game", TEXTS[1])])
    assert scores == [best[0].metadata["relevance_score"]]
    return embeddings, reranker


def test_langchain(demo: tessera.Encoder, stand_ins: types.SimpleNamespace) -> None:
    embeddings, reranker = check_langchain(demo)
    assert isinstance(embeddings, stand_ins.Embeddings)
    assert isinstance(reranker, stand_ins.BaseDocumentCompressor)


@dataclass
class NodeWithScore:
    node: Any
    score: Optional[float] = None


@dataclass
class Node:
    text: str

    def get_content(self) -> str:
        return self.text


def check_llama_index(demo: tessera.Encoder) -> Any:
    llama_index = adapter("llama_index")
    embedding = llama_index.TesseraEmbedding(demo)
    expected = demo.encode(TEXTS).tolist()
    assert embedding._get_text_embeddings(TEXTS) == expected
    assert embedding._get_text_embedding(TEXTS[2]) == expected[2]
    assert embedding._get_query_embedding(TEXTS[0]) == expected[0]
    assert asyncio.run(embedding._aget_query_embedding(TEXTS[0])) == expected[0]
    assert asyncio.run(embedding._aget_text_embeddings(TEXTS)) == expected
    assert embedding.model_name == repr(demo) and embedding.class_name() == "TesseraEmbedding"
    rerank = llama_index.TesseraRerank(checkpoints.DEMO, top_n=1)
    nodes = [NodeWithScore(Node(text), 0.5) for text in TEXTS]
    query = types.SimpleNamespace(query_str="a board game")
    best = rerank._postprocess_nodes(nodes, query)
    assert len(best) == 1 and best[0].node is nodes[1].node and best[0].score != 0.5
    with pytest.raises(ValueError, match="expected the query"):
        rerank._postprocess_nodes(nodes)
    return embedding, rerank


def test_llama_index(demo: tessera.Encoder, stand_ins: types.SimpleNamespace) -> None:
    embedding, rerank = check_llama_index(demo)
    assert isinstance(embedding, stand_ins.BaseEmbedding)
    assert isinstance(rerank, stand_ins.BaseNodePostprocessor)


@pytest.mark.parametrize("check", [check_langchain, check_llama_index])
def test_without_their_libraries_they_have_the_same_methods(
    demo: tessera.Encoder, check: Any
) -> None:
    check(demo)


def test_haystack(demo: tessera.Encoder, stand_ins: types.SimpleNamespace) -> None:
    haystack = adapter("haystack")
    options = {"threads": 1}
    vector = haystack.TesseraTextEmbedder(str(checkpoints.DEMO), options).run(TEXTS[0])["embedding"]
    assert vector == demo.encode(TEXTS[0]).tolist()
    documents = [stand_ins.Document(text) for text in TEXTS]
    embedded = haystack.TesseraDocumentEmbedder(str(checkpoints.DEMO)).run(documents)["documents"]
    assert np.array_equal([d.embedding for d in embedded], demo.encode(TEXTS).tolist())
    assert all(document.embedding is None for document in documents)
    ranker = haystack.TesseraRanker(str(checkpoints.DEMO), top_k=2)
    best = ranker.run("a board game", documents)["documents"]
    assert len(best) == 2 and best[0].content == TEXTS[1] and best[0].score > best[1].score
    assert len(ranker.run("a board game", documents, top_k=1)["documents"]) == 1


def test_nothing_is_imported_unless_it_is_used() -> None:
    code = (
        "import sys, tessera\n"
        "names = ('langchain', 'llama_index', 'haystack', 'PIL', 'scipy', 'torch', 'asyncio', 'tessera.adapters')\n"
        "print([name for name in sys.modules if name.startswith(names)])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
