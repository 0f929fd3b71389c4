# SPDX-License-Identifier: Apache-2.0
"""Rows that are searched by cosine, one with every other, without a further library."""

from __future__ import annotations

import os
import weakref
from ctypes import byref, c_void_p, sizeof
from typing import Any, Union

import numpy as np

from . import _arrays
from ._abi import IndexInfo
from ._library import NotCopied, check, lib
from .model import path_bytes


class SearchIndex(NotCopied):
    """Embeddings to search in: an array (N,D), or the path of an .npy file of float32.

    Threads   immutable: any number of threads may search at once.
    Errors    InvalidArgumentError; MissingFileError, IoError, CorruptFileError
    Example
        >>> index = SearchIndex([[1, 0], [0, 1], [1, 1]])
        >>> ids, scores = index.search([2, 2.1], k=2)
        >>> ids.tolist()
        [2, 1]
    """

    def __init__(self, rows: Union[str, "os.PathLike[str]", Any]) -> None:
        handle = c_void_p()
        if isinstance(rows, (str, os.PathLike)):
            check(
                lib.tessera_index_open(path_bytes("rows", rows), byref(handle)), names_a_file=True
            )
        else:
            array, _ = _arrays.rows_of("rows", rows)
            c = _arrays.matrix(array)
            check(lib.tessera_index_create(byref(c), byref(handle)))
        self._handle = handle.value or 0
        self._close = weakref.finalize(self, lib.tessera_index_close, self._handle)
        info = IndexInfo(sizeof(IndexInfo))
        check(lib.tessera_index_get_info(self._handle, byref(info)))
        self.shape = (info.rows, info.width)

    def __len__(self) -> int:
        return self.shape[0]

    def search(self, queries: Any, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """The best ``k`` rows, best first: numbers (k) int64 and cosines (k) float32 of one query (D);
        (Q,k) of (Q,D). No more than there are rows."""
        x, is_one = _arrays.rows_of("queries", queries, self.shape[1])
        k = min(_arrays.integer("k", k, 1, 2**62), len(self))
        ids = np.empty((len(x), k), np.int64)
        scores = np.empty((len(x), k), np.float32)
        if ids.size:
            c = _arrays.matrix(x)
            check(
                lib.tessera_index_search(
                    self._handle, byref(c), k, ids.ctypes.data, scores.ctypes.data, ids.size
                )
            )
        return (ids[0], scores[0]) if is_one else (ids, scores)

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes an .npy file, which appears whole or not at all."""
        check(lib.tessera_index_save(self._handle, path_bytes("path", path)), names_a_file=True)

    def close(self) -> None:
        """Frees the rows; may be repeated."""
        self._close()
