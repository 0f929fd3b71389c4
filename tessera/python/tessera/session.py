# SPDX-License-Identifier: Apache-2.0
"""Memory and threads for work on one model: what tessera_session is, with NumPy arrays as buffers."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from ctypes import byref, c_void_p, sizeof
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from . import _abi, _arrays, _texts, errors
from ._enums import BusyPolicy, LimitPolicy
from ._library import NotCopied, check, lib
from ._run import Cancel, Pace, execute, in_thread, on_main_thread
from .model import MOST, Model, Output, _names
from .tokens import Tokens

_OUTPUT_SIZE = sizeof(_abi.Output)


@dataclass(frozen=True)
class Memory:
    """Bytes that a session takes: fields of tessera_memory."""

    threads: int
    weights_packed: int
    weights_mapped: int
    arena: int
    total: int
    max_rows: int
    max_sequences: int


class Encoded(NamedTuple):
    """Outputs by name, (S, width) or of one with a row per token (ΣT, width) float32; where the rows of
    each text are in the latter, (S+1) int64, else None."""

    outputs: dict[str, np.ndarray]
    offsets: Optional[np.ndarray]


def _options(
    threads: int = 0,
    max_rows: int = 0,
    max_sequences: int = 0,
    outputs: Optional[Sequence[str]] = None,
    memory_cap: Optional[int] = None,
    concurrent_calls: int = 1,
) -> tuple[_abi.SessionOptions, Any]:
    """A tessera_session_options, and the names that it points to."""
    c = _abi.SessionOptions(sizeof(_abi.SessionOptions))
    c.threads = _arrays.integer("threads", threads, 0, 2**31 - 1)
    c.max_rows = _arrays.integer("max_rows", max_rows, 0, MOST)
    c.max_sequences = _arrays.integer("max_sequences", max_sequences, 0, MOST)
    names, c.output_count = _names("outputs", outputs)
    c.outputs = ctypes.addressof(names) if names is not None else None
    c.policy = LimitPolicy.LIMIT_SPLIT
    if memory_cap is not None:
        c.memory_cap_bytes = _arrays.integer("memory_cap", memory_cap, 1, MOST)
    c.concurrent_calls = _arrays.integer("concurrent_calls", concurrent_calls, 1, 2**31 - 1)
    c.busy = BusyPolicy.BUSY_WAIT
    return c, names


def _memory_of(raw: _abi.Memory) -> Memory:
    return Memory(**{name: getattr(raw, name) for name in Memory.__dataclass_fields__})


def memory_bytes(model: Model, **options: Any) -> Memory:
    """What ``Session(model, **options)`` takes, before any of it is allocated: exact for the arena.

    Errors    those of Session
    Example
        >>> with Model("models/demo/text") as model:
        ...     memory = memory_bytes(model, threads=1, max_rows=128)
        ...     memory.total == memory.weights_packed + memory.weights_mapped + memory.arena
        True
    """
    c, names = _options(**options)
    raw = _abi.Memory(sizeof(_abi.Memory))
    check(lib.tessera_memory_bytes(model.handle, byref(c), byref(raw)))
    del names  # lived until here
    return _memory_of(raw)


class Session(NotCopied):
    """Work on ``model``, from any thread: as many calls at once as ``concurrent_calls``, others wait.

    threads           of each call; 0: what affinity, cgroup and OMP_NUM_THREADS allow, divided by
                      concurrent_calls
    max_rows          most token rows of one run; 0: 512 or the longest sequence
    max_sequences     most sequences of one run; 0: 32
    outputs           names; None: the main output alone
    memory_cap        most bytes of weights and arena together; None: no cap
    concurrent_calls  each has an arena and threads of its own

    Errors    InvalidArgumentError, NotFoundError (an output), OutOfMemoryError; those of weights
    """

    def __init__(
        self,
        model: Model,
        *,
        threads: int = 0,
        max_rows: int = 0,
        max_sequences: int = 0,
        outputs: Optional[Sequence[str]] = None,
        memory_cap: Optional[int] = None,
        concurrent_calls: int = 1,
    ) -> None:
        c, names = _options(threads, max_rows, max_sequences, outputs, memory_cap, concurrent_calls)
        self.model = model  # files in memory live as long as it
        model_handle = model.handle

        def create(_: Any = (names, model)) -> tuple[int, Any]:
            # The finalizer is made on the same thread, and all that is read is held: Ctrl-C while weights
            # are packed leaves this to its thread, and leaks nothing.
            handle = c_void_p()
            check(lib.tessera_session_create(model_handle, byref(c), byref(handle)))
            owner = _Owner()
            return handle.value or 0, (
                owner,
                weakref.finalize(owner, lib.tessera_session_close, handle.value),
            )

        self._handle, (self._owner, self._close) = (
            in_thread(create) if on_main_thread() else create()
        )
        chosen = [model.output(name) for name in outputs] if outputs else [model.output()]
        self.outputs: list[Output] = chosen
        self._pace = Pace()
        limit = model.info.max_tokens
        self._most_bytes = _texts.TOKEN_BYTES * limit if limit < 2**20 else 0

    @property
    def handle(self) -> int:
        """The tessera_session* for the library. Errors: InvalidArgumentError after close()."""
        if not self._close.alive:
            raise errors.InvalidArgumentError(
                "session: got one that was closed, expected an open one"
            )
        return self._handle

    def close(self) -> None:
        """Closes the handle; calls on other threads end first. May be repeated."""
        self._close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def memory(self) -> Memory:
        """What the session took, bytes."""
        raw = _abi.Memory(sizeof(_abi.Memory))
        check(lib.tessera_session_get_memory(self.handle, byref(raw)))
        return _memory_of(raw)

    def trim(self) -> None:
        """Gives the pages of the arena back to the system until the next run."""
        check(lib.tessera_session_trim(self.handle))

    def packed(self, where: str, texts: Any, first: int = 0) -> tuple[Any, bool]:
        """Texts for calls of this session, the number of the first, and whether they were one str."""
        return _texts.packed(where, texts, self._most_bytes, first)

    def run(
        self,
        call: Callable[[Any], int],
        units: int,
        cancel: Optional[Cancel] = None,
        timeout: Optional[float] = None,
        **how: Any,
    ) -> None:
        """A function of the library, so that Ctrl-C ends it: see _run.execute()."""
        execute(call, self._pace, units, cancel, timeout, **how)

    def embed_into(
        self,
        name: bytes,
        out: np.ndarray,
        texts: _abi.Texts,
        units: int,
        cancel: Optional[Cancel] = None,
        timeout: Optional[float] = None,
    ) -> None:
        """One output with a row per text, written by the library to ``out`` (S, width)."""
        c = output_struct(name, out)
        handle, encode = self.handle, lib.tessera_encode_texts
        self.run(
            lambda run: encode(handle, byref(texts), run, byref(c), 1, None), units, cancel, timeout
        )

    def encode_texts(
        self,
        texts: Any,
        pairs: Any = None,
        *,
        outputs: Optional[Sequence[str]] = None,
        prompt: Optional[str] = None,
        prompt_name: Optional[str] = None,
        max_tokens: int = 0,
        cancel: Optional[Cancel] = None,
        timeout: Optional[float] = None,
        first: int = 0,
    ) -> Encoded:
        """Outputs of texts, or of pairs of texts; None: all of the session. ``first``: the number of the
        first text, for messages.

        Errors    NotFoundError (no tokenizer, prompt or output), InvalidArgumentError, CancelledError
        """
        packed, _ = self.packed("texts", texts, first)
        second = self.packed("pairs", pairs, first)[0] if pairs is not None else None
        if second is not None and second.count != packed.count:
            raise errors.InvalidArgumentError(
                f"pairs: got {second.count}, expected {packed.count}, one for each text"
            )
        c = _texts.struct_of(
            packed,
            second,
            _texts.optional("prompt", prompt),
            _texts.optional("prompt_name", prompt_name),
            _arrays.integer("max_tokens", max_tokens, 0, MOST),
        )
        chosen = self._chosen(outputs)
        offsets = None
        if any(output.is_per_token for output in chosen):
            offsets = self.model.token_offsets(c)
        arrays = self._arrays(chosen, packed.count, offsets)
        structs = _structs(chosen, arrays)
        where = offsets.ctypes.data if offsets is not None else None
        handle, encode = self.handle, lib.tessera_encode_texts
        if packed.count:
            units = packed.units + (second.units if second is not None else 0)
            self.run(
                lambda run: encode(handle, byref(c), run, structs, len(structs), where),
                units,
                cancel,
                timeout,
            )
        return Encoded(_named(chosen, arrays), offsets)

    def encode_ids(
        self,
        ids: Any,
        *,
        outputs: Optional[Sequence[str]] = None,
        cancel: Optional[Cancel] = None,
        timeout: Optional[float] = None,
    ) -> Encoded:
        """Outputs of token ids: Tokens, or a list of arrays of whole numbers (T).

        Errors    ArgumentTypeError, InvalidArgumentError (names the sequence), CancelledError
        """
        tokens = Tokens.of(ids)
        c = _abi.Tokens(sizeof(_abi.Tokens), 0, tokens.ids.ctypes.data)
        if tokens.types is not None and self.model.info.token_types:
            c.types = tokens.types.ctypes.data
        c.offsets = tokens.offsets.ctypes.data
        c.count = len(tokens)
        c.kept = tokens
        chosen = self._chosen(outputs)
        arrays = self._arrays(chosen, len(tokens), tokens.offsets)
        structs = _structs(chosen, arrays)
        handle, encode = self.handle, lib.tessera_encode_ids
        if len(tokens):
            units = _texts.TOKEN_BYTES * len(tokens.ids) + _texts.ITEM_UNITS * len(tokens)
            self.run(
                lambda run: encode(handle, byref(c), run, structs, len(structs)),
                units,
                cancel,
                timeout,
            )
        is_needed = any(output.is_per_token for output in chosen)
        return Encoded(_named(chosen, arrays), tokens.offsets if is_needed else None)

    def _chosen(self, names: Optional[Sequence[str]]) -> list[Output]:
        return self.outputs if names is None else [self.model.output(name) for name in names]

    @staticmethod
    def _arrays(
        chosen: list[Output], count: int, offsets: Optional[np.ndarray]
    ) -> list[np.ndarray]:
        total = int(offsets[-1]) if offsets is not None else 0
        return [
            np.empty((total if output.is_per_token else count, output.width), np.float32)
            for output in chosen
        ]


class _Owner:
    """What a session's finalizer watches, from before the Session has it."""

    __slots__ = ("__weakref__",)


def output_struct(name: Optional[bytes], out: np.ndarray) -> _abi.Output:
    """tessera_output of an array (rows, width) of adjacent floats, whose rows may lie apart; it holds it."""
    rows, width = out.shape
    if rows == 1:  # one short text: a quarter of the time of out.ctypes.data
        address = ctypes.addressof(ctypes.c_char.from_buffer(out))  # type: ignore[arg-type]
        result = _abi.Output(_OUTPUT_SIZE, 0, name, address, width, width)
    else:
        stride = out.strides[0] // 4
        capacity = (rows - 1) * stride + width if rows else 0
        result = _abi.Output(_OUTPUT_SIZE, 0, name, out.ctypes.data, capacity, stride)
    result.kept = out
    return result


def _structs(chosen: list[Output], arrays: list[np.ndarray]) -> Any:
    structs: Any = (_abi.Output * len(chosen))()
    for i, (output, array) in enumerate(zip(chosen, arrays)):
        structs[i] = output_struct(output.name.encode(), array)
    structs.kept = arrays  # what is copied into an array of ctypes holds nothing
    return structs


def _named(chosen: list[Output], arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {output.name: array for output, array in zip(chosen, arrays)}
