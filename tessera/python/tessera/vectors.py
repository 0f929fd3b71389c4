# SPDX-License-Identifier: Apache-2.0
"""Embeddings in fewer bits, and how similar they are."""

from __future__ import annotations

from ctypes import byref
from typing import Any, Callable, Optional

import numpy as np

from . import _arrays, errors
from ._enums import Measure, VectorType
from ._library import check, lib

#: name, as sentence-transformers has it: (type of the library, dtype, columns for each 8 of the embedding)
VECTOR_TYPES = {
    "float32": (VectorType.VECTOR_F32, np.float32, 8),
    "float16": (VectorType.VECTOR_F16, np.float16, 8),
    "int8": (VectorType.VECTOR_INT8, np.int8, 8),
    "uint8": (VectorType.VECTOR_UINT8, np.uint8, 8),
    "binary": (VectorType.VECTOR_BINARY, np.int8, 1),
    "ubinary": (VectorType.VECTOR_UBINARY, np.uint8, 1),
}
SIMILARITY_FUNCTIONS = ("cosine", "dot", "euclidean", "manhattan")


def quantize_embeddings(
    embeddings: Any,
    precision: str,
    ranges: Any = None,
    calibration_embeddings: Any = None,
) -> np.ndarray:
    """Embeddings as they are stored: "float32", "float16", "int8", "uint8", "binary", "ubinary".

    Equal to sentence-transformers' function of the same name. int8 and uint8 divide the range of each
    column into 255 steps: ``ranges`` (2,D), all lows, then all highs; else those of
    ``calibration_embeddings``; else of the embeddings themselves.

    Shapes    embeddings (N,D) or (D,) float32; the result as many rows of D, or of D/8 bytes
    Errors    ArgumentTypeError; InvalidArgumentError: a D that is no multiple of 8 for bits, numbers that
              are not finite, no ranges for one row
    Example
        >>> quantize_embeddings([[0.5, -1, 2, 3, 0, 0, 1, 1]], "ubinary")
        array([[179]], dtype=uint8)
    """
    kind, dtype, columns = _arrays.one_of("precision", precision, VECTOR_TYPES)
    rows, is_one = _arrays.rows_of("embeddings", embeddings)
    count, width = rows.shape
    pointer = None
    if precision in ("int8", "uint8"):
        if ranges is None and calibration_embeddings is not None:
            sample, _ = _arrays.rows_of("calibration_embeddings", calibration_embeddings, width)
            ranges = np.stack([sample.min(axis=0), sample.max(axis=0)]) if len(sample) else None
        if ranges is not None:
            limits, _ = _arrays.rows_of("ranges", ranges, width)
            if limits.shape[0] != 2:
                raise errors.InvalidArgumentError(
                    f"ranges: got shape {limits.shape}, expected (2, {width}): all lows, then all highs"
                )
            limits = np.ascontiguousarray(limits)
            pointer = limits.ctypes.data
        elif count == 1:
            raise errors.InvalidArgumentError(
                f'precision: got "{precision}" for one row, which has no range of its own; expected '
                "ranges (2, D) or calibration_embeddings"
            )
    out = np.empty((count, width * columns // 8), dtype)
    if count:
        c = _arrays.matrix(rows)
        check(lib.tessera_quantize(byref(c), kind, pointer, out.ctypes.data, out.nbytes))
    return out[0] if is_one else out


def normalized(rows: np.ndarray) -> np.ndarray:
    """Divides each row by its length, in place; rows of zeros stay."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))  # (N)
    np.maximum(lengths, 1e-12, out=lengths)
    rows /= lengths[:, np.newaxis]
    return rows


def _distances(a: np.ndarray, b: np.ndarray, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Minus the distance of each row of a from each of b, without |a|² + |b|² - 2ab, which cancels."""
    out = np.empty((len(a), len(b)), np.float32)
    for i, row in enumerate(a):
        out[i] = -of(b - row)
    return out


def _euclidean(difference: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))


def _manhattan(difference: np.ndarray) -> np.ndarray:
    return np.abs(difference).sum(axis=1)


def _both(a: Any, b: Any, function: str) -> tuple[np.ndarray, np.ndarray, bool]:
    if function not in SIMILARITY_FUNCTIONS:
        raise errors.InvalidArgumentError(
            f"function: got {errors.shown(function)}, expected one of {', '.join(SIMILARITY_FUNCTIONS)}"
        )
    first, is_one = _arrays.rows_of("embeddings1", a)
    second, is_other = _arrays.rows_of("embeddings2", b)
    if len(first) and len(second) and first.shape[1] != second.shape[1]:
        raise errors.InvalidArgumentError(
            f"embeddings2: got {second.shape[1]} columns, expected {first.shape[1]}, those of embeddings1"
        )
    return first, second, is_one and is_other


def _require_finite(*both: np.ndarray) -> None:
    """What the library says of rows that it compares."""
    for name, rows in zip(("embeddings1", "embeddings2"), both):
        if not np.isfinite(rows).all():
            row, column = np.argwhere(~np.isfinite(rows))[0]
            raise errors.InvalidArgumentError(
                f"{name}: row {row} has {rows[row, column]} at {column}, expected finite numbers"
            )


def similarity(a: Any, b: Any, function: str = "cosine") -> np.ndarray:
    """Every row of ``a`` with every row of ``b``: "cosine", "dot", "euclidean" or "manhattan" (minus the
    distance).

    Shapes    a (N,D) or (D,), b (M,D) or (D,); the result (N,M) float32
    Errors    ArgumentTypeError, InvalidArgumentError: widths that differ, numbers that are not finite
    Example
        >>> similarity([[1, 0], [1, 1]], [[1, 1]]).round(3).tolist()
        [[0.7070000171661377], [1.0]]
    """
    first, second, _ = _both(a, b, function)
    if function in ("euclidean", "manhattan"):
        _require_finite(first, second)
        return _distances(first, second, _euclidean if function == "euclidean" else _manhattan)
    out = np.empty((len(first), len(second)), np.float32)
    if out.size:
        measure = Measure.MEASURE_COSINE if function == "cosine" else Measure.MEASURE_DOT
        x, y = _arrays.matrix(first), _arrays.matrix(second)
        check(lib.tessera_compare(byref(x), byref(y), measure, out.ctypes.data, out.size))
    return out


def similarity_pairwise(a: Any, b: Any, function: str = "cosine") -> np.ndarray:
    """Row i of ``a`` with row i of ``b``, as similarity().

    Shapes    a, b (N,D); the result (N) float32
    Errors    those of similarity(); InvalidArgumentError: numbers of rows that differ
    """
    first, second, _ = _both(a, b, function)
    if len(first) != len(second):
        raise errors.InvalidArgumentError(
            f"embeddings2: got {len(second)} rows, expected {len(first)}, one for each of embeddings1"
        )
    _require_finite(first, second)
    if function == "euclidean":
        return -_euclidean(first - second)
    if function == "manhattan":
        return -_manhattan(first - second)

    def products(x: np.ndarray, y: np.ndarray) -> np.ndarray:  # (N) float64: squares have room
        return np.einsum("ij,ij->i", x, y, dtype=np.float64)

    result = products(first, second)
    if function == "cosine":
        lengths = np.sqrt(products(first, first)) * np.sqrt(products(second, second))
        result = np.divide(result, lengths, out=np.zeros_like(result), where=lengths > 0)
    return result.astype(np.float32)


def check_vector_type(precision: str, ranges: Optional[Any], count: int) -> None:
    """Refuses what quantize_embeddings() would, before anything is computed."""
    _arrays.one_of("precision", precision, VECTOR_TYPES)
    if precision in ("int8", "uint8") and ranges is None and count == 1:
        raise errors.InvalidArgumentError(
            f'precision: got "{precision}" for one row, which has no range of its own; expected '
            "ranges (2, D)"
        )
