# SPDX-License-Identifier: Apache-2.0
"""What Encoder, Reranker, Classifier and the others have in common: a model, opened once for each of its
sides, and sessions of it, created when they are first needed and shared by all threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, Callable, Optional, TypeVar, Union

from ._run import Cancel
from .model import Directory, Info, Model
from .plan import Plan, describe
from .report import Report, make_report
from .session import Session
from .tokens import Tokens

Self = TypeVar("Self", bound="Task")


class Task:
    """A checkpoint directory, and work on it.

    directory         a path; the name of a model that huggingface_hub has downloaded ("org/name"); or
                      files in memory: a mapping from names ("config.json") to bytes
    precision         what linears multiply: "fp32", "bf16", "int8", or "auto"
    threads           of each call; 0: all that the process may use
    isa               "baseline", "avx2", "avx512", ...; None: the best of this CPU
    memory_cap        most bytes of weights and working memory; None: no cap
    packed_cache      a folder where packed weights are kept between processes
    concurrent_calls  that compute at once, each on threads / concurrent_calls threads with memory of its
                      own; further calls wait
    model_options     further arguments of Model

    Threads   any thread may call any method. A forked child computes with its copy; pickling opens the
              directory again.
    Errors    those of Model and Session
    """

    _planned: Optional[tuple[str, ...]] = None  # outputs that plan() is of; None: the main one

    def __init__(
        self,
        directory: Directory,
        *,
        precision: str = "fp32",
        threads: int = 0,
        isa: Optional[str] = None,
        memory_cap: Optional[int] = None,
        packed_cache: Optional[Union[str, "os.PathLike[str]"]] = None,
        concurrent_calls: int = 1,
        **model_options: Any,
    ) -> None:
        # A path that is relative means the same in a process that unpickles this.
        # A name of a model ("org/name"), which huggingface_hub has downloaded, stays as it is.
        is_path = isinstance(directory, (str, os.PathLike)) and os.path.isdir(directory)
        self._directory: Any = os.path.abspath(directory) if is_path else directory  # type: ignore
        self._given = directory
        self._model_options: dict[str, Any] = {
            "precision": precision,
            "isa": isa,
            "memory_cap": memory_cap,
            "packed_cache": packed_cache,
            **model_options,
        }
        self._session_options: dict[str, Any] = {
            "threads": threads,
            "memory_cap": memory_cap,
            "concurrent_calls": concurrent_calls,
        }
        self._models: dict[tuple[str, str], Model] = {}
        self._sessions: dict[Any, Session] = {}
        self.model: Model = Model(directory, **self._model_options)
        options = self._model_options
        self._home: tuple[str, str] = (options.get("tower", "auto"), options.get("route", "auto"))
        self._models[self._home] = self.model

    @property
    def info(self) -> Info:
        """What the model is."""
        return self.model.info

    def _side(self, tower: Optional[str] = None, route: Optional[str] = None) -> Model:
        """The model opened as this tower or route; None: as it was asked for."""
        key = (tower or self._home[0], route or self._home[1])
        found = self._models.get(key)
        if found is None:
            options: dict[str, Any] = {**self._model_options, "tower": key[0], "route": key[1]}
            # Two threads may both open it; one copy stays. No lock, so that a fork() never finds it taken.
            found = self._models.setdefault(key, Model(self._directory, **options))
        return found

    def session(
        self, outputs: Optional[tuple[str, ...]] = None, model: Optional[Model] = None
    ) -> Session:
        """The session that computes these outputs (None: the main one), created when first asked for."""
        model = model or self.model
        key = (id(model), outputs)
        found = self._sessions.get(key)
        if found is None:
            made = Session(model, outputs=outputs, **self._session_options)
            found = self._sessions.setdefault(key, made)
        return found

    def tokenize(self, texts: Any, pairs: Any = None, **options: Any) -> Tokens:
        """Token ids, as Model.tokenize()."""
        return self.model.tokenize(texts, pairs, **options)

    def plan(self, rows: int = 128, sequences: int = 0) -> Plan:
        """What a run of so many token rows will do: a table of loop orders, bytes and times.

        Example
            >>> with Task("models/demo/text", threads=1) as task:
            ...     plan = task.plan(rows=16)
            >>> plan.rows[2].order in ("IS-OS(a)", "WS-OS(a)")
            True
        """
        options = {**self._session_options, "outputs": self._planned}
        return describe(self.model, rows, sequences, options)

    def report(self, rows: int = 128, **options: Any) -> Report:
        """Plan and measurement of a run as a page, which a notebook shows and save() writes."""
        threads = self._session_options["threads"]
        return make_report(self.model, rows=rows, threads=threads, **options)

    def close(self) -> None:
        """Closes sessions and models; may be repeated."""
        for session in list(self._sessions.values()):
            session.close()
        for model in list(self._models.values()):
            model.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __reduce__(self) -> Any:
        options = {**self._model_options, **self._session_options}
        return _reopen, (type(self), self._directory, options)

    def __repr__(self) -> str:
        info = self.info
        where = "files in memory" if isinstance(self._given, Mapping) else repr(self._given)
        return f"{type(self).__name__}({where}, {info.architecture}, {info.precision}, {info.isa})"


def _reopen(kind: type[Task], directory: Any, options: dict[str, Any]) -> Task:
    return kind(directory, **options)


async def run_async(method: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """``method(*args, **options)`` on a thread of the event loop's executor.

    ``method`` is one that takes ``cancel``: Encoder.encode, Reranker.rank, ... Cancelling the task ends
    the run at its next tile, and is over when the run is: nothing is written to ``out`` afterwards.

    Example
        >>> import asyncio
        >>> async def main():
        ...     with Task("models/demo/text") as task:
        ...         encode = task.session().encode_texts
        ...         return (await run_async(encode, ["tea"])).outputs["embedding"].shape
        >>> asyncio.run(main())
        (1, 256)
    """
    import asyncio  # a fifth of the time of `import tessera`, for those who use it

    cancel = options.pop("cancel", None) or Cancel()
    call = functools.partial(method, *args, cancel=cancel, **options)
    future = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        was_requested = cancel.is_requested
        cancel.request()
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:  # again: there is nothing more to end
                continue
        future.exception()  # CancelledError of the library, or it was quicker
        if not was_requested:  # the caller's own object serves the next call
            cancel.reset()
        raise
