"""Ternary checkpoints on disk (models/demo/README.md, "Ternary: Layout"): writing them, and reading them back.

Linears are stored as transformers' BitLinear stores them: (N,K) values of -1, 0, 1 as (N/4,K) bytes, and a
`weight_scale` that divides. The one extension is that it has an entry for each output channel.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tensor_files import read_safetensors, write_safetensors

from .export import write_json
from .model import Bert, SectionModel, Shape
from .ternary import LINEARS, Layer, Weight, ternary, to_s8

LINKED = ("tokenizer.json", "vocab.txt", "special_tokens_map.json", "tokenizer_config.json")
COPIED = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling/config.json")


def pack(t: torch.Tensor) -> np.ndarray:
    """(N,K) of -1, 0, 1 -> (N/4,K) bytes; row j N/4 + r is in bits 2j and 2j+1 of row r."""
    codes = (t.numpy() + 1).astype(np.uint8)  # (N,K) of 0, 1, 2
    quarter = len(codes) // 4
    if 4 * quarter != len(codes):
        raise ValueError(f"pack: {len(codes)} rows, expected a multiple of 4")
    return sum(codes[j * quarter : (j + 1) * quarter] << 2 * j for j in range(4)).astype(np.uint8)


def unpack(packed: np.ndarray) -> torch.Tensor:
    """What `pack` was given."""
    return torch.from_numpy(np.concatenate([(packed >> 2 * j & 3).astype(np.float32) - 1 for j in range(4)]))


def linear_names(layers: int) -> list[str]:
    """The ternary linears, below `BertModel`."""
    return [f"encoder.layer.{i}.{name}" for i in range(layers) for name in LINEARS]


def tensors_of(model: SectionModel, classifies: bool) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint: of the encoder without its pooler, or of the whole classifier."""
    prefix = "bert." if classifies else ""
    state = dict((model if classifies else model.bert).state_dict())
    if not classifies:
        state = {name: tensor for name, tensor in state.items() if not name.startswith("pooler.")}
    result = {}
    for name in (prefix + name for name in linear_names(model.bert.shape.layers)):
        t, a = ternary(state.pop(f"{name}.weight"))
        result[f"{name}.weight"] = pack(t)
        result[f"{name}.weight_scale"] = (1 / a[:, 0]).numpy().astype(np.float32)
    words = f"{prefix}embeddings.word_embeddings"
    q, s = to_s8(state.pop(f"{words}.weight"))
    result[f"{words}.weight"] = q.numpy().astype(np.int8)
    result[f"{words}.weight_scale"] = s.numpy().astype(np.float32)
    for name, tensor in state.items():
        result[name] = tensor.numpy().astype(np.float16)
    return result


def quantization_config(classifies: bool) -> dict[str, Any]:
    """transformers' BitNetQuantConfig, and two keys that say what is not in it."""
    return {
        "quant_method": "bitnet",
        "linear_class": "bitlinear",
        "quantization_mode": "offline",
        "modules_to_not_convert": ["pooler", "classifier"] if classifies else [],
        "weight_scale_strategy": "channel",
        "word_embeddings": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"},
    }


def write_model(folder: Path, full: Path, model: SectionModel) -> None:
    """A directory like `full`, beside it, with ternary weights; tokenizer files are links."""
    config = json.loads((full / "config.json").read_text(encoding="utf-8"))
    classifies = config["architectures"] == ["BertForSequenceClassification"]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {**config, "quantization_config": quantization_config(classifies)})
    write_safetensors(folder / "model.safetensors", tensors_of(model, classifies))
    for name in LINKED:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(os.path.relpath((full / name).resolve(), folder.resolve()))
    for name in COPIED:
        if (full / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(full / name, folder / name)


def read_model(folder: Path, labels: int) -> tuple[SectionModel, list[Layer]]:
    """A written model: everything that is not ternary as float32, and its linears as stored."""
    stored = read_safetensors(folder / "model.safetensors")
    classifies = "classifier.weight" in stored
    prefix = "bert." if classifies else ""
    words = f"{prefix}embeddings.word_embeddings.weight"
    model = SectionModel(Shape(len(stored[words])), labels)
    target: torch.nn.Module = model if classifies else model.bert
    halves = {name: value for name, value in stored.items() if value.dtype == np.float16}
    state = {name: torch.from_numpy(value.astype(np.float32)) for name, value in halves.items()}
    state[words] = torch.from_numpy(stored[words].astype(np.float32) * stored[f"{words}_scale"])
    target.load_state_dict(state, strict=False)
    layers = []
    for i in range(model.bert.shape.layers):
        parts = []
        for name in LINEARS:
            at = f"{prefix}encoder.layer.{i}.{name}"
            t = unpack(stored[f"{at}.weight"])
            parts.append((t, 1 / torch.tensor(stored[f"{at}.weight_scale"]), state[f"{at}.bias"]))
        joined = [tuple(torch.cat(part) for part in zip(*parts[:3])), *parts[3:]]
        layers.append(Layer(*(Weight(t, t, a, bias) for t, a, bias in joined)))
    return model, layers
