# SPDX-License-Identifier: Apache-2.0
"""A checkpoint: what tessera_model is, with its facts as Python objects."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Mapping, Sequence
from ctypes import byref, c_char_p, c_size_t, c_void_p, sizeof
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from . import _arrays, _texts, errors
from ._abi import File, ModelInfo, ModelOptions, OutputInfo
from ._enums import Pooling, Precision, Route, Tower
from ._library import NotCopied, check, lib
from .tokens import Tokens

if TYPE_CHECKING:
    from .plan import Plan
    from .report import Report

PRECISIONS = {
    "fp32": Precision.PRECISION_FP32,
    "bf16": Precision.PRECISION_BF16,
    "auto": Precision.PRECISION_AUTOMATIC,
    "int8": Precision.PRECISION_INT8,
}
TOWERS = {"auto": Tower.TOWER_AUTOMATIC, "text": Tower.TOWER_TEXT, "image": Tower.TOWER_IMAGE}
ROUTES = {
    "auto": Route.ROUTE_AUTOMATIC,
    "query": Route.ROUTE_QUERY,
    "document": Route.ROUTE_DOCUMENT,
}
POOLINGS = {
    "auto": Pooling.POOLING_AUTOMATIC,
    "cls": Pooling.POOLING_CLS,
    "max": Pooling.POOLING_MAX,
    "mean": Pooling.POOLING_MEAN,
    "mean_sqrt_len_tokens": Pooling.POOLING_MEAN_SQRT_LEN_TOKENS,
    "weightedmean": Pooling.POOLING_WEIGHTEDMEAN,
    "lasttoken": Pooling.POOLING_LASTTOKEN,
}
SIMILARITIES = ("none", "softmax", "sigmoid")
MOST = 2**62

Directory = Union[str, "os.PathLike[str]", Mapping[str, bytes]]


@dataclass(frozen=True)
class Info:
    """What a model is: the fields of tessera_model_info, strings and bools as Python has them."""

    input: str  #: "tokens" or "images"
    has_tokenizer: bool
    is_normalized: bool
    model_type: str
    architecture: str
    isa: str
    main_output: str
    embedding: str  #: "" without one
    problem_type: str
    tokenizer_problem: str
    layers: int
    hidden_size: int
    heads: int
    intermediate_size: int
    vocabulary_size: int
    token_types: int
    max_tokens: int  #: 2**30: texts are cut nowhere
    position_limit: int
    image_height: int
    image_width: int
    label_count: int
    output_count: int
    similarity: str  #: of two towers: "none", "softmax", "sigmoid"
    logit_scale: float
    logit_bias: float
    precision: str  #: "fp32", "bf16", "int8"
    is_sparse: bool
    similarity_function: str  #: "cosine", "dot", "euclidean", "manhattan"
    default_prompt_name: str
    route: str
    prompt_count: int
    route_count: int
    is_multi_vector: bool


@dataclass(frozen=True)
class Output:
    """An output of a model: its name, the floats of a row, and whether a row is a token's."""

    name: str
    width: int
    is_per_token: bool


def output_of(info: OutputInfo) -> Output:
    return Output((info.name or b"").decode(), info.width, info.is_per_token == 1)


def _names(where: str, names: Optional[Sequence[str]]) -> tuple[Any, int]:
    if names is None:
        return None, 0
    if isinstance(names, str):
        raise errors.ArgumentTypeError(f"{where}: got the str {names!r}, expected a list of str")
    data = [_texts.optional(f"{where}[{i}]", name) for i, name in enumerate(names)]
    return (c_char_p * len(data))(*data), len(data)


class Model(NotCopied):
    """A checkpoint directory as published, opened: immutable, for any number of sessions and threads.

    directory     a path; the name of a model that huggingface_hub has downloaded ("org/name"); or files
                  in memory: a mapping from names ("config.json") to bytes
    precision     what linears multiply: "fp32", "bf16", "int8", or "auto" (bf16 where measured faster)
    isa           "baseline", "avx2", "avx_vnni", "avx512", "avx512_vnni", "avx512_bf16", "amx_bf16";
                  None: the best of this CPU
    dims          columns of the embedding (Matryoshka); None: all
    memory_cap    most bytes of weights; None: no cap
    packed_cache  a folder where packed weights are kept between processes
    tower         of a model with two encoders (CLIP): "text", "image"; "auto": that of images
    route         of a Router: "query", "document"; "auto": as its files say
    pooling       where the directory does not say it: "cls", "max", "mean", ...
    normalize     embeddings have length 1, also where the directory does not say so
    top_k         sparse outputs: a row is its top_k weights and their tokens

    Errors    MissingFileError, CorruptFileError, IoError, UnsupportedModelError, InvalidArgumentError
    Example
        >>> with Model("models/demo/text") as model:
        ...     model.info.model_type, model.info.hidden_size
        ('bert', 256)
    """

    def __init__(
        self,
        directory: Directory,
        *,
        precision: str = "fp32",
        isa: Optional[str] = None,
        dims: Optional[int] = None,
        memory_cap: Optional[int] = None,
        packed_cache: Optional[Union[str, "os.PathLike[str]"]] = None,
        tower: str = "auto",
        route: str = "auto",
        pooling: str = "auto",
        normalize: bool = False,
        top_k: Optional[int] = None,
        architecture: Optional[str] = None,
        outputs: Optional[Sequence[str]] = None,
        copy_tables: bool = False,
    ) -> None:
        options = ModelOptions(sizeof(ModelOptions), int(copy_tables))
        options.isa = _texts.optional("isa", isa)
        options.architecture = _texts.optional("architecture", architecture)
        names, options.output_count = _names("outputs", outputs)
        options.outputs = ctypes.addressof(names) if names is not None else None
        if packed_cache is not None:
            options.packed_cache = path_bytes("packed_cache", packed_cache)
        if memory_cap is not None:
            options.memory_cap_bytes = _arrays.integer("memory_cap", memory_cap, 1, MOST)
        options.tower = _arrays.one_of("tower", tower, TOWERS)
        options.precision = _arrays.one_of("precision", precision, PRECISIONS)
        options.dims = _arrays.integer("dims", dims or 0, 0, MOST)
        options.pooling = _arrays.one_of("pooling", pooling, POOLINGS)
        options.normalize = int(normalize)
        options.top_k = _arrays.integer("top_k", top_k or 0, 0, MOST)
        options.route = _arrays.one_of("route", route, ROUTES)
        is_path = isinstance(directory, (str, os.PathLike)) and os.path.isdir(directory)
        self._directory = os.path.abspath(directory) if is_path else directory  # type: ignore[arg-type]
        self._asked: dict[str, Any] = {
            "precision": precision,
            "isa": isa,
            "class": architecture,
            "dims": dims,
            "pooling": None if pooling == "auto" else pooling,
            "as": None if route == "auto" else route,
            "top-k": top_k,
            "normalize": normalize or None,
        }
        self._files: Any = None
        self._handle = self._open(directory, options)
        self._close = weakref.finalize(self, lib.tessera_model_close, self._handle)
        self.info = self._read_info()

    def _open(self, directory: Directory, options: ModelOptions) -> int:
        handle = c_void_p()
        if isinstance(directory, Mapping):
            items = list(directory.items())  # once: a mapping may read a file at each access
            files = (File * len(items))()
            for file, (name, data) in zip(files, items):
                if not isinstance(data, bytes):
                    raise errors.ArgumentTypeError(
                        f"directory[{name!r}]: got {errors.kind_of(data)}, expected bytes"
                    )
                file.struct_size = sizeof(File)
                file.name = _texts.optional("directory: a name", name)
                file.data = ctypes.cast(c_char_p(data), c_void_p).value
                file.size = len(data)
            # Tables are read in place: the bytes live as long as the model.
            self._files = (files, items)
            check(lib.tessera_model_open_memory(files, len(files), byref(options), byref(handle)))
        else:
            path = path_bytes("directory", directory)
            check(lib.tessera_model_open(path, byref(options), byref(handle)), names_a_file=True)
        return handle.value or 0

    def _read_info(self) -> Info:
        raw = ModelInfo(sizeof(ModelInfo))
        check(lib.tessera_model_get_info(self._handle, byref(raw)))
        values: dict[str, Any] = {}
        for name in Info.__dataclass_fields__:
            value = getattr(raw, name)
            is_flag = name.startswith(("is_", "has_"))
            values[name] = (
                value.decode() if isinstance(value, bytes) else bool(value) if is_flag else value
            )
            if value is None:
                values[name] = ""
        values["input"] = ("tokens", "images")[raw.input]
        values["similarity"] = SIMILARITIES[raw.similarity]
        values["precision"] = {int(v): k for k, v in PRECISIONS.items()}[raw.precision]
        return Info(**values)

    @property
    def handle(self) -> int:
        """The tessera_model* for the library. Errors: InvalidArgumentError after close()."""
        if not self._close.alive:
            raise errors.InvalidArgumentError(
                "model: got one that was closed, expected an open one"
            )
        return self._handle

    def close(self) -> None:
        """Closes the handle. Sessions of the model go on; may be repeated."""
        self._close()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def prepare(self) -> None:
        """Packs the weights now, unless a session has done so."""
        check(lib.tessera_model_prepare(self.handle))

    @property
    def labels(self) -> list[str]:
        """The names of the classes (id2label), in the order of the logits."""
        label = c_char_p()
        result = []
        for i in range(self.info.label_count):
            check(lib.tessera_model_get_label(self.handle, i, byref(label)))
            result.append((label.value or b"").decode("utf-8", "replace"))
        return result

    @property
    def prompts(self) -> dict[str, str]:
        """The prompts of the model's files: name to text."""
        name, text = c_char_p(), c_char_p()
        result = {}
        for i in range(self.info.prompt_count):
            check(lib.tessera_model_get_prompt(self.handle, i, byref(name), byref(text)))
            result[(name.value or b"").decode()] = (text.value or b"").decode()
        return result

    @property
    def outputs(self) -> list[Output]:
        """Every output that a session may compute."""
        info = OutputInfo(sizeof(OutputInfo))
        result = []
        for i in range(self.info.output_count):
            check(lib.tessera_model_get_output(self.handle, i, byref(info)))
            result.append(output_of(info))
        return result

    def output(self, name: Optional[str] = None) -> Output:
        """The output called ``name``; None: the main one. Errors: NotFoundError, with those there are."""
        info = OutputInfo(sizeof(OutputInfo))
        check(
            lib.tessera_model_find_output(self.handle, _texts.optional("name", name), byref(info))
        )
        return output_of(info)

    def tokenize(
        self,
        texts: Any,
        pairs: Any = None,
        *,
        prompt: Optional[str] = None,
        prompt_name: Optional[str] = None,
        max_tokens: int = 0,
    ) -> Tokens:
        """Token ids of texts, or of pairs of texts, special tokens included.

        Example
            >>> Model("models/demo/text").tokenize("A tiny text editor").ids.tolist()
            [2, 43, 2159, 539, 1307, 3]
        """
        first, _ = _texts.packed("texts", texts)
        second = _texts.packed("pairs", pairs)[0] if pairs is not None else None
        if second is not None and second.count != first.count:
            raise errors.InvalidArgumentError(
                f"pairs: got {second.count}, expected {first.count}, one for each text"
            )
        c = _texts.struct_of(
            first,
            second,
            _texts.optional("prompt", prompt),
            _texts.optional("prompt_name", prompt_name),
            _arrays.integer("max_tokens", max_tokens, 0, MOST),
        )
        offsets = self.token_offsets(c)
        ids = np.empty(int(offsets[-1]), np.int32)  # (ΣT)
        types = np.empty_like(ids)
        check(
            lib.tessera_tokenize(
                self.handle,
                byref(c),
                ids.ctypes.data,
                types.ctypes.data,
                ids.size,
                offsets.ctypes.data,
            )
        )
        return Tokens(ids, offsets, types, self)

    def token_offsets(self, texts: Any) -> np.ndarray:
        """Where the tokens of each of a tessera_texts would begin, (S+1) int64."""
        offsets = np.zeros(texts.count + 1, np.int64)
        check(lib.tessera_tokenize(self.handle, byref(texts), None, None, 0, offsets.ctypes.data))
        return offsets

    def token(self, token_id: int) -> str:
        """The token of an id as the tokenizer's files write it: "##ing"."""
        token_id = _arrays.integer("token_id", token_id, -MOST, MOST)
        size = c_size_t()
        room = ctypes.create_string_buffer(256)
        call = lib.tessera_model_get_token
        status = call(self.handle, token_id, room, len(room), byref(size))
        if status and size.value > len(room):  # said what it needs
            room = ctypes.create_string_buffer(size.value)
            status = call(self.handle, token_id, room, len(room), byref(size))
        check(status)
        return room.raw[: size.value].decode("utf-8", "replace")

    def plan(self, rows: int = 128, sequences: int = 0, threads: int = 0) -> "Plan":
        """What a run of so many token rows will do: see Plan."""
        from .plan import describe  # which needs sessions, which need models

        return describe(self, rows, sequences, {"threads": threads})

    def tool_arguments(self) -> list[str]:
        """What makes the command-line tool open the same model: flags, and the directory.

        Errors    UnsupportedModelError: a model of files in memory
        """
        if isinstance(self._directory, Mapping):
            raise errors.UnsupportedModelError(
                "tool: got a model of files in memory, expected one of a directory"
            )
        flags = []
        for name, value in self._asked.items():
            if value is not None:
                flags.append(f"--{name}" if value is True else f"--{name}={value}")
        return [*flags, "--", os.fsdecode(path_bytes("directory", self._directory))]

    def report(self, rows: int = 128, **options: Any) -> "Report":
        """Plan and measurement of a run as a page, which a notebook shows and save() writes."""
        from .report import make_report

        return make_report(self, rows=rows, **options)


def path_bytes(where: str, path: Any) -> bytes:
    """A path for the library. Errors: ArgumentTypeError, InvalidArgumentError"""
    try:
        data = os.fsencode(path)
    except (TypeError, UnicodeEncodeError):
        raise errors.ArgumentTypeError(
            f"{where}: got {errors.described(path)}, expected a path"
        ) from None
    if b"\0" in data:
        raise errors.InvalidArgumentError(f"{where}: got {path!r}, expected a path without U+0000")
    return data
