#!/usr/bin/python3
"""Golden vectors of the shipped checkpoints (verify.safetensors), computed in float64 from their files alone.

    scripts/make_verify_vectors.py [--tool TESSERA] [MODEL...]     default: every directory of models/demo

The reference is NumPy: BertModel and BertForSequenceClassification (also of ternary weights, multiplied as
floats) and ViTForImageClassification as transformers computes them; the ids come from demo_text/wordpiece.py, the
pixels from Pillow. `tessera verify --record --against` then adds the checksums of the weights, and refuses
what it does not compute itself. Needs python3-numpy, python3-pil and a build.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from demo_text.wordpiece import Tokenizer
from tensor_files import read_safetensors, write_safetensors
from ternary_reference import unpack

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ["tea", "A tiny text editor for small screens", "play chess -- naïvely -- against the computer's 4 players"]
erf = np.vectorize(math.erf, otypes=[np.float64])


class Model:
    """The weights of a directory in float64, without the prefix of the encoder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())
        stored = read_safetensors(folder / "model.safetensors")
        self.w: dict[str, np.ndarray] = {}
        for name, tensor in stored.items():
            if name.endswith(".weight_scale"):
                continue
            value = unpack(tensor) if tensor.dtype == np.uint8 else tensor
            value = value.astype(np.float64)
            scale = stored.get(name + "_scale")
            if scale is not None:  # a table is multiplied by its scales, a ternary matrix divided
                value = value / scale[:, None].astype(np.float64) if scale.ndim == 1 else value * scale.astype(np.float64)
            self.w[name.removeprefix("bert.").removeprefix("vit.")] = value

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        return centred / np.sqrt(variance + self.config["layer_norm_eps"]) * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def attention(self, x: np.ndarray, name: str) -> np.ndarray:
        """softmax(Q K^T / sqrt(d)) V of each head of x (T,H)."""
        T, H = x.shape
        heads = self.config["num_attention_heads"]
        q, k, v = (
            self.linear(x, f"{name}.{part}").reshape(T, heads, H // heads).transpose(1, 0, 2)  # (heads,T,d)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(H // heads)  # (heads,T,T)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        return (weights / weights.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(T, H)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + erf(x / math.sqrt(2))) / 2


def bert_states(m: Model, ids: list[int]) -> list[np.ndarray]:
    """hidden_states.0 to .N of one sequence, (T,H) each."""
    x = m.w["embeddings.word_embeddings.weight"][ids] + m.w["embeddings.token_type_embeddings.weight"][0]
    x = m.norm(x + m.w["embeddings.position_embeddings.weight"][: len(ids)], "embeddings.LayerNorm")
    states = [x]
    for layer in range(m.config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        mixed = m.linear(m.attention(x, f"{at}.attention.self"), f"{at}.attention.output.dense")
        x = m.norm(mixed + x, f"{at}.attention.output.LayerNorm")
        inner = gelu(m.linear(x, f"{at}.intermediate.dense"))
        x = m.norm(m.linear(inner, f"{at}.output.dense") + x, f"{at}.output.LayerNorm")
        states.append(x)
    return states


def bert(m: Model) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    limit = json.loads((m.folder / "tokenizer_config.json").read_text())["model_max_length"]
    tokenizer = Tokenizer((m.folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1])
    ids = [tokenizer.encode(text, limit) for text in TEXTS]
    longest = max(map(len, ids))
    out: dict[str, np.ndarray] = {
        "input_ids": np.array([row + [0] * (longest - len(row)) for row in ids], np.int64),
        "attention_mask": np.array([[1] * len(row) + [0] * (longest - len(row)) for row in ids], np.int64),
    }
    out["token_type_ids"] = np.zeros_like(out["input_ids"])
    states = [bert_states(m, row) for row in ids]
    for layer in range(len(states[0])):
        padded = [np.pad(s[layer], ((0, longest - len(s[layer])), (0, 0))) for s in states]
        out[f"hidden_states.{layer}"] = np.array(padded, np.float32)
    out["last_hidden_state"] = out[f"hidden_states.{len(states[0]) - 1}"]
    if "classifier.weight" in m.w:
        pooled = np.tanh(m.linear(np.array([s[-1][0] for s in states]), "pooler.dense"))
        out["logits"] = m.linear(pooled, "classifier").astype(np.float32)
    else:
        means = np.array([s[-1].mean(0) for s in states])
        out["embedding"] = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    return out, {"texts": json.dumps(TEXTS, ensure_ascii=False)}


def picture() -> np.ndarray:
    """Slopes and edges, U8 (48,60,3)."""
    y, x = np.mgrid[0:48, 0:60]
    square = (x // 10 + y // 8) % 2
    return np.stack([4 * x, 255 - 5 * y * square, 9 * ((x * y) % 29)], -1).clip(0, 255).astype(np.uint8)


def vit(m: Model) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from PIL import Image

    p = json.loads((m.folder / "preprocessor_config.json").read_text())
    image = picture()
    size = (p["size"]["width"], p["size"]["height"])
    resized = np.asarray(Image.fromarray(image).resize(size, p["resample"]))  # (h,w,3)
    # transformers.image_transforms: rescale in float64 to float32, normalise in float32
    rescaled = (resized.astype(np.float64) * p["rescale_factor"]).astype(np.float32)
    pixels = (rescaled - np.array(p["image_mean"], np.float32)) / np.array(p["image_std"], np.float32)
    pixels = pixels.transpose(2, 0, 1)  # (3,h,w)
    n, H = m.config["patch_size"], m.config["hidden_size"]
    patches = pixels.astype(np.float64).reshape(3, size[1] // n, n, size[0] // n, n).transpose(1, 3, 0, 2, 4)
    kernel = m.w["embeddings.patch_embeddings.projection.weight"].reshape(H, -1)
    x = patches.reshape(-1, 3 * n * n) @ kernel.T + m.w["embeddings.patch_embeddings.projection.bias"]
    x = np.concatenate([m.w["embeddings.cls_token"][0], x]) + m.w["embeddings.position_embeddings"][0]
    states = [x]
    for layer in range(m.config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        mixed = m.attention(m.norm(x, f"{at}.layernorm_before"), f"{at}.attention.attention")
        x = m.linear(mixed, f"{at}.attention.output.dense") + x
        inner = gelu(m.linear(m.norm(x, f"{at}.layernorm_after"), f"{at}.intermediate.dense"))
        x = m.linear(inner, f"{at}.output.dense") + x
        states.append(x)
    last = m.norm(x, "layernorm")
    out = {"pixel_values": pixels[None], "image.0": image}
    out |= {f"hidden_states.{i}": state[None].astype(np.float32) for i, state in enumerate(states)}
    out["last_hidden_state"] = last[None].astype(np.float32)
    out["logits"] = m.linear(last[:1], "classifier").astype(np.float32)
    return out, {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default=str(ROOT / "build/release/tessera/tessera"))
    parser.add_argument("models", nargs="*", type=Path)
    arguments = parser.parse_args()
    models = arguments.models or sorted(path.parent for path in (ROOT / "models/demo").glob("*/config.json"))
    for folder in models:
        model = Model(folder)
        tensors, metadata = {"bert": bert, "vit": vit}[model.config["model_type"]](model)
        metadata["made_by"] = "scripts/make_verify_vectors.py (NumPy, float64)"
        metadata["precision"] = "fp32"
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "reference.safetensors"
            write_safetensors(path, tensors, metadata)
            done = subprocess.run([arguments.tool, "verify", folder, "--record", "--force", "--against", path])
        if done.returncode != 0:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
