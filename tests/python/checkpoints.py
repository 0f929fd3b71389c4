# SPDX-License-Identifier: Apache-2.0
"""Checkpoints for the tests: the shipped ones, golden ones, and golden ones with a tokenizer of a few words."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from tensor_files import read_safetensors, write_safetensors  # noqa: E402  (of scripts/)

DEMO = ROOT / "models/demo/text"
SECTIONS = ROOT / "models/demo/text-sections"
VISION = ROOT / "models/demo/vision"
GOLDEN = ROOT / "tests/golden/data"
EXPECTED = json.loads((ROOT / "models/demo/expected.json").read_text())

WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] hello world tea brew a ##b caf ##e , . the cat sat on mat "
    "how do i in pot of for and example this is games not"
).split()


def golden_copy(name: str, to: Path, **config: Any) -> Path:
    """A golden checkpoint with WORDS as its vocabulary; ``config``: what else config.json says."""
    shutil.copytree(GOLDEN / name, to)
    text = json.loads((to / "config.json").read_text())
    text.update(config)
    (to / "config.json").write_text(json.dumps(text))
    (to / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (to / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 40}')
    return to


def golden_copy_with_words(name: str, to: Path) -> Path:
    """golden_copy() whose tokenizer is word_tokenizer()."""
    golden_copy(name, to)
    (to / "vocab.txt").unlink()
    (to / "tokenizer.json").write_text(word_tokenizer())
    return to


def labels(*names: str) -> dict[str, Any]:
    return {
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
    }


def word_tokenizer(begin: str = "[CLS]", end: str = "[SEP]") -> str:
    """A tokenizer.json of whole words from WORDS."""
    special = [
        {"id": i, "content": word, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for i, word in enumerate(WORDS[:4])
    ]  # fmt: skip
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": special,
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": {
                "type": "BertProcessing",
                "sep": [end, WORDS.index(end)],
                "cls": [begin, WORDS.index(begin)],
            },
            "decoder": None,
            "model": {
                "type": "WordLevel",
                "vocab": {word: i for i, word in enumerate(WORDS)},
                "unk_token": "[UNK]",
            },
        }
    )


def router(to: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A Router of two static embeddings, and the table of each route."""
    to.mkdir()
    module = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Router"}
    (to / "modules.json").write_text(json.dumps([module]))
    tables = {}
    types = {}
    for i, route in enumerate(("query", "document")):
        folder = to / f"{route}_0_StaticEmbedding"
        folder.mkdir()
        tables[route] = np.random.default_rng(i).normal(size=(len(WORDS), 8)).astype(np.float32)
        write_safetensors(
            folder / "model.safetensors", {"embedding.weight": tables[route].astype(np.float32)}
        )
        (folder / "tokenizer.json").write_text(word_tokenizer())
        types[folder.name] = "sentence_transformers.models.StaticEmbedding"
    structure = {route: [f"{route}_0_StaticEmbedding"] for route in tables}
    (to / "router_config.json").write_text(
        json.dumps(
            {"types": types, "structure": structure, "parameters": {"default_route": "document"}}
        )
    )
    return to, tables


def with_prompts(to: Path, **more: Any) -> Path:
    """The shipped checkpoint with prompts, a similarity function, ... in its files."""
    shutil.copytree(DEMO, to)
    file = to / "config_sentence_transformers.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    return to
