# SPDX-License-Identifier: Apache-2.0
"""What a caller can get wrong: an exception that says where, what, got, expected, and is what Python
calls it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import checkpoints
import tessera


class OnDevice:
    """An array in the memory of a GPU, as PyTorch and CuPy show it."""

    device = "cuda:0"
    __cuda_array_interface__ = {"shape": (2, 2), "typestr": "<f4", "data": (0, False), "version": 3}

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("what is on another device is not read")


TEXTS = [
    (b"x", "sentences: got bytes, expected a str or a list of str"),
    (None, "sentences: got None, expected a str"),
    (3, "sentences: got an int, 3, expected a str"),
    ({"a": 1}, "sentences: got a dict, expected"),
    ([b"x"], r"sentences\[0\]: got bytes, b'x', expected a str, so .decode\(\) it"),
    (["a", None], r"sentences\[1\]: got None, expected a str"),
    (["a", ["b", "c"]], r"sentences\[1\]: got a list, \['b', 'c'\], expected a str"),
    (["a", 1.5], r"sentences\[1\]: got a float, 1.5, expected a str"),
    (np.array(["a", 3], object), r"sentences\[1\]: got an int, 3, expected"),
    (np.array([1.0, 2.0]), r"sentences: got an array of float64 \(2,\), expected a str"),
    (np.array([["a"]]), r"sentences: got an array of <U1 \(1, 1\), expected"),
]


@pytest.mark.parametrize("texts, message", TEXTS, ids=[repr(text)[:30] for text, _ in TEXTS])
def test_what_is_no_text_is_named(demo: tessera.Encoder, texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as caught:
        demo.encode(texts)
    assert isinstance(caught.value, tessera.ArgumentTypeError)


@pytest.mark.parametrize(
    "text, message",
    [
        ("\ud800", "sentences: character 0 is the lone surrogate U[+]D800"),
        (
            ["fine", "caf\u00e9", "a\udcff"],
            r"sentences\[2\]: character 1 is the lone surrogate U[+]DCFF",
        ),
    ],
)
def test_lone_surrogates_are_named(demo: tessera.Encoder, text: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        demo.encode(text)
    assert 'text.encode("utf-8", "replace")' in str(caught.value)
    assert isinstance(caught.value, tessera.InvalidArgumentError)


OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"precision": "fp8"}, ValueError, "precision: got 'fp8', expected one of 'fp32', 'bf16'"),
    ({"precision": []}, ValueError, "precision: got"),
    ({"isa": "sse9"}, ValueError, "sse9"),
    ({"dims": -1}, ValueError, "dims: got -1, expected 0 to"),
    ({"dims": 1.5}, TypeError, "dims: got a float, 1.5, expected an int"),
    ({"dims": 9999}, ValueError, "9999"),
    ({"pooling": "cls"}, ValueError, "pooling"),  # the directory says mean
    ({"memory_cap": 1000}, MemoryError, "1000"),
    ({"route": "sideways"}, ValueError, "route: got 'sideways', expected one of"),
    ({"architecture": "a\0b"}, ValueError, "architecture: character 1 is U[+]0000"),
]


@pytest.mark.parametrize("options, kind, message", OPTIONS, ids=[repr(o) for o, *_ in OPTIONS])
def test_options_are_checked(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        with tessera.Encoder(checkpoints.DEMO, **options) as encoder:
            encoder.encode("x")
    assert isinstance(caught.value, tessera.TesseraError)


def test_arguments_of_encode_are_checked(demo: tessera.Encoder) -> None:
    for options, message in (
        ({"precision": "int4"}, "precision: got 'int4'"),
        ({"output_value": "words"}, "output_value: got 'words'"),
        ({"dims": 0}, "dims: got 0, expected 1 to 256"),
        ({"truncate_dim": 257}, "dims: got 257, expected 1 to 256"),
        ({"timeout": -1}, "timeout: got -1, expected seconds"),
        ({"timeout": float("nan")}, "timeout: got nan"),
        ({"max_tokens": -1}, "max_tokens: got -1"),
        ({"convert_to_tensor": True}, "torch.from_numpy"),
        ({"device": "cuda"}, "device='cuda', expected"),
        ({"prompt": "\udc80"}, "prompt: character 0 is the lone surrogate"),
        ({"prompt": "a\0"}, "prompt: character 1 is U[+]0000"),
        ({"images": "cat.png"}, "got images with texts"),
    ):
        with pytest.raises(tessera.InvalidArgumentError, match=message):
            demo.encode("x", **options)
    with pytest.raises(tessera.NotFoundError, match="no prompt|prompt"):
        demo.encode("x", prompt_name="query")
    with pytest.raises(tessera.UnsupportedModelError, match="takes texts, expected texts"):
        demo.encode(images="cat.png")


def test_items_have_their_own_numbers_in_parts_of_a_call(
    demo: tessera.Encoder, splade: Path
) -> None:
    texts = ["a"] * 700 + [3]
    with pytest.raises(TypeError, match=r"sentences\[700\]: got an int, 3"):
        demo.encode(texts, show_progress_bar=True)
    with pytest.raises(TypeError, match=r"texts\[700\]: got an int, 3"):
        tessera.SparseEncoder(splade).encode(texts)


def test_a_place_for_vectors_is_for_whole_ones(demo: tessera.Encoder) -> None:
    for options in ({"dims": 8}, {"precision": "int8"}):
        with pytest.raises(ValueError, match="expected out for whole vectors of float32"):
            demo.encode(["a", "b"], out=np.empty((2, 256), np.float32), **options)


OUTS = [
    (
        np.empty((2, 256)),
        TypeError,
        "out: got an array of float64, expected a NumPy array of float32",
    ),
    ([[0.0] * 256] * 2, TypeError, "out: got a list, expected a NumPy array of float32"),
    (np.empty((3, 256), np.float32), ValueError, r"out: got shape \(3, 256\), expected \(2, 256\)"),
    (np.empty((256, 2), np.float32).T, ValueError, "out: got an array with strides"),
    (np.empty((2, 512), np.float32)[:, ::2], ValueError, "out: got an array with strides"),
    (np.empty((2, 256), np.float32)[::-1], ValueError, "out: got an array with strides"),
    (np.broadcast_to(np.zeros(256, np.float32), (2, 256)), ValueError, "writeable: False"),
    (np.empty((2, 256), ">f4"), TypeError, "out: got an array of >f4"),
    (OnDevice(), TypeError, "out: got an OnDevice, expected a NumPy array"),
]


@pytest.mark.parametrize("out, kind, message", OUTS, ids=[str(i) for i in range(len(OUTS))])
def test_places_for_vectors_are_checked(
    demo: tessera.Encoder, out: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        demo.encode(["a", "b"], out=out)


ROWS = np.ones((2, 8), np.float32)
ARRAYS = [
    (np.array([[1, "a"]], object), TypeError, "embeddings1: got an array of object"),
    (np.array([["a"]]), TypeError, "embeddings1: got an array of <U1"),
    (ROWS.astype(complex), TypeError, "embeddings1: got an array of complex"),
    ([[1, 2], [3]], TypeError, "embeddings1: got a list that is no array|array of object"),
    (None, TypeError, "embeddings1: got an array of object"),
    (OnDevice(), TypeError, "embeddings1: got an OnDevice on device cuda:0, expected .* .cpu"),
    (ROWS[np.newaxis], ValueError, r"embeddings1: got an array of shape \(1, 2, 8\), expected"),
    (ROWS[:, :5], ValueError, "embeddings2: got 8 columns, expected 5"),
    (np.full((1, 8), np.nan, np.float32), ValueError, "finite|nan"),
]


@pytest.mark.parametrize("array, kind, message", ARRAYS, ids=[str(i) for i in range(len(ARRAYS))])
def test_arrays_are_checked(array: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        tessera.similarity(array, ROWS)
    assert isinstance(caught.value, tessera.TesseraError)


def test_ids_are_checked() -> None:
    with tessera.Model(checkpoints.DEMO) as model, tessera.Session(model) as session:
        for ids, kind, message in (
            ([[2, 8000, 3]], ValueError, "sequence 0: token id 1 is 8000, expected 0 to 7999"),
            ([np.array([2.0, 3.0])], TypeError, r"ids\[0\]: got an array of float64"),
            ([[2, 43, 3], []], (TypeError, ValueError), "."),
            ([np.array([2, 2**40])], ValueError, r"ids\[0\]: got 1099511627776"),
            ([[[2, 3]]], TypeError, r"ids\[0\]: got an array of int64 \(1, 2\)"),
            (7, TypeError, "ids: got an int"),
        ):
            with pytest.raises(kind, match=message):
                session.encode_ids(ids)
        assert session.encode_ids([]).outputs["embedding"].shape == (0, 256)
        with pytest.raises(LookupError, match="nothing"):
            session.encode_ids([[2, 3]], outputs=["nothing"])


def test_directories_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere") as caught:
        tessera.Encoder(tmp_path / "nowhere")
    assert isinstance(caught.value, tessera.NotFoundError) and caught.value.errno == 2
    with pytest.raises(FileNotFoundError, match="config.json"):
        tessera.Encoder(tmp_path)
    with pytest.raises(TypeError, match="directory: got an int, 3, expected a path"):
        tessera.Encoder(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected a path without U\+0000"):
        tessera.Encoder("a\0b")


def test_files_that_are_damaged(tmp_path: Path) -> None:
    shutil.copytree(checkpoints.DEMO, tmp_path / "model")
    weights = tmp_path / "model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(tessera.CorruptFileError, match="model.safetensors"):
        tessera.Encoder(tmp_path / "model")
    (tmp_path / "model/config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(tessera.UnsupportedModelError, match="mamba"):
        tessera.Encoder(tmp_path / "model")


def test_a_directory_that_vanishes_before_the_first_text(tmp_path: Path) -> None:
    """Either the files that are mapped still do, or an error names what is gone."""
    shutil.copytree(checkpoints.DEMO, tmp_path / "model")
    with tessera.Encoder(tmp_path / "model") as encoder:
        shutil.rmtree(tmp_path / "model")
        try:
            vector = encoder.encode("tea")
        except tessera.TesseraError as error:
            assert "model" in str(error)
        else:
            with tessera.Encoder(checkpoints.DEMO) as other:
                assert np.array_equal(vector, other.encode("tea"))


def test_models_of_another_kind_are_refused(colbert: Path, nli: Path) -> None:
    with pytest.raises(tessera.UnsupportedModelError, match="use MultiVector"):
        tessera.Encoder(colbert).encode("tea")
    with pytest.raises(tessera.UnsupportedModelError, match="use Encoder"):
        tessera.MultiVector(checkpoints.DEMO)
    with pytest.raises(tessera.UnsupportedModelError, match="no weights of tokens"):
        tessera.SparseEncoder(checkpoints.DEMO)
    with pytest.raises(tessera.UnsupportedModelError, match="has no classes"):
        tessera.Classifier(checkpoints.DEMO)("tea")
    with pytest.raises(tessera.UnsupportedModelError, match="logits|token"):
        tessera.EntityRecognizer(nli).entities("tea")
    with pytest.raises(tessera.UnsupportedModelError, match="no output logits, expected a model"):
        tessera.EntityRecognizer(checkpoints.DEMO).entities("tea")
    with pytest.raises(tessera.UnsupportedModelError, match="start_logits"):
        tessera.QuestionAnswerer(nli).answer("hello", "tea")
    with pytest.raises(tessera.UnsupportedModelError, match="takes images, expected images="):
        tessera.Encoder(checkpoints.VISION).encode("tea")


def test_text_without_a_tokenizer() -> None:
    with tessera.Encoder(checkpoints.GOLDEN / "bert-model") as encoder:
        with pytest.raises(tessera.NotFoundError, match="no tokenizer files"):
            encoder.encode("tea")


def test_tokens_beside_the_vocabulary() -> None:
    with tessera.Model(checkpoints.DEMO) as model:
        assert model.token(2) == model.token(np.int32(2)) == "[CLS]"
        for token_id in (-1, 8000):
            with pytest.raises(ValueError, match=str(token_id)):
                model.token(token_id)


@pytest.mark.parametrize(
    "options", [{"dims": 8}, {"truncate_dim": 8}, {"precision": "int8"}, {"out": np.empty((1, 8))}]
)
@pytest.mark.parametrize("value", [None, "token_embeddings"])
def test_what_only_sentence_embeddings_have(
    demo: tessera.Encoder, value: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        demo.encode(["tea"], output_value=value, **options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"timeout": "1"}, "timeout: got '1', expected seconds"),
        ({"timeout": float("nan")}, "timeout: got nan, expected seconds"),
        ({"max_tokens": None}, "max_tokens: got None, expected an int"),
    ],
)
def test_limits_of_another_type_are_named(
    demo: tessera.Encoder, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        demo.encode("tea", **options)


def test_texts_beside_images_are_not_ignored() -> None:
    with tessera.Classifier(checkpoints.VISION) as classifier:
        with pytest.raises(ValueError, match="got texts and images, expected one of them"):
            classifier("tea", images=np.zeros((8, 8, 3), np.uint8))


def test_a_level_that_is_no_text_is_named() -> None:
    with pytest.raises(TypeError, match="isa: got an int, 3, expected a str"):
        tessera.measure_machine(3)  # type: ignore[arg-type]


def ints(*values: int, dtype: Any = np.int32) -> np.ndarray:
    return np.array(values, dtype)


def test_tokens_of_other_types_are_converted() -> None:
    with tessera.Model(checkpoints.DEMO) as model, tessera.Session(model, threads=1) as session:
        expected = session.encode_ids([[2, 43, 3]]).outputs["embedding"]
        apart = ints(2, 9, 43, 9, 3, 9)[::2]
        for ids, offsets in (
            (ints(2, 43, 3, dtype=np.int64), ints(0, 3)),
            (apart, [0, 3]),
            ([2, 43, 3], ints(0, 3, dtype=np.uint8)),
        ):
            tokens = tessera.Tokens(ids, offsets)  # type: ignore[arg-type]
            assert np.array_equal(session.encode_ids(tokens).outputs["embedding"], expected)
        tokens.ids = np.array([2.5])
        with pytest.raises(TypeError, match="ids: got an array of float64"):
            session.encode_ids(tokens)


@pytest.mark.parametrize(
    "offsets, types, message",
    [
        ([0, 60], None, r"offsets: got \[0, 60\], expected numbers that do not fall, from 0 to 3"),
        ([-2, 3], None, "offsets: got"),
        ([0, 3, 1, 3], None, "offsets: got"),
        (ints(), None, "offsets: got"),
        ([0, 3], ints(1), "types: got 1, expected 3, as many as ids"),
        ([0, 3], np.ones(3), "types: got an array of float64"),
        ([0, 3.5], None, "offsets: got an array of float64"),
    ],
)
def test_tokens_that_do_not_fit_are_refused(offsets: Any, types: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tessera.Tokens(ints(2, 43, 3), offsets, types)


def test_a_len_of_a_subclass_is_not_believed(demo: tessera.Encoder) -> None:
    class Long(str):
        def __len__(self) -> int:
            return 10**9

    assert np.array_equal(demo.encode([Long("tea"), "brew"]), demo.encode(["tea", "brew"]))
