# SPDX-License-Identifier: Apache-2.0
"""What has a handle of the library is neither copied nor pickled; what was computed with it is."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

import checkpoints
import tessera

MAKERS: dict[str, Callable[[], Any]] = {
    "Model": lambda: tessera.Model(checkpoints.DEMO),
    "Session": lambda: tessera.Session(tessera.Model(checkpoints.DEMO), threads=1),
    "SearchIndex": lambda: tessera.SearchIndex([[1, 0], [0, 1]]),
    "Cancel": tessera.Cancel,
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_handles_have_one_owner(name: str, way: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=f"{name}: got one to be pickled or copied, expected an"):
        way(MAKERS[name]())


def test_tokens_are_pickled_as_numbers(demo: tessera.Encoder) -> None:
    tokens = demo.tokenize(["tea", "A tiny text editor"])
    other = pickle.loads(pickle.dumps(tokens))
    assert len(other) == 2 and np.array_equal(other.ids, tokens.ids)
    assert np.array_equal(other[1], tokens[1])
    with pytest.raises(ValueError, match="words: got tokens without a model"):
        other.words()
    assert tokens.words()[0] == "[CLS]"


def test_sparse_vectors_are_pickled_as_numbers(splade: Path) -> None:
    with tessera.SparseEncoder(splade) as encoder:
        rows = encoder.encode(["tea", "hello world"])
        other = pickle.loads(pickle.dumps(rows))
        assert np.array_equal(other.to_dense(), rows.to_dense())
        assert np.array_equal(encoder.similarity(other, rows), encoder.similarity(rows, rows))
        with pytest.raises(ValueError, match="decode: got vectors without a model"):
            other.decode()


class Folder(Mapping[str, bytes]):
    """The files of a directory, read at each access."""

    names = ("config.json", "model.safetensors", "tokenizer.json")

    def __getitem__(self, name: str) -> bytes:
        return (checkpoints.DEMO / name).read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def test_bytes_that_a_mapping_makes_live_as_long_as_the_model(demo: tessera.Encoder) -> None:
    with tessera.Model(Folder()) as model:
        assert np.array_equal(model.tokenize("tea").ids, demo.tokenize("tea").ids)
        with tessera.Session(model, threads=1, outputs=["last_hidden_state"]) as session:
            rows = session.encode_texts(["tea"]).outputs["last_hidden_state"]
    expected = demo.encode("tea", output_value="token_embeddings")
    assert np.array_equal(rows, expected)
