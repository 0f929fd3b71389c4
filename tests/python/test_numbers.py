# SPDX-License-Identifier: Apache-2.0
"""The reference's numbers through Python: the shipped checkpoints, and golden ones by token ids."""

from __future__ import annotations

import numpy as np
import pytest

import checkpoints
import tessera

TOLERANCE = 1e-4  # of tests/golden: fp32 against the reference


def test_embeddings_of_the_shipped_checkpoint(demo: tessera.Encoder) -> None:
    cases = checkpoints.EXPECTED["text"]
    got = demo.encode([case["text"] for case in cases])
    expected = np.array([case["embedding"] for case in cases])
    assert np.abs(got - expected).max() < 1e-5
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() < 1e-6


def test_token_ids_of_the_shipped_checkpoint(demo: tessera.Encoder) -> None:
    cases = checkpoints.EXPECTED["text"]
    tokens = demo.tokenize([case["text"] for case in cases])
    assert len(tokens) == len(cases)
    for i, case in enumerate(cases):
        assert tokens[i].tolist() == case["ids"]
    assert demo.tokenize("A tiny text editor").words() == [
        "[CLS]", "a", "tiny", "text", "editor", "[SEP]",
    ]  # fmt: skip


def test_logits_of_the_shipped_classifier() -> None:
    cases = checkpoints.EXPECTED["text-sections"]
    with tessera.Classifier(checkpoints.SECTIONS) as classifier:
        got = classifier.logits([case["text"] for case in cases])
    assert np.abs(got - np.array([case["logits"] for case in cases])).max() < TOLERANCE


@pytest.mark.parametrize(
    "name", ["bert-model", "bert-model-f16", "roberta-model", "nomic-bert-model"]
)
def test_states_of_golden_models(name: str) -> None:
    folder = checkpoints.GOLDEN / name
    inputs = checkpoints.read_safetensors(folder / "inputs.safetensors")
    outputs = checkpoints.read_safetensors(folder / "outputs.safetensors")
    mask = inputs["attention_mask"].astype(bool)
    ids = [row[keep] for row, keep in zip(inputs["input_ids"], mask)]
    tokens = tessera.Tokens.of(ids)
    if "token_type_ids" in inputs:
        tokens.types = inputs["token_type_ids"][mask].astype(np.int32)
    with tessera.Model(folder) as model, tessera.Session(
        model, outputs=["last_hidden_state"]
    ) as session:
        encoded = session.encode_ids(tokens)
    assert encoded.offsets is not None and encoded.offsets[-1] == mask.sum()
    expected = outputs["last_hidden_state"][mask]
    assert np.abs(encoded.outputs["last_hidden_state"] - expected).max() < TOLERANCE


def test_sparse_embeddings_of_a_golden_model() -> None:
    folder = checkpoints.GOLDEN / "splade-bert"
    inputs = checkpoints.read_safetensors(folder / "inputs.safetensors")
    expected = checkpoints.read_safetensors(folder / "embeddings.safetensors")["sentence_embedding"]
    mask = inputs["attention_mask"].astype(bool)
    tokens = tessera.Tokens.of([row[keep] for row, keep in zip(inputs["input_ids"], mask)])
    if "token_type_ids" in inputs:
        tokens.types = inputs["token_type_ids"][mask].astype(np.int32)
    with tessera.Model(folder) as model, tessera.Session(model) as session:
        got = session.encode_ids(tokens).outputs["embedding"]
    assert np.abs(got - expected).max() < TOLERANCE


def test_precisions_stay_close_to_fp32(demo: tessera.Encoder) -> None:
    texts = [case["text"] for case in checkpoints.EXPECTED["text"]]
    exact = demo.encode(texts)
    for precision, least in (("bf16", 0.9999), ("int8", 0.99)):
        with tessera.Encoder(checkpoints.DEMO, precision=precision) as encoder:
            assert encoder.info.precision == precision
            cosines = tessera.similarity_pairwise(exact, encoder.encode(texts))
        assert least < cosines.min() < 1.0


def test_the_same_bits_whatever_the_batch(demo: tessera.Encoder) -> None:
    texts = [case["text"] for case in checkpoints.EXPECTED["text"]] * 20
    together = demo.encode(texts)
    backwards = demo.encode(texts[::-1])[::-1]
    alone = np.stack([demo.encode(text) for text in texts[:9]])
    with tessera.Encoder(checkpoints.DEMO, threads=1) as one:
        single = one.encode(texts)
    assert np.array_equal(together, backwards)
    assert np.array_equal(together[:9], alone)
    assert np.array_equal(together, single)
