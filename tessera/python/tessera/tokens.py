# SPDX-License-Identifier: Apache-2.0
"""What a tokenizer makes of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from . import _arrays, errors

if TYPE_CHECKING:
    from .model import Model


class Tokens:
    """Token ids of S texts one after another, never padded.

    ids      (ΣT) int32, special tokens included
    offsets  (S+1) int64: text s has ids[offsets[s]:offsets[s + 1]]
    types    (ΣT) int32 token types, or None: all 0

    Errors    ArgumentTypeError: what is no array of whole numbers; InvalidArgumentError: offsets or types
              that do not fit the ids

    Pickled or copied they are numbers alone: words() needs those of tokenize().
    """

    def __init__(
        self,
        ids: np.ndarray,
        offsets: np.ndarray,
        types: Optional[np.ndarray] = None,
        model: Optional["Model"] = None,
    ) -> None:
        self.ids = _whole("ids", ids, np.int32)
        self.offsets = _whole("offsets", offsets, np.int64)
        self.types = None if types is None else _whole("types", types, np.int32)
        self._model = model
        ends = self.offsets
        if (
            not len(ends)
            or ends[0] != 0
            or ends[-1] != len(self.ids)
            or (ends[1:] < ends[:-1]).any()
        ):
            raise errors.InvalidArgumentError(
                f"offsets: got {errors.shown(ends.tolist())}, expected numbers that do not fall, from 0 to "
                f"{len(self.ids)}, as many as ids"
            )
        if self.types is not None and len(self.types) != len(self.ids):
            raise errors.InvalidArgumentError(
                f"types: got {len(self.types)}, expected {len(self.ids)}, as many as ids"
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """The ids of text ``index``, (T) int32."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"tokens: got text {index}, expected one of {len(self)}")
        index %= len(self)
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    def words(self, index: int = 0) -> list[str]:
        """The tokens of text ``index`` as the tokenizer's files write them."""
        if self._model is None:
            raise errors.InvalidArgumentError(
                "words: got tokens without a model, expected tokenize()'s"
            )
        return [self._model.token(int(token_id)) for token_id in self[index]]

    @classmethod
    def of(cls, ids: Any) -> "Tokens":
        """Tokens of a list of sequences of ids, each one-dimensional; Tokens stay as they are.

        Errors    ArgumentTypeError: ids that are no whole numbers; InvalidArgumentError: none in one
        """
        if isinstance(ids, Tokens):
            return cls(
                ids.ids, ids.offsets, ids.types, ids._model
            )  # checked: they may have been set
        if isinstance(ids, np.ndarray) and ids.ndim == 2:
            ids = list(ids)
        if not isinstance(ids, (list, tuple)):
            raise errors.ArgumentTypeError(
                f"ids: got {errors.kind_of(ids)}, expected Tokens or a list of arrays of whole numbers"
            )
        parts = [_whole(f"ids[{i}]", part, np.int32) for i, part in enumerate(ids)]
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        joined = np.concatenate(parts) if parts else np.empty(0, np.int32)
        return cls(joined, offsets)


def _whole(where: str, value: Any, dtype: Any) -> np.ndarray:
    """Adjacent whole numbers of this type, (N), as the library reads them; not copied if they are."""
    array = _arrays.on_cpu(where, value)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise errors.ArgumentTypeError(
            f"{where}: got an array of {array.dtype} {array.shape}, expected whole numbers (T,)"
        )
    limits = np.iinfo(dtype)
    if array.dtype != dtype and array.size:
        if not (limits.min <= int(array.min()) and int(array.max()) <= limits.max):
            raise errors.InvalidArgumentError(
                f"{where}: got {array.max()}, expected numbers below 2**{limits.bits - 1}"
            )
    return np.require(array, dtype, ["C", "A"])
