# SPDX-License-Identifier: Apache-2.0
"""Encoder.encode(): shapes, order, and each of its arguments."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import checkpoints
import tessera

TEXTS = ["A tiny text editor", "vi for small screens", "Compiler for the C language", "x"]


def test_a_str_gives_a_vector_and_a_list_rows(demo: tessera.Encoder) -> None:
    one, many = demo.encode(TEXTS[0]), demo.encode(TEXTS)
    assert one.shape == (256,) and many.shape == (4, 256)
    assert one.dtype == many.dtype == np.float32
    assert many.flags.c_contiguous and np.array_equal(one, many[0])
    assert demo.dimension == demo.get_sentence_embedding_dimension() == 256


@pytest.mark.parametrize("empty", [[], (), iter(()), np.array([], dtype=str)])
def test_no_texts_give_no_rows(demo: tessera.Encoder, empty: object) -> None:
    assert demo.encode(empty).shape == (0, 256)
    assert demo.encode([], precision="ubinary").shape == (0, 32)
    assert demo.encode([], dims=8).shape == (0, 8)


def test_every_kind_of_list_is_taken(demo: tessera.Encoder) -> None:
    expected = demo.encode(TEXTS)
    for texts in (
        tuple(TEXTS),
        iter(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        dict.fromkeys(TEXTS).keys(),
    ):
        assert np.array_equal(demo.encode(texts), expected)


def test_texts_of_any_script_and_with_zeros(demo: tessera.Encoder) -> None:
    texts = ["caf\u00e9", "\u65e5\u672c\u8a9e", "\U0001f600", "", "a\0b", "na\u00efve text"]
    together = demo.encode(texts)
    assert np.array_equal(together, np.stack([demo.encode(text) for text in texts]))
    ids = [demo.tokenize(text).ids.tolist() for text in ("a\0b", "ab", "a b")]
    assert ids[0] == ids[1] != ids[2]  # the tokenizer drops U+0000; the text does not end there


def test_batch_size_changes_nothing(demo: tessera.Encoder) -> None:
    assert np.array_equal(demo.encode(TEXTS, batch_size=1), demo.encode(TEXTS, batch_size=999))


def test_a_progress_bar_changes_no_bit(
    demo: tessera.Encoder, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"text number {i}" for i in range(600)]
    quiet = demo.encode(texts)
    assert capsys.readouterr() == ("", "")
    shown = demo.encode(texts, show_progress_bar=True)
    captured = capsys.readouterr()
    assert captured.out == "" and "600/600" in captured.err
    assert np.array_equal(quiet, shown)
    assert demo.encode([], show_progress_bar=True).shape == (0, 256)


def test_vectors_are_written_where_asked(demo: tessera.Encoder) -> None:
    expected = demo.encode(TEXTS)
    out = np.full((4, 256), np.nan, np.float32)
    assert demo.encode(TEXTS, out=out) is out
    assert np.array_equal(out, expected)
    wide = np.full((4, 300), -7, np.float32)
    demo.encode(TEXTS, out=wide[:, 10:266])
    assert np.array_equal(wide[:, 10:266], expected)
    assert (wide[:, :10] == -7).all() and (wide[:, 266:] == -7).all()
    every_second = np.zeros((8, 256), np.float32)
    demo.encode(TEXTS, out=every_second[::2])
    assert np.array_equal(every_second[::2], expected) and not every_second[1::2].any()
    vector = np.empty(256, np.float32)
    demo.encode(TEXTS[0], out=vector)
    assert np.array_equal(vector, expected[0])


def test_dims_are_the_first_columns_normalised_again(demo: tessera.Encoder) -> None:
    whole = demo.encode(TEXTS)
    expected = whole[:, :64] / np.linalg.norm(whole[:, :64], axis=1, keepdims=True)
    for name in ("dims", "truncate_dim"):
        assert np.abs(demo.encode(TEXTS, **{name: 64}) - expected).max() < 1e-6
    with tessera.Encoder(checkpoints.DEMO, dims=64) as small:
        assert small.dimension == 64
        assert np.abs(small.encode(TEXTS) - expected).max() < 1e-6


def test_lengths_become_one_where_asked(tmp_path: Path) -> None:
    folder = checkpoints.with_prompts(tmp_path / "model")
    modules = (folder / "modules.json").read_text()
    import json

    kept = [m for m in json.loads(modules) if not m["type"].endswith("Normalize")]
    (folder / "modules.json").write_text(json.dumps(kept))
    with tessera.Encoder(folder) as plain, tessera.Encoder(folder, normalize=True) as unit:
        assert not plain.info.is_normalized
        lengths = np.linalg.norm(plain.encode(TEXTS), axis=1)
        assert np.abs(lengths - 1).max() > 0.1
        asked = plain.encode(TEXTS, normalize_embeddings=True)
        assert np.abs(asked - unit.encode(TEXTS)).max() < 1e-6


def test_vectors_of_tokens(demo: tessera.Encoder) -> None:
    rows = demo.encode(TEXTS, output_value="token_embeddings")
    tokens = demo.tokenize(TEXTS)
    assert [part.shape for part in rows] == [(len(tokens[i]), 256) for i in range(4)]
    mean = rows[0].mean(axis=0)  # the model's pooling, and its normalisation
    assert np.abs(mean / np.linalg.norm(mean) - demo.encode(TEXTS[0])).max() < 1e-6
    everything = demo.encode(TEXTS[1], output_value=None)
    assert np.array_equal(everything["sentence_embedding"], demo.encode(TEXTS[1]))
    assert np.array_equal(everything["token_embeddings"], rows[1])
    assert everything["input_ids"].tolist() == tokens[1].tolist()
    assert demo.encode([], output_value="token_embeddings") == []


def test_rows_as_a_list(demo: tessera.Encoder) -> None:
    rows = demo.encode(TEXTS, convert_to_numpy=False)
    assert isinstance(rows, list) and np.array_equal(np.stack(rows), demo.encode(TEXTS))


def test_prompts_are_those_of_the_files(tmp_path: Path, demo: tessera.Encoder) -> None:
    prompts = {"query": "search: ", "passage": "title: "}
    folder = checkpoints.with_prompts(tmp_path / "model", prompts=prompts)
    with tessera.Encoder(folder) as encoder:
        assert encoder.prompts == prompts
        query, passage = demo.encode("search: tea"), demo.encode("title: tea")
        assert np.array_equal(encoder.encode("tea"), demo.encode("tea"))
        assert np.array_equal(encoder.encode("tea", prompt_name="query"), query)
        assert np.array_equal(encoder.encode("tea", prompt="search: "), query)
        assert np.array_equal(encoder.encode("tea", "passage", "search: "), query)  # prompt wins
        assert np.array_equal(encoder.encode_query("tea"), query)
        assert np.array_equal(encoder.encode_query(["tea", "tea"]), np.stack([query, query]))
        assert np.array_equal(encoder.encode_document("tea"), passage)
        assert np.array_equal(encoder.encode_document("tea", prompt=""), demo.encode("tea"))
        states = encoder.encode("tea", prompt_name="query", output_value="token_embeddings")
        assert len(states) == len(demo.tokenize("search: tea").ids)
        with pytest.raises(tessera.NotFoundError, match="nothing"):
            encoder.encode("tea", prompt_name="nothing")
    with tessera.Encoder(
        checkpoints.with_prompts(tmp_path / "other", prompts=prompts, default_prompt_name="query")
    ) as encoder:
        assert encoder.info.default_prompt_name == "query"
        assert np.array_equal(encoder.encode("tea"), query)
        assert np.array_equal(encoder.encode("tea", prompt=""), demo.encode("tea"))


def test_a_router_reads_queries_its_own_way(tmp_path: Path) -> None:
    folder, tables = checkpoints.router(tmp_path / "router")
    tea = checkpoints.WORDS.index("tea")
    with tessera.Encoder(folder) as encoder:
        marks = [checkpoints.WORDS.index(word) for word in ("[CLS]", "[SEP]")]
        for text_of, route in (
            (encoder.encode_query, "query"),
            (encoder.encode_document, "document"),
            (encoder.encode, "document"),  # the default_route of its files
        ):
            got = text_of("tea")
            candidates = [tables[route][tea], tables[route][[*marks, tea]].mean(axis=0)]
            assert min(np.abs(got - row).max() for row in candidates) < 1e-6, route
        assert encoder.info.route_count == 2


def test_max_tokens_cut(demo: tessera.Encoder) -> None:
    long = "text editor " * 30
    assert np.array_equal(
        demo.encode(long, max_tokens=np.int64(6)), demo.encode(long, max_tokens=6)
    )
    assert np.array_equal(demo.encode(long, max_tokens=6), demo.encode("text editor text editor"))
    assert not np.array_equal(demo.encode(long), demo.encode(long, max_tokens=6))


def test_similarity_is_what_the_files_say(tmp_path: Path, demo: tessera.Encoder) -> None:
    a, b = demo.encode(TEXTS[:2]), demo.encode(TEXTS[2:])
    assert demo.similarity_fn_name == "cosine"
    assert np.abs(demo.similarity(a, b) - a @ b.T).max() < 1e-6
    assert np.abs(demo.similarity_pairwise(a, b) - (a * b).sum(axis=1)).max() < 1e-6
    for name in ("dot", "euclidean", "manhattan"):
        folder = checkpoints.with_prompts(tmp_path / name, similarity_fn_name=name)
        with tessera.Encoder(folder) as encoder:
            assert encoder.similarity_fn_name == name
            assert np.array_equal(encoder.similarity(a, b), tessera.similarity(a, b, name))


def test_files_in_memory(demo: tessera.Encoder) -> None:
    files = {
        path.relative_to(checkpoints.DEMO).as_posix(): path.read_bytes()
        for path in checkpoints.DEMO.rglob("*")
        if path.is_file()
    }
    encoder = tessera.Encoder(files)
    del files
    assert np.array_equal(encoder.encode(TEXTS), demo.encode(TEXTS))
    copy = pickle.loads(pickle.dumps(encoder))
    encoder.close()
    assert np.array_equal(copy.encode(TEXTS), demo.encode(TEXTS))


def test_names_of_models_in_the_cache(
    tmp_path: Path, demo: tessera.Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "models--org--name"
    shutil.copytree(checkpoints.DEMO, model / "snapshots/0123")
    (model / "refs").mkdir()
    (model / "refs/main").write_text("0123")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with tessera.Encoder("org/name") as encoder:
        copy = pickle.loads(pickle.dumps(encoder))
        assert np.array_equal(encoder.encode(TEXTS), demo.encode(TEXTS))
        assert np.array_equal(copy.encode(TEXTS), demo.encode(TEXTS))


def test_pickled_encoders_open_the_directory_again(demo: tessera.Encoder) -> None:
    copy = pickle.loads(pickle.dumps(demo))
    assert np.array_equal(copy.encode(TEXTS), demo.encode(TEXTS))
    assert repr(copy).startswith("Encoder(")


def test_a_cache_of_packed_weights(tmp_path: Path, demo: tessera.Encoder) -> None:
    with tessera.Encoder(checkpoints.DEMO, packed_cache=tmp_path) as encoder:
        assert np.array_equal(encoder.encode(TEXTS), demo.encode(TEXTS))
    assert list(tmp_path.iterdir())


def test_closed_objects_say_so() -> None:
    encoder = tessera.Encoder(checkpoints.DEMO)
    encoder.encode("x")
    encoder.close()
    encoder.close()
    with pytest.raises(tessera.InvalidArgumentError, match="closed"):
        encoder.encode("x")
    with pytest.raises(tessera.InvalidArgumentError, match="closed"):
        encoder.plan()


def test_a_directory_may_vanish_after_the_first_text(tmp_path: Path, demo: tessera.Encoder) -> None:
    shutil.copytree(checkpoints.DEMO, tmp_path / "model")
    with tessera.Encoder(tmp_path / "model") as encoder:
        encoder.encode("x")
        shutil.rmtree(tmp_path / "model")
        assert np.array_equal(encoder.encode(TEXTS), demo.encode(TEXTS))
        with pytest.raises(FileNotFoundError, match="model"):
            pickle.loads(pickle.dumps(encoder))
