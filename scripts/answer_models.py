"""The checkpoints of compare_answers.py: small random ones with a head, and what they compute, in float64."""

from __future__ import annotations

import json
import math
import shutil
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

HIDDEN, LAYERS, HEADS, INTERMEDIATE = 32, 2, 4, 64
EPSILON = {"bert": 1e-12, "roberta": 1e-5}


class Kind(NamedTuple):
    family: str
    vocabulary: int
    cls: int
    unknown: int
    marks_subwords: bool


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Model:
    """BERT or RoBERTa with a head: logits of the tokens of a window, or of the window."""

    def __init__(self, tensors: dict[str, np.ndarray], family: str) -> None:
        self.tensors = {name: values.astype(np.float64) for name, values in tensors.items()}
        self.family = family
        self.known: dict[tuple, np.ndarray] = {}

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON[self.family])
        return x * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def hidden(self, ids: list[int], types: list[int]) -> np.ndarray:
        embeddings = f"{self.family}.embeddings."
        positions = np.arange(len(ids))
        if self.family == "roberta":  # begins at 2, and does not count what is written like padding
            positions = 1 + np.cumsum(np.array(ids) != 1) * (np.array(ids) != 1)
        x = self.tensors[embeddings + "word_embeddings.weight"][ids]
        x = x + self.tensors[embeddings + "position_embeddings.weight"][positions]
        x = self.norm(x + self.tensors[embeddings + "token_type_embeddings.weight"][types], embeddings + "LayerNorm")
        for layer in range(LAYERS):
            name = f"{self.family}.encoder.layer.{layer}."
            q, k, v = (
                self.linear(x, f"{name}attention.self.{part}").reshape(len(ids), HEADS, -1).transpose(1, 0, 2)
                for part in ("query", "key", "value")
            )
            shares = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]))
            mixed = (shares @ v).transpose(1, 0, 2).reshape(len(ids), -1)
            x = self.norm(x + self.linear(mixed, name + "attention.output.dense"), name + "attention.output.LayerNorm")
            wide = self.linear(x, name + "intermediate.dense")
            wide = 0.5 * wide * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
            x = self.norm(x + self.linear(wide, name + "output.dense"), name + "output.LayerNorm")
        return x

    def logits(self, window: dict) -> np.ndarray:
        key = (tuple(window["ids"]), tuple(window["types"]))
        if key not in self.known:
            x = self.hidden(window["ids"], window["types"])
            for dense in ("bert.pooler.dense", "classifier.dense"):
                if dense + ".weight" in self.tensors:
                    x = np.tanh(self.linear(x[0], dense))
            heads = ("qa_outputs", "classifier", "classifier.out_proj")
            self.known[key] = self.linear(x, next(name for name in heads if name + ".weight" in self.tensors))
        return self.known[key]


def make_tensors(seed: int, kind: Kind, head: str, labels: int) -> dict[str, np.ndarray]:
    """Weights so large that scores differ clearly from place to place."""
    roberta = kind.family == "roberta"
    embeddings = f"{kind.family}.embeddings."
    last = "qa_outputs" if head == "QuestionAnswering" else "classifier"
    norms, linears = [embeddings + "LayerNorm"], []
    for layer in range(LAYERS):
        name = f"{kind.family}.encoder.layer.{layer}."
        linears += [(f"{name}attention.self.{part}", HIDDEN, HIDDEN, 0.2) for part in ("query", "key", "value")]
        linears += [(name + "attention.output.dense", HIDDEN, HIDDEN, 0.2)]
        linears += [(name + "intermediate.dense", INTERMEDIATE, HIDDEN, 0.2)]
        linears += [(name + "output.dense", HIDDEN, INTERMEDIATE, 0.2)]
        norms += [name + "attention.output.LayerNorm", name + "output.LayerNorm"]
    if head == "SequenceClassification":
        linears += [("classifier.dense" if roberta else "bert.pooler.dense", HIDDEN, HIDDEN, 0.2)]
        last += ".out_proj" if roberta else ""
    linears += [(last, labels, HIDDEN, 0.6)]
    tensors = [
        (embeddings + "word_embeddings.weight", (kind.vocabulary, HIDDEN), 1.0, 0),
        (embeddings + "position_embeddings.weight", (514 if roberta else 512, HIDDEN), 0.5, 0),
        (embeddings + "token_type_embeddings.weight", (1 if roberta else 2, HIDDEN), 0.5, 0),
    ]
    tensors += [(f"{name}.{part}", (HIDDEN,), 0.1, mean) for name in norms for part, mean in (("weight", 1), ("bias", 0))]
    tensors += [(name + ".weight", (outputs, inputs), scale, 0) for name, outputs, inputs, scale in linears]
    tensors += [(name + ".bias", (outputs,), 0.1, 0) for name, outputs, _, _ in linears]
    rng = np.random.default_rng(seed)
    return {
        name: (mean + rng.standard_normal(shape) * scale).astype(np.float32) for name, shape, scale, mean in tensors
    }


def make_model(folder: Path, files: Path, kind: Kind, head: str, labels: list[str]) -> Model:
    """Writes a checkpoint with the tokenizer of `files`."""
    shutil.copytree(files, folder)
    settings = folder / "tokenizer_config.json"
    known = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    settings.write_text(json.dumps({**known, "model_max_length": 512}), encoding="utf-8")
    tensors = make_tensors(len(folder.name), kind, head, len(labels))
    roberta = int(kind.family == "roberta")
    config = {
        "architectures": [("Roberta" if roberta else "Bert") + "For" + head],
        "model_type": kind.family, "vocab_size": kind.vocabulary, "hidden_size": HIDDEN, "hidden_act": "gelu",
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INTERMEDIATE,
        "max_position_embeddings": 512 + 2 * roberta, "type_vocab_size": 2 - roberta, "pad_token_id": roberta,
        "layer_norm_eps": EPSILON[kind.family],
    }  # fmt: skip
    if head != "QuestionAnswering":
        config["id2label"] = {str(i): label for i, label in enumerate(labels)}
        config["label2id"] = {label: i for i, label in enumerate(labels)}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    header, data = {}, b""
    for name, values in tensors.items():
        offsets = [len(data), len(data) + values.nbytes]
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": offsets}
        data += values.tobytes()
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return Model(tensors, kind.family)
