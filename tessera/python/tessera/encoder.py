# SPDX-License-Identifier: Apache-2.0
"""Texts and images to embeddings, with the arguments of sentence-transformers' SentenceTransformer."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np

from . import _arrays, _progress, _texts, errors, vectors
from . import images as images_
from ._run import Cancel
from .model import MOST, Directory, Model
from .session import Session
from .task import Task, run_async
from .towers import TowerScores, compare_towers

_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
_TOKENS = "last_hidden_state"


class Encoder(Task):
    """An embedding model: a directory as published, of one encoder or of two (CLIP, SigLIP).

    dims       columns of the embedding (Matryoshka), of length 1 again where the model normalises
    pooling    where the directory does not say it: "cls", "mean", "lasttoken", ...
    normalize  embeddings have length 1, also where the directory does not say so

    Further arguments and what holds for threads are those of Task.
    Numerics  the vector of a text does not depend, in any bit, on the other texts, their order or the
              number of threads.
    Example
        >>> encoder = Encoder("models/demo/text")
        >>> vectors = encoder.encode(["A tiny text editor", "vi for small screens"])
        >>> vectors.shape, vectors.dtype
        ((2, 256), dtype('float32'))
        >>> print(encoder.similarity(vectors[0], vectors[1]).round(3))
        [[0.362]]
    """

    _planned = ("embedding",)

    def __init__(
        self,
        directory: Directory,
        *,
        dims: Optional[int] = None,
        pooling: str = "auto",
        normalize: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(directory, dims=dims, pooling=pooling, normalize=normalize, **options)
        self.prompts: dict[str, str] = self._texts_model().prompts if self._reads_texts() else {}
        self._ready: dict[str, tuple[Session, int]] = {}  # by route, or "images"

    # ---- What there is ----

    @property
    def similarity_fn_name(self) -> str:
        """What similarity() computes: "cosine", "dot", "euclidean" or "manhattan"."""
        return self.info.similarity_function or "cosine"

    @property
    def dimension(self) -> int:
        """Columns of an embedding."""
        return self.model.output("embedding").width

    def get_sentence_embedding_dimension(self) -> int:
        """``dimension``, as sentence-transformers calls it."""
        return self.dimension

    def _reads_texts(self) -> bool:
        return self.info.input == "tokens" or self.info.similarity != "none"

    def _texts_model(self, route: Optional[str] = None) -> Model:
        if not self._reads_texts():
            raise errors.UnsupportedModelError(
                f"encode: got texts, but {self.info.architecture} takes images, expected images="
            )
        is_tower = self.info.similarity != "none" and self.info.input != "tokens"
        return self._side(tower="text" if is_tower else None, route=route)

    def _images_model(self) -> Model:
        if self.info.input == "images":
            return self.model
        if self.info.similarity == "none":
            raise errors.UnsupportedModelError(
                f"encode: got images, but {self.info.architecture} takes texts, expected texts"
            )
        return self._side(tower="image")

    def _entrance(self, key: str) -> tuple[Session, int]:
        """The session that computes embeddings of this kind, and their width."""
        found = self._ready.get(key)
        if found is None:
            model = self._images_model() if key == "images" else self._texts_model(key or None)
            if model.info.is_multi_vector:
                raise errors.UnsupportedModelError(
                    f"Encoder: {model.info.architecture} has a vector for each token, expected one for "
                    "each text: use MultiVector, or Reranker"
                )
            width = model.output("embedding").width
            found = self._ready[key] = (self.session(("embedding",), model), width)
        return found

    # ---- Encoding ----

    def encode(
        self,
        sentences: Any = None,
        prompt_name: Optional[str] = None,
        prompt: Optional[str] = None,
        batch_size: int = 32,
        show_progress_bar: Optional[bool] = None,
        output_value: Optional[str] = "sentence_embedding",
        precision: str = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Optional[str] = None,
        normalize_embeddings: bool = False,
        *,
        images: Any = None,
        dims: Optional[int] = None,
        truncate_dim: Optional[int] = None,
        ranges: Any = None,
        max_tokens: int = 0,
        max_pixels: int = 0,
        out: Optional[np.ndarray] = None,
        timeout: Optional[float] = None,
        cancel: Optional[Cancel] = None,
        _route: str = "",
    ) -> Any:
        """Embeddings of texts, or of images.

        sentences             a str, or an iterable of them; also images that are no str
        prompt_name, prompt   what is put before each text: one of ``prompts``, or a text, which wins;
                              neither: the default of the model's files
        batch_size            accepted and ignored: batches are made by token rows, without padding
        show_progress_bar     True: a line on stderr. The vectors have the same bits
        output_value          "sentence_embedding"; "token_embeddings": an array (T,H) for each text;
                              None: a dict of both and "input_ids" for each text
        precision             of the vectors given back: as quantize_embeddings()
        convert_to_numpy      False: a list of the rows
        convert_to_tensor     only False: torch.from_numpy() takes the result as it is
        device                only None or "cpu"
        normalize_embeddings  True: of length 1, also where the model does not do that; only of
                              "sentence_embedding", as sentence-transformers has it
        images                a path, bytes of a file, a PIL image, an array, or a list of these
        dims, truncate_dim    the first columns alone, of length 1 again where the vectors were
        ranges                (2,D) for "int8" and "uint8"
        max_tokens            where texts are cut; 0: as the model's files say
        out                   where vectors are written, (N,D) float32, rows apart or not
        timeout, cancel       seconds, and a Cancel, that end the run

        Shapes    a str or one image gives (D,), others (N,D) float32 in their order, written by the
                  library itself; an empty list (0,D)
        Errors    ArgumentTypeError and InvalidArgumentError, which name the item; NotFoundError: the
                  prompt, a preprocessor_config.json; MissingFileError, CorruptFileError: an image;
                  DeadlineError, CancelledError, KeyboardInterrupt: nothing is given back
        """
        del batch_size
        if convert_to_tensor or device not in (None, "cpu"):
            raise errors.InvalidArgumentError(
                f"encode: got convert_to_tensor={convert_to_tensor}, device={device!r}, expected False "
                "and None: torch.from_numpy(encode(...)) shares the memory of the result"
            )
        columns = dims if dims is not None else truncate_dim
        if out is not None and (columns is not None or precision != "float32"):
            raise errors.InvalidArgumentError(
                "out: got an array, and dims or a precision, expected out for whole vectors of float32"
            )
        how = (show_progress_bar, out, timeout, cancel)
        if images is None and _is_images(sentences):
            images, sentences = sentences, None
        if images is not None:
            if sentences is not None or output_value != "sentence_embedding":
                raise errors.InvalidArgumentError(
                    "encode: got images with texts, or with another output_value than "
                    '"sentence_embedding", expected images alone'
                )
            self._check_dims(columns, "images")
            result, is_one = self._encode_images(images, max_pixels, how)
        else:
            texts = (_texts.optional("prompt", prompt), prompt_name, max_tokens)
            if output_value != "sentence_embedding":
                if columns is not None or precision != "float32" or out is not None:
                    raise errors.InvalidArgumentError(
                        f"encode: got output_value={output_value!r} with dims, precision or out, expected "
                        "them with sentence embeddings alone"
                    )
                return self._encode_tokens(sentences, output_value, _route, texts, timeout, cancel)
            self._check_dims(columns, _route)
            if precision != "float32":
                count = 1 if isinstance(sentences, str) else 0
                vectors.check_vector_type(precision, ranges, count)
            result, is_one = self._encode_texts(sentences, _route, texts, how)
        if columns is not None or normalize_embeddings:
            result = self._shortened(result, columns, normalize_embeddings)
        if precision != "float32":
            result = vectors.quantize_embeddings(result, precision, ranges)
        if is_one:
            return result[0]
        return result if convert_to_numpy else list(result)

    def _encode_texts(
        self, sentences: Any, route: str, texts: Any, how: Any
    ) -> tuple[np.ndarray, bool]:
        prompt, prompt_name, max_tokens = texts
        shows, out, timeout, cancel = how
        session, width = self._entrance(route)
        name = None
        if prompt is None and prompt_name is not None:
            name = _texts.optional("prompt_name", prompt_name)
        if max_tokens != 0:
            max_tokens = _arrays.integer("max_tokens", max_tokens, 0, MOST)
        if not isinstance(sentences, str):
            sentences = _texts.listed("sentences", sentences)
        parts = [slice(None)]
        if shows and not isinstance(sentences, str):
            parts = _progress.chunks(len(sentences), "Encoding")  # type: ignore[assignment]
        result = None
        for part in parts:
            items = sentences if part.start is None else sentences[part]
            packed, is_one = session.packed("sentences", items, part.start or 0)
            if result is None:
                count = packed.count if part.start is None else len(sentences)
                result = _room(out, count, width, is_one)
            if packed.count:
                c = _texts.struct_of(packed, None, prompt, name, max_tokens)
                session.embed_into(b"embedding", result[part], c, packed.units, cancel, timeout)
        if result is None:  # no text, and a progress bar
            return _room(out, 0, width, False), False
        return result, is_one

    def _encode_images(self, given: Any, max_pixels: int, how: Any) -> tuple[np.ndarray, bool]:
        shows, out, timeout, cancel = how
        session, width = self._entrance("images")
        items, is_one = images_.listed(given)
        result = _room(out, len(items), width, is_one)
        whole = [slice(0, len(items))] if items else []
        for part in _progress.chunks(len(items), "Encoding") if shows else whole:
            images_.encode_into(
                session,
                "embedding",
                items[part],
                result[part],
                first=part.start,
                max_pixels=_arrays.integer("max_pixels", max_pixels, 0, 2**32),
                cancel=cancel,
                timeout=timeout,
            )
        return result, is_one

    def _encode_tokens(
        self, sentences: Any, value: Any, route: str, texts: Any, timeout: Any, cancel: Any
    ) -> Any:
        if value not in ("token_embeddings", None):
            raise errors.InvalidArgumentError(
                f"output_value: got {errors.shown(value)}, expected 'sentence_embedding', "
                "'token_embeddings' or None"
            )
        prompt, prompt_name, max_tokens = texts
        is_one = isinstance(sentences, str)
        items = [sentences] if is_one else _texts.listed("sentences", sentences)
        model = self._texts_model(route or None)
        options = {
            "prompt": prompt.decode() if prompt is not None else None,
            "prompt_name": prompt_name if prompt is None else None,
            "max_tokens": max_tokens,
        }
        session = self.session(("embedding", _TOKENS), model)
        encoded = session.encode_texts(items, timeout=timeout, cancel=cancel, **options)
        rows = encoded.outputs[_TOKENS]  # (ΣT,H)
        offsets = encoded.offsets
        assert offsets is not None
        by_text: list[Any] = [
            rows[offsets[i] : offsets[i + 1]] for i in range(len(items))
        ]  # (T,H) each
        if value is None:
            tokens = model.tokenize(items, **options)
            by_text = [
                {"sentence_embedding": vector, "token_embeddings": part, "input_ids": tokens[i]}
                for i, (vector, part) in enumerate(zip(encoded.outputs["embedding"], by_text))
            ]
        return by_text[0] if is_one else by_text

    def _check_dims(self, dims: Optional[int], key: str) -> None:
        """Before anything is computed."""
        if dims is not None:
            _arrays.integer("dims", dims, 1, self._entrance(key)[1])

    def _shortened(self, rows: np.ndarray, dims: Optional[int], normalizes: bool) -> np.ndarray:
        has_length_one = self.info.is_normalized
        if dims is not None and dims < rows.shape[1]:
            rows = np.ascontiguousarray(rows[:, :dims])
            normalizes, has_length_one = normalizes or has_length_one, False
        return vectors.normalized(rows) if normalizes and not has_length_one else rows

    def encode_query(self, sentences: Any, **options: Any) -> Any:
        """As encode(), of queries: with the prompt "query" if the model's files have it and none is given,
        and of a Router by its way for queries."""
        return self.encode(
            sentences, _route=self._route("query"), **self._prompted(options, "query")
        )

    def encode_document(self, sentences: Any, **options: Any) -> Any:
        """As encode(), of documents: with the prompt "document", "passage" or "corpus", the first that the
        model's files have, and of a Router by its way for documents."""
        options = self._prompted(options, *_DOCUMENT_PROMPTS)
        return self.encode(sentences, _route=self._route("document"), **options)

    def _route(self, wanted: str) -> str:
        return wanted if self.info.route_count else ""

    def _prompted(self, options: dict[str, Any], *names: str) -> dict[str, Any]:
        if options.get("prompt") is None and options.get("prompt_name") is None:
            known = [name for name in names if name in self.prompts]
            return {**options, "prompt_name": known[0]} if known else options
        return options

    async def aencode(self, *args: Any, **options: Any) -> Any:
        """encode() for asyncio: the event loop goes on; cancelling the task ends the run."""
        return await run_async(self.encode, *args, **options)

    async def aencode_query(self, *args: Any, **options: Any) -> Any:
        """encode_query() for asyncio."""
        return await run_async(self.encode_query, *args, **options)

    async def aencode_document(self, *args: Any, **options: Any) -> Any:
        """encode_document() for asyncio."""
        return await run_async(self.encode_document, *args, **options)

    # ---- Comparing ----

    def similarity(self, embeddings1: Any, embeddings2: Any) -> np.ndarray:
        """Every row of one with every row of the other, (N,M) float32, as the model's files say."""
        return vectors.similarity(embeddings1, embeddings2, self.similarity_fn_name)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> np.ndarray:
        """Row i of one with row i of the other, (N) float32."""
        return vectors.similarity_pairwise(embeddings1, embeddings2, self.similarity_fn_name)

    def image_text_scores(self, images: Any, texts: Any) -> TowerScores:
        """What a model of two towers says of embeddings of images (N,D) and texts (M,D): logits and
        probabilities, softmax over the texts (CLIP) or sigmoid (SigLIP)."""
        return compare_towers(self.model, images, texts)


def _is_images(value: Any) -> bool:
    """Whether what stands in the place of texts is images: the first of a list says it."""
    if isinstance(value, str):
        return False
    if isinstance(value, (list, tuple)):
        return bool(value) and images_.is_image(value[0])
    return value is not None and images_.is_image(value)


def _room(out: Union[None, Any], count: int, width: int, is_one: bool) -> np.ndarray:
    if out is None:
        return np.empty((count, width), np.float32)
    if is_one and isinstance(out, np.ndarray) and out.ndim == 1:
        return _arrays.writable("out", out, (width,))[np.newaxis]
    return _arrays.writable("out", out, (count, width))
