# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package share. Run by tests/python/run.py."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

import checkpoints
import tessera


@pytest.fixture(scope="session")
def demo() -> Iterator[tessera.Encoder]:
    """The shipped encoder, on two threads."""
    with tessera.Encoder(checkpoints.DEMO, threads=2) as encoder:
        yield encoder


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for checkpoints that several tests open."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="session")
def ner(files: Path) -> Path:
    names = checkpoints.labels("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    return checkpoints.golden_copy("bert-tokcls", files / "ner", **names)


@pytest.fixture(scope="session")
def qa(files: Path) -> Path:
    return checkpoints.golden_copy("bert-qa", files / "qa")


@pytest.fixture(scope="session")
def nli(files: Path) -> Path:
    names = checkpoints.labels("contradiction", "neutral", "entailment")
    return checkpoints.golden_copy("bert-seqcls", files / "nli", **names)


@pytest.fixture(scope="session")
def splade(files: Path) -> Path:
    return checkpoints.golden_copy("splade-bert", files / "splade")


@pytest.fixture(scope="session")
def m3(files: Path) -> Path:
    """Dense, lexical and token vectors of one model, with a tokenizer of words."""
    return checkpoints.golden_copy_with_words("bge-m3", files / "m3")


@pytest.fixture(scope="session")
def colbert(files: Path) -> Path:
    return checkpoints.golden_copy("colbert-bert", files / "colbert")


@pytest.fixture(scope="session")
def reranker(files: Path) -> Path:
    """The golden reranker, which reads pairs, with a tokenizer of words."""
    return checkpoints.golden_copy_with_words("xlm-roberta-reranker", files / "reranker")
