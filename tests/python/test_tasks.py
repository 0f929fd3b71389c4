# SPDX-License-Identifier: Apache-2.0
"""Rerankers, classifiers, entities, answers, sparse and token vectors: against their own logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import checkpoints
import tessera

DOCUMENTS = [
    "brew tea in a pot",
    "the cat sat",
    "tea",
    "a pot of tea for the cat and the cat",
    "pot",
]


def test_a_reranker_sorts_by_its_logits(reranker: Path) -> None:
    with tessera.Reranker(reranker, threads=1) as model:
        pairs = [("how do i brew tea", document) for document in DOCUMENTS]
        encoded = model.session().encode_texts(*zip(*pairs))
        logits = encoded.outputs["logits"][:, 0]
        scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
        hits = model.rank("how do i brew tea", DOCUMENTS)
        assert [hit["corpus_id"] for hit in hits] == np.argsort(-logits, kind="stable").tolist()
        assert np.abs([hit["score"] for hit in hits] - np.sort(scores)[::-1]).max() < 1e-6
        assert model.rank("how do i brew tea", DOCUMENTS, top_k=2) == hits[:2]
        texts = model.rank("how do i brew tea", tuple(DOCUMENTS), return_documents=True)
        assert all(DOCUMENTS[hit["corpus_id"]] == hit["text"] for hit in texts)
        predicted = model.predict(pairs)
        assert predicted.dtype == np.float32 and np.abs(predicted - scores).max() < 1e-6
        mixed = model.predict([("cat", "tea"), pairs[1], ("cat", "pot"), list(pairs[0])])
        assert mixed[1] == predicted[1] and mixed[3] == predicted[0]
        assert model.predict(pairs[2]) == pytest.approx(float(predicted[2]), abs=0)
        assert model.rank("tea", []) == [] and model.predict([]).shape == (0,)


def test_a_reranker_of_embeddings(demo: tessera.Encoder) -> None:
    with tessera.Reranker(checkpoints.DEMO) as model:
        hits = model.rank("tea", DOCUMENTS)
        cosines = demo.similarity(demo.encode("tea"), demo.encode(DOCUMENTS))[0]
        assert [hit["corpus_id"] for hit in hits] == np.argsort(-cosines, kind="stable").tolist()
        assert np.abs([hit["score"] for hit in hits] - np.sort(cosines)[::-1]).max() < 1e-6


def test_pairs_of_something_else_are_named() -> None:
    with tessera.Reranker(checkpoints.DEMO) as model:
        with pytest.raises(TypeError, match=r"sentences\[1\]: got 'ab', expected a pair of str"):
            model.predict([("a", "b"), "ab"])  # not two texts of one character
        with pytest.raises(TypeError, match=r"documents\[1\]: got None"):
            model.rank("a", ["b", None])
        with pytest.raises(TypeError, match="query: got a list, expected a str"):
            model.rank(["a"], ["b"])
        with pytest.raises(ValueError, match="top_k: got 0, expected 1"):
            model.rank("a", ["b"], top_k=0)


def test_labels_and_scores_as_pipelines_give_them() -> None:
    texts = [case["text"] for case in checkpoints.EXPECTED["text-sections"]]
    logits = np.array([case["logits"] for case in checkpoints.EXPECTED["text-sections"]])
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    with tessera.Classifier(checkpoints.SECTIONS) as classifier:
        names = classifier.labels
        assert len(names) == 16 and "games" in names
        assert np.abs(classifier.scores(texts) - expected).max() < 1e-4
        best = classifier(texts)
        assert [hit["label"] for hit in best] == [names[i] for i in logits.argmax(axis=1)]
        assert classifier(texts[0]) == [best[0]]
        every = classifier(texts, top_k=None)
        assert [len(row) for row in every] == [16] * len(texts)
        assert [hit["label"] for hit in every[0]] == [names[i] for i in np.argsort(-logits[0])]
        assert sum(hit["score"] for hit in every[0]) == pytest.approx(1, abs=1e-5)
        assert [len(row) for row in classifier(texts, top_k=3)] == [3] * len(texts)
        assert classifier([]) == []


def test_labels_that_no_one_trained(nli: Path) -> None:
    with tessera.Classifier(nli) as classifier:
        text, names = "the cat sat on the mat", ["tea", "cat", "games"]
        result = classifier(text, labels=names)
        assert result["sequence"] == text and sorted(result["labels"]) == sorted(names)
        assert sum(result["scores"]) == pytest.approx(1, abs=1e-5)
        pairs = [f"This example is {name}." for name in names]
        logits = classifier.logits([text] * 3, pairs)[:, 2].astype(np.float64)
        powers = np.exp(logits - logits.max())
        expected = dict(zip(names, powers / powers.sum()))
        for name, score in zip(result["labels"], result["scores"]):
            assert score == pytest.approx(expected[name], abs=1e-5)
        independent = classifier.zero_shot([text, "tea"], "tea, cat", multi_label=True)
        assert [row["sequence"] for row in independent] == [text, "tea"]
        assert all(0 < score < 1 for row in independent for score in row["scores"])
        with pytest.raises(ValueError, match="{}"):
            classifier.zero_shot(text, names, hypothesis_template="no place")
        with pytest.raises(ValueError, match="tea"):
            classifier.zero_shot(text, ["tea", "tea"])
        with pytest.raises(ValueError, match="label"):
            classifier.zero_shot(text, [])
        with pytest.raises(TypeError, match=r"labels\[0\]: got an int"):
            classifier.zero_shot(text, [1])


def test_entities_are_places_in_texts(ner: Path) -> None:
    text = "hello caf\u00e9 \U0001f600 brewb tea, the cat world"
    with tessera.EntityRecognizer(ner) as model:
        tokens = model.entities(text, "none")
        assert tokens
        encoded = model.session(("logits",)).encode_texts([text])
        names = model.model.labels
        best = [names[i] for i in encoded.outputs["logits"].argmax(axis=1)]
        assert [token["entity"] for token in tokens] == [n for n in best[1:-1] if n != "O"]
        groups = model.entities([text, "tea", ""])
        assert len(groups) == 3 and groups[2] == []
        for found in (*tokens, *groups[0]):
            assert text[found["start"] : found["end"]] == found["word"] != ""
            assert 0 < found["score"] <= 1
        assert {group["entity_group"] for group in groups[0]} <= {"PER", "LOC"}
        assert model(text) == groups[0] and model.entities([]) == []
        long = "hello tea the cat " * 40
        windows = model.entities(long, stride=8)
        assert max(entity["end"] for entity in windows) > len(long) // 2
        with pytest.raises(ValueError, match="expected one of 'none', 'simple'"):
            model.entities(text, "words")


def test_answers_stand_in_the_context(qa: Path) -> None:
    context = "brew caf\u00e9 tea, world. the cat sat"
    with tessera.QuestionAnswerer(qa) as model:
        answers = model.answer("hello", context, top_k=5)
        assert len(answers) == 5
        assert [a["score"] for a in answers] == sorted((a["score"] for a in answers), reverse=True)
        for answer in answers:
            assert context[answer["start"] : answer["end"]] == answer["answer"] != ""
        assert model.answer("hello", context) == answers[0] == model("hello", context)
        none = model.answer("hello", context, top_k=50, handle_impossible_answer=True)
        assert sum(answer["answer"] == "" for answer in none) == 1
        assert model.answer("hello", "tea the cat " * 200, doc_stride=4)["answer"]
        with pytest.raises(ValueError, match="empty context"):
            model.answer("hello", "")
        with pytest.raises(TypeError, match="context: got None, expected a str"):
            model.answer("hello", None)


def test_sparse_vectors_are_what_is_not_zero(splade: Path) -> None:
    texts = ["brew tea in a pot", "the cat sat", "tea"] * 50  # more than one chunk
    with tessera.SparseEncoder(splade) as encoder:
        rows = encoder.encode(texts)
        dense = encoder.session(("embedding",)).encode_texts(texts).outputs["embedding"]
        assert rows.shape == dense.shape
        assert np.array_equal(rows.to_dense(), dense)
        columns, weights = rows[0]
        assert (np.diff(weights) <= 0).all() and len(columns) == np.count_nonzero(dense[0])
        token, weight = rows.decode(top_k=1)[0][0]
        assert weight == weights[0] and token == encoder.model.token(int(columns[0]))
        assert encoder.encode("tea").shape == (1, dense.shape[1])
        assert encoder.encode([]).shape == (0, dense.shape[1])
        assert (
            np.abs(encoder.similarity(rows, encoder.encode("tea"))[:, 0] - dense @ dense[2]).max()
            < 1e-5
        )
        with pytest.raises(IndexError, match="got row 150"):
            rows[150]
    with tessera.SparseEncoder(splade, max_active_dims=5) as encoder:
        few = encoder.encode(texts[:3])
        for row in range(3):
            assert [part.tolist() for part in few[row]] == [part[:5].tolist() for part in rows[row]]


def test_vectors_of_tokens_and_their_ranking(colbert: Path) -> None:
    with tessera.MultiVector(colbert) as model:
        vectors = model.encode(DOCUMENTS)
        tokens = model.tokenize(DOCUMENTS)
        assert [part.shape for part in vectors] == [(len(tokens[i]), 12) for i in range(5)]
        assert np.array_equal(model.encode(DOCUMENTS[1]), vectors[1])
        assert np.abs(np.linalg.norm(vectors[0], axis=1) - 1).max() < 1e-5
        hits = model.rank("tea", DOCUMENTS)
        assert sorted(hit["corpus_id"] for hit in hits) == [0, 1, 2, 3, 4]
        assert [h["score"] for h in hits] == sorted((h["score"] for h in hits), reverse=True)
        best = (vectors[2] @ vectors[0].T).max(axis=1).sum()
        assert tessera.max_sim(vectors[2], vectors[0]) == pytest.approx(float(best), abs=1e-5)
        with pytest.raises(ValueError, match="expected 12"):
            tessera.max_sim(vectors[0], vectors[0][:, :5])


def test_a_model_of_three_kinds_of_vectors(m3: Path) -> None:
    texts = ["brew tea in a pot", "tea", "the cat sat on the mat"]
    with tessera.Encoder(m3) as encoder:
        names = ("embedding", "lexical_weights", "colbert_vecs")
        outputs = encoder.session(names).encode_texts(texts).outputs
        assert np.array_equal(encoder.encode(texts), outputs["embedding"])
    lexical = outputs["lexical_weights"]
    with tessera.SparseEncoder(m3) as encoder:
        assert np.array_equal(encoder.encode(texts).to_dense(), lexical)
    with tessera.SparseEncoder(m3, max_active_dims=2) as encoder:
        rows = encoder.encode(texts)
        for row in range(3):
            columns, weights = rows[row]
            assert weights.tolist() == sorted(lexical[row], reverse=True)[: len(weights)]
            assert np.array_equal(lexical[row][columns], weights)
        assert [len(rows[row][0]) for row in range(3)] == [2, 1, 2]
    with tessera.MultiVector(m3) as model:
        assert np.array_equal(np.concatenate(model.encode(texts)), outputs["colbert_vecs"])
        with pytest.raises(tessera.UnsupportedModelError, match="max_sim"):
            model.rank("tea", texts)
