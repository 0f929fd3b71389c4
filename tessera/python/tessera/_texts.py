# SPDX-License-Identifier: Apache-2.0
"""Strings of Python to texts of the library: checked one by one, encoded once, nothing else copied.

A str may hold lone surrogates (``"\\ud800"``, what ``os.fsdecode`` and ``surrogateescape`` make of bytes
that are no UTF-8). They have no UTF-8, and what a tokenizer would make of a replacement is not what the
caller wrote: such a text is an error that names it and says how to replace them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from ctypes import addressof, c_char_p, c_size_t, sizeof
from typing import Any, Optional

import numpy as np

from . import errors
from ._abi import Texts
from ._enums import Truncation

_SIZE = sizeof(Texts)
TOKEN_BYTES = 6  # of a text no more is read than max_tokens need, about so many bytes each
ITEM_UNITS = 32  # what a text takes besides its bytes


def encoded(where: str, text: Any) -> bytes:
    """``text`` in UTF-8. Errors: ArgumentTypeError; InvalidArgumentError for lone surrogates."""
    if not isinstance(text, str):
        hint = ", so .decode() it" if isinstance(text, (bytes, bytearray)) else ""
        raise errors.ArgumentTypeError(
            f"{where}: got {errors.described(text)}, expected a str{hint}"
        )
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise errors.InvalidArgumentError(
            f"{where}: character {error.start} is the lone surrogate U+{code:04X}, expected text that "
            'UTF-8 can express: text.encode("utf-8", "replace").decode() puts "?" in its place'
        ) from None


def optional(where: str, text: Optional[str]) -> Optional[bytes]:
    """As encoded(), of a text that ends with 0 for the library; None stays None."""
    if text is None:
        return None
    data = encoded(where, text)
    if b"\0" in data:
        raise errors.InvalidArgumentError(
            f"{where}: character {text.index(chr(0))} is U+0000, expected text without it"
        )
    return data


def listed(where: str, texts: Any) -> list[Any]:
    """The items of an iterable that is not one text. Their kind is checked by packed()."""
    if isinstance(texts, np.ndarray):
        if texts.ndim != 1 or texts.dtype.kind not in "UO":
            raise errors.ArgumentTypeError(
                f"{where}: got an array of {texts.dtype} {texts.shape}, expected a str, or a list or "
                "one-dimensional array of str"
            )
        return [str(x) for x in texts] if texts.dtype.kind == "U" else list(texts)
    if isinstance(texts, (list, tuple)):
        return list(texts)
    if texts is None or isinstance(texts, (bytes, bytearray, memoryview, Mapping)):
        raise errors.ArgumentTypeError(
            f"{where}: got {errors.kind_of(texts)}, expected a str or a list of str"
        )
    if not isinstance(texts, Iterable):
        raise errors.ArgumentTypeError(
            f"{where}: got {errors.described(texts)}, expected a str or a list of str"
        )
    return list(texts)


class Packed:
    """S texts as the library takes them: pointers and lengths, both (S), and what they point to."""

    __slots__ = ("pointers", "lengths", "count", "units", "_kept")

    def __init__(self, where: str, items: list[Any], most_bytes: int, first: int = 0) -> None:
        self.count = len(items)
        lengths: Any = None  # (S)
        data = b""
        try:
            joined = "".join(items)
            if joined.isascii():  # a byte for each character: encoded at once
                data = joined.encode("ascii")
                lengths = np.fromiter(map(len, items), np.uint64, self.count)
        except TypeError:
            pass
        # A subclass of str may have a len() of its own.
        if lengths is None or int(lengths.sum()) != len(data):
            parts = [encoded(f"{where}[{i}]", item) for i, item in enumerate(items, first)]
            data = b"".join(parts)
            lengths = np.fromiter(map(len, parts), np.uint64, self.count)
        ends = np.cumsum(lengths, dtype=np.uint64)  # (S)
        start = ctypes.cast(c_char_p(data), ctypes.c_void_p).value or 0
        pointers = ends - lengths + np.uint64(start)  # (S)
        self.pointers = pointers.ctypes.data
        self.lengths = lengths.ctypes.data
        read = np.minimum(lengths, np.uint64(most_bytes)) if most_bytes else lengths
        self.units = int(read.sum()) + ITEM_UNITS * self.count
        self._kept = (data, pointers, lengths)


class PackedOne:
    """As Packed, of one text, without arrays."""

    __slots__ = ("pointers", "lengths", "count", "units", "_kept")

    def __init__(self, where: str, text: str, most_bytes: int) -> None:
        data = encoded(where, text)
        size = len(data)
        pointer, length = c_char_p(data), c_size_t(size)
        self.pointers = addressof(pointer)
        self.lengths = addressof(length)
        self.count = 1
        self.units = ITEM_UNITS + (min(size, most_bytes) if most_bytes else size)
        self._kept = (pointer, length)


def packed(where: str, texts: Any, most_bytes: int = 0, first: int = 0) -> tuple[Any, bool]:
    """Packed texts, and whether they were one str.

    most_bytes  of a text, that count as units; 0: all
    first       the number of texts[0], for messages
    """
    if isinstance(texts, str):
        return PackedOne(where, texts, most_bytes), True
    return Packed(where, listed(where, texts), most_bytes, first), False


def struct_of(
    texts: Any,
    pairs: Any = None,
    prompt: Optional[bytes] = None,
    prompt_name: Optional[bytes] = None,
    max_tokens: int = 0,
    truncation: int = Truncation.TRUNCATE_AS_PUBLISHED,
) -> Texts:
    """tessera_texts of packed texts, which it holds."""
    seconds = (None, None) if pairs is None else (pairs.pointers, pairs.lengths)
    result = Texts(
        _SIZE,
        truncation,
        texts.pointers,
        texts.lengths,
        *seconds,
        texts.count,
        max_tokens,
        prompt,
        prompt_name,
    )
    result.kept = (texts, pairs)  # as long as a run has the struct, also where its caller is gone
    return result
