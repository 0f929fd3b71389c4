#!/usr/bin/python3
"""What a ternary BERT directory computes, in NumPy, from its files alone.

    scripts/ternary_reference.py MODEL TEXT...        a line of JSON for each text: ids, embedding or logits
    scripts/ternary_reference.py --check FILE         FILE (expected-ternary.json) against its models, beside it

Sums of products are those of integers, exact. The rest is float64, or float32 with --f32.

    q[m,k] = rint(x[m,k] i[m])               i[m] = 127 / max_k |x[m,k]|, 0 where that is infinite
    y[m,n] = s[m] a[n] (sum_k q[m,k] t[n,k]) + b[n]
                                             s[m] = max_k |x[m,k]| / 127, a[n] = 1 / weight_scale[n]

rint is to the nearest, ties to even. The layout of the files is in models/demo/README.md,
"Ternary: Layout". Needs numpy; the ids come from demo_text/wordpiece.py.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from demo_text.wordpiece import Tokenizer
from tensor_files import read_safetensors

LINEARS = (
    "attention.self.query", "attention.self.key", "attention.self.value",
    "attention.output.dense", "intermediate.dense", "output.dense",
)
erf = np.vectorize(math.erf, otypes=[np.float64])


def unpack(packed: np.ndarray) -> np.ndarray:
    """(N/4,K) bytes -> (N,K) of -1, 0, 1: bits 2j and 2j+1 of row r are row j N/4 + r, plus one."""
    return np.concatenate([(packed >> 2 * j & 3).astype(np.int32) - 1 for j in range(4)])


class Product(NamedTuple):
    """A linear's steps."""

    q: np.ndarray  # (M,K) int32
    s: np.ndarray  # (M,1)
    sums: np.ndarray  # (M,N) int32
    y: np.ndarray  # (M,N)


class Linear:
    """y = x W^T + b with ternary W and x rounded to s8, a step for each row."""

    def __init__(self, stored: dict[str, np.ndarray], name: str, dtype: type) -> None:
        self.t = unpack(stored[f"{name}.weight"])  # (N,K)
        self.a = 1 / stored[f"{name}.weight_scale"].astype(dtype)  # (N)
        self.b = stored[f"{name}.bias"].astype(dtype)  # (N)

    def steps(self, x: np.ndarray) -> Product:
        """The product and what leads to it, in the type of `x`."""
        most = np.abs(x).max(axis=-1, keepdims=True)  # (M,1)
        usable = most > 127 / np.finfo(x.dtype).max  # below, 127 / most is infinite
        i = np.divide(x.dtype.type(127), most, out=np.zeros_like(most), where=usable)
        q = np.rint(x * i).astype(np.int32)  # (M,K)
        s = most / x.dtype.type(127)
        sums = q @ self.t.T  # (M,N), in integers
        return Product(q, s, sums, s * self.a * sums.astype(x.dtype) + self.b)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.steps(x).y


class Model:
    """A ternary BertModel or BertForSequenceClassification."""

    def __init__(self, folder: Path, dtype: type = np.float64) -> None:
        self.config = json.loads((folder / "config.json").read_text())
        method = self.config["quantization_config"]
        if (method["quant_method"], method["linear_class"]) != ("bitnet", "bitlinear"):
            raise ValueError(f"{folder}: quantization_config is {method}, expected bitnet with bitlinear")
        self.dtype = dtype
        stored = read_safetensors(folder / "model.safetensors")
        self.classifies = "classifier.weight" in stored
        stored = {name.removeprefix("bert."): tensor for name, tensor in stored.items()}
        self.stored = stored
        words = stored["embeddings.word_embeddings.weight"]  # (V,H) int8
        self.words = words.astype(dtype) * stored["embeddings.word_embeddings.weight_scale"].astype(dtype)
        self.floats = {k: v.astype(dtype) for k, v in stored.items() if v.dtype in (np.float16, np.float32)}
        self.linears = {
            f"encoder.layer.{layer}.{name}": Linear(stored, f"encoder.layer.{layer}.{name}", dtype)
            for layer in range(self.config["num_hidden_layers"])
            for name in LINEARS
        }
        limits = json.loads((folder / "tokenizer_config.json").read_text())
        self.limit = limits["model_max_length"]
        self.tokenizer = Tokenizer((folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1])

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        """LayerNorm over the last axis."""
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        eps = self.dtype(self.config["layer_norm_eps"])
        return centred / np.sqrt(variance + eps) * self.floats[f"{name}.weight"] + self.floats[f"{name}.bias"]

    def attention(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        """softmax(Q K^T / sqrt(d)) V of each head; (T,H) each."""
        T, H = q.shape
        heads = self.config["num_attention_heads"]
        q, k, v = (x.reshape(T, heads, H // heads).transpose(1, 0, 2) for x in (q, k, v))  # (heads,T,d)
        scores = q @ k.transpose(0, 2, 1) / self.dtype(math.sqrt(H // heads))  # (heads,T,T)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ v).transpose(1, 0, 2).reshape(T, H)

    def hidden(self, ids: list[int], inputs: dict[str, np.ndarray] | None = None) -> np.ndarray:
        """The last hidden states of one sequence; `inputs` collects what each linear reads."""

        def linear(name: str, x: np.ndarray) -> np.ndarray:
            if inputs is not None:
                inputs[name] = x
            return self.linears[name](x)

        places = self.floats["embeddings.position_embeddings.weight"][: len(ids)]
        types = self.floats["embeddings.token_type_embeddings.weight"][0]
        x = self.norm(self.words[ids] + (places + types), "embeddings.LayerNorm")  # (T,H)
        for layer in range(self.config["num_hidden_layers"]):
            at = f"encoder.layer.{layer}"
            mixed = self.attention(*(linear(f"{at}.{name}", x) for name in LINEARS[:3]))
            x = self.norm(linear(f"{at}.attention.output.dense", mixed) + x, f"{at}.attention.output.LayerNorm")
            inner = linear(f"{at}.intermediate.dense", x)  # (T,I)
            inner = (inner * (1 + erf(inner / math.sqrt(2))) / 2).astype(self.dtype)
            x = self.norm(linear(f"{at}.output.dense", inner) + x, f"{at}.output.LayerNorm")
        return x

    def answer(self, ids: list[int]) -> np.ndarray:
        """Logits of a classifier; else the mean of the states, normalised."""
        x = self.hidden(ids)
        if self.classifies:
            w = self.floats
            pooled = np.tanh(w["pooler.dense.weight"] @ x[0] + w["pooler.dense.bias"])
            return w["classifier.weight"] @ pooled + w["classifier.bias"]
        mean = x.mean(0)
        return mean / np.sqrt((mean * mean).sum())


def shown(values: np.ndarray) -> list[float]:
    """Numbers with all the digits of f32."""
    return [float(f"{v:.9g}") for v in values.tolist()]


def record(model: Model, text: str) -> dict[str, Any]:
    """A text and what the model makes of it."""
    ids = model.tokenizer.encode(text, model.limit)
    return {"text": text, "ids": ids, "logits" if model.classifies else "embedding": shown(model.answer(ids))}


def linear_record(model: Model, text: str, name: str, row: int) -> dict[str, Any]:
    """One row through one linear, from an f32 input on, in f32: x and s have exact values, q and sums are integers."""
    inputs: dict[str, np.ndarray] = {}
    model.hidden(model.tokenizer.encode(text, model.limit), inputs)
    linear = Linear(model.stored, name, np.float32)
    x = inputs[name][row : row + 1].astype(np.float32)
    q, s, sums, y = (part[0] for part in linear.steps(x))
    return {"linear": name, "x": shown(x[0]), "q": q.tolist(), "s": shown(s)[0], "sums": sums.tolist(), "y": shown(y)}


def check(path: Path) -> bool:
    """Compares a file of expected values with its models, which lie beside it."""
    good = True
    for name, expected in json.loads(path.read_text(encoding="utf-8")).items():
        model = Model(path.parent / name)
        worst = {"float64": 0.0, "float32": 0.0}
        for entry in expected["texts"]:
            key = "logits" if model.classifies else "embedding"
            for kind, worse in worst.items():
                again = record(Model(path.parent / name, getattr(np, kind)), entry["text"])
                good = good and again["ids"] == entry["ids"]
                worst[kind] = max(worse, float(np.abs(np.subtract(again[key], entry[key])).max()))
        for entry in expected["linears"]:
            part = Linear(model.stored, entry["linear"], np.float32).steps(np.array([entry["x"]], np.float32))
            good = good and part.q[0].tolist() == entry["q"] and part.sums[0].tolist() == entry["sums"]
            good = good and np.allclose(part.y[0], entry["y"], rtol=1e-6, atol=1e-6)
        good = good and worst["float64"] < 1e-8
        print(f"{name}: {len(expected['texts'])} texts, greatest difference {worst['float64']:.1e},"
              f" in float32 {worst['float32']:.1e}; {len(expected['linears'])} linears; {'good' if good else 'BAD'}")
    return good


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", nargs="*")
    parser.add_argument("--f32", action="store_true", help="float32 where not integer")
    parser.add_argument("--check", action="store_true", help="MODEL is a file of expected values")
    arguments = parser.parse_args()
    if arguments.check:
        return 0 if check(arguments.model) else 1
    model = Model(arguments.model, np.float32 if arguments.f32 else np.float64)
    for text in arguments.texts:
        print(json.dumps(record(model, text), ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
