# SPDX-License-Identifier: Apache-2.0
"""quantize_embeddings() against what sentence-transformers' computes, and similarities against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import tessera

ROWS = np.random.default_rng(3).normal(size=(50, 24)).astype(np.float32)


def published(rows: np.ndarray, precision: str, ranges: "np.ndarray | None" = None) -> np.ndarray:
    """The formulas of sentence-transformers' quantize_embeddings(), in its order of operations."""
    if precision in ("float32", "float16"):
        return rows.astype(precision)
    if precision in ("int8", "uint8"):
        if ranges is None:
            ranges = np.vstack((np.min(rows, axis=0), np.max(rows, axis=0)))
        starts = ranges[0, :]
        steps = (ranges[1, :] - ranges[0, :]) / 255
        if precision == "uint8":
            return ((rows - starts) / steps).astype(np.uint8)
        return ((rows - starts) / steps - 128).astype(np.int8)
    bits = np.packbits(rows > 0).reshape(rows.shape[0], -1)
    return (bits - 128).astype(np.int8) if precision == "binary" else bits


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "uint8", "binary", "ubinary"])
def test_numbers_are_those_of_sentence_transformers(precision: str) -> None:
    got = tessera.quantize_embeddings(ROWS, precision)
    expected = published(ROWS, precision)
    assert got.dtype == expected.dtype and np.array_equal(got, expected)


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_ranges_are_those_given(precision: str) -> None:
    sample = 2 * np.random.default_rng(4).normal(size=(500, 24)).astype(np.float32)
    ranges = np.vstack((np.minimum(sample.min(axis=0), ROWS.min(axis=0)),
                        np.maximum(sample.max(axis=0), ROWS.max(axis=0))))  # fmt: skip
    got = tessera.quantize_embeddings(ROWS, precision, ranges=ranges)
    assert np.array_equal(got, published(ROWS, precision, ranges))
    assert np.array_equal(got[7], tessera.quantize_embeddings(ROWS[7], precision, ranges=ranges))
    calibrated = tessera.quantize_embeddings(ROWS, precision, calibration_embeddings=ROWS)
    assert np.array_equal(calibrated, published(ROWS, precision))


def test_encode_gives_what_quantising_afterwards_gives(demo: tessera.Encoder) -> None:
    texts = ["a cat", "a dog", "tea"]
    whole = demo.encode(texts)
    for precision in ("float16", "int8", "uint8", "binary", "ubinary"):
        assert np.array_equal(demo.encode(texts, precision=precision), published(whole, precision))
    assert np.array_equal(demo.encode("tea", precision="binary"), published(whole, "binary")[2])


def test_what_has_no_range_is_refused(demo: tessera.Encoder) -> None:
    for call in (
        lambda: tessera.quantize_embeddings(ROWS[:1], "int8"),
        lambda: demo.encode("tea", precision="int8"),
        lambda: demo.encode(["tea"], precision="uint8"),
    ):
        with pytest.raises(
            tessera.InvalidArgumentError, match="no range of its own; expected ranges"
        ):
            call()
    with pytest.raises(ValueError, match="multiple of 8"):
        tessera.quantize_embeddings(ROWS[:, :20], "binary")
    with pytest.raises(ValueError, match="expected one of 'float32'"):
        tessera.quantize_embeddings(ROWS, "int4")
    with pytest.raises(ValueError, match=r"expected \(2, 24\)"):
        tessera.quantize_embeddings(ROWS, "int8", ranges=ROWS[:3])


def test_similarities_are_those_of_numpy() -> None:
    a, b = ROWS[:20].astype(np.float64), ROWS[20:].astype(np.float64)
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    difference = a[:, None] - b[None]
    expected = {
        "cosine": a @ b.T / lengths,
        "dot": a @ b.T,
        "euclidean": -np.sqrt((difference**2).sum(axis=2)),
        "manhattan": -np.abs(difference).sum(axis=2),
    }
    for name, matrix in expected.items():
        got = tessera.similarity(ROWS[:20], ROWS[20:], name)
        assert got.dtype == np.float32 and np.abs(got - matrix).max() < 1e-4
        pairs = tessera.similarity_pairwise(ROWS[:20], ROWS[20:40], name)
        assert np.abs(pairs - np.diagonal(matrix[:, :20])).max() < 1e-4


def test_arrays_of_other_orders_and_types_are_read() -> None:
    expected = tessera.similarity(ROWS, ROWS)
    wide = np.zeros((50, 99), np.float32)
    wide[:, 7:31] = ROWS
    misaligned = np.frombuffer(b"x" + ROWS.tobytes(), np.uint8)[1:].view(np.float32).reshape(50, 24)
    for rows in (
        np.asfortranarray(ROWS),
        wide[:, 7:31],
        misaligned,
        ROWS[::-1][::-1],
        ROWS.tolist(),
    ):
        assert np.array_equal(tessera.similarity(rows, rows), expected)
    assert np.abs(tessera.similarity(ROWS.astype(np.float16), ROWS) - expected).max() < 1e-2
    assert tessera.similarity(ROWS[0], ROWS).shape == (1, 50)
    assert tessera.similarity([], ROWS).shape == (0, 50)
    zero = np.zeros((1, 24), np.float32)
    assert tessera.similarity_pairwise(zero, ROWS[:1]).tolist() == [0.0]


def test_an_index_finds_what_a_matrix_says(tmp_path) -> None:
    index = tessera.SearchIndex(ROWS)
    ids, scores = index.search(ROWS[:3], k=5)
    cosines = tessera.similarity(ROWS[:3], ROWS)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :5]
    assert np.array_equal(ids, order)
    assert np.array_equal(scores, np.take_along_axis(cosines, order, axis=1))
    index.save(tmp_path / "rows.npy")
    again = tessera.SearchIndex(tmp_path / "rows.npy")
    assert len(again) == 50 and np.array_equal(
        again.search(ROWS[0], k=99)[0], index.search(ROWS[0], k=50)[0]
    )
    with pytest.raises(FileNotFoundError, match="nothing.npy"):
        tessera.SearchIndex(tmp_path / "nothing.npy")


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan"])
def test_numbers_that_are_not_finite_have_no_similarity(name: str) -> None:
    rows = np.ones((3, 4), np.float32)
    for bad in (np.nan, np.inf):
        other = rows.copy()
        other[1, 2] = bad
        for compare in (tessera.similarity, tessera.similarity_pairwise):
            with pytest.raises(ValueError, match=f"row 1 has {bad} at 2, expected finite numbers"):
                compare(rows, other, name)


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1, 1e15, 1e30])
def test_cosines_of_pairs_do_not_depend_on_lengths(scale: float) -> None:
    a, b = ROWS[:20] * np.float32(scale), ROWS[20:40]
    every = tessera.similarity(a, b)
    assert np.allclose(tessera.similarity_pairwise(a, b), np.diag(every), atol=1e-6)
