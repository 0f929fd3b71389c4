#!/usr/bin/python3
"""Writes tests/golden/data/dinov2-registers-swiglu: a case that ../shared/conformance lacks.

    scripts/make_dinov2_golden.py [DIRECTORY]

Dinov2WithRegistersForImageClassification with use_swiglu_ffn, after Oquab et al. 2024 and Darcet et al. 2024,
in NumPy and float64 with the formulas of transformers v4.57 modeling_dinov2_with_registers.py. Weights are
random numbers that f32 represents exactly. Nothing of Tessera is used.
"""
import json
import math
import pathlib
import struct
import sys

import numpy as np

HIDDEN, LAYERS, HEADS, IMAGE, PATCH, REGISTERS, LABELS, EPS = 48, 2, 3, 30, 6, 3, 7, 1e-6
RATIO = 3
INNER = (int(int(HIDDEN * RATIO) * 2 / 3) + 7) // 8 * 8
GRID = IMAGE // PATCH
PREFIX = "dinov2_with_registers."


def safetensors(path: pathlib.Path, tensors: dict[str, np.ndarray]) -> None:
    header, data = {}, b""
    for name, values in tensors.items():
        kind, dtype = ("I64", "<i8") if values.dtype.kind == "i" else ("F32", "<f4")
        raw = np.ascontiguousarray(values, dtype=dtype).tobytes()
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def make_weights(random: np.random.Generator) -> dict[str, np.ndarray]:
    weights: dict[str, np.ndarray] = {}

    def normal(name: str, *shape: int, scale: float, mean: float = 0.0) -> None:
        weights[name] = (mean + scale * random.standard_normal(shape)).astype(np.float32)

    def linear(name: str, out: int, width: int) -> None:
        normal(name + ".weight", out, width, scale=width**-0.5)
        normal(name + ".bias", out, scale=0.1)

    def norm(name: str) -> None:
        normal(name + ".weight", HIDDEN, scale=0.2, mean=1.0)
        normal(name + ".bias", HIDDEN, scale=0.1)

    e = PREFIX + "embeddings."
    normal(e + "cls_token", 1, 1, HIDDEN, scale=0.5)
    normal(e + "mask_token", 1, HIDDEN, scale=0.5)
    normal(e + "register_tokens", 1, REGISTERS, HIDDEN, scale=0.5)
    normal(e + "position_embeddings", 1, 1 + GRID * GRID, HIDDEN, scale=0.5)
    normal(e + "patch_embeddings.projection.weight", HIDDEN, 3, PATCH, PATCH, scale=(3 * PATCH * PATCH) ** -0.5)
    normal(e + "patch_embeddings.projection.bias", HIDDEN, scale=0.1)
    for i in range(LAYERS):
        layer = f"{PREFIX}encoder.layer.{i}."
        norm(layer + "norm1")
        norm(layer + "norm2")
        for part in ("query", "key", "value"):
            linear(layer + "attention.attention." + part, HIDDEN, HIDDEN)
        linear(layer + "attention.output.dense", HIDDEN, HIDDEN)
        normal(layer + "layer_scale1.lambda1", HIDDEN, scale=0.3, mean=1.0)
        normal(layer + "layer_scale2.lambda1", HIDDEN, scale=0.3, mean=1.0)
        linear(layer + "mlp.weights_in", 2 * INNER, HIDDEN)
        linear(layer + "mlp.weights_out", HIDDEN, INNER)
    norm(PREFIX + "layernorm")
    linear("classifier", LABELS, 2 * HIDDEN)
    return weights


def axis_matrix(n: int, m: int) -> np.ndarray:
    """(m, n): antialiased bicubic weights, a = -1/2, of n places for each of m."""
    a, ratio = -0.5, n / m
    scale = max(1.0, ratio)

    def kernel(x: float) -> float:
        x = abs(x)
        if x < 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    rows = []
    for i in range(m):
        centre = (i + 0.5) * ratio
        row = np.array([kernel((y + 0.5 - centre) / scale) for y in range(n)])
        rows.append(row / row.sum())
    return np.array(rows)


class Model:
    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.w = {name: values.astype(np.float64) for name, values in weights.items()}

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
        return y * self.w[name + ".weight"] + self.w[name + ".bias"]

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        e = PREFIX + "embeddings."
        batch, channels, height, width = pixels.shape
        rows, cols = height // PATCH, width // PATCH
        patches = pixels[:, :, : rows * PATCH, : cols * PATCH].astype(np.float64)
        patches = patches.reshape(batch, channels, rows, PATCH, cols, PATCH).transpose(0, 2, 4, 1, 3, 5)
        kernel = self.w[e + "patch_embeddings.projection.weight"].reshape(HIDDEN, -1)
        x = patches.reshape(batch, rows * cols, -1) @ kernel.T + self.w[e + "patch_embeddings.projection.bias"]
        positions = self.w[e + "position_embeddings"][0]
        grid = positions[1:].reshape(GRID, GRID, HIDDEN)
        if (rows, cols) != (GRID, GRID):
            grid = np.einsum("iy,jx,yxn->ijn", axis_matrix(GRID, rows), axis_matrix(GRID, cols), grid)
        x = x + grid.reshape(rows * cols, HIDDEN)
        first = np.broadcast_to(self.w[e + "cls_token"] + positions[0], (batch, 1, HIDDEN))
        registers = np.broadcast_to(self.w[e + "register_tokens"], (batch, REGISTERS, HIDDEN))
        return np.concatenate([first, registers, x], axis=1)

    def attention(self, x: np.ndarray, layer: str) -> np.ndarray:
        batch, tokens, _ = x.shape

        def heads(part: str) -> np.ndarray:
            y = self.linear(x, layer + "attention.attention." + part)
            return y.reshape(batch, tokens, HEADS, -1).transpose(0, 2, 1, 3)

        q, k, v = heads("query"), heads("key"), heads("value")
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(HIDDEN // HEADS)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        context = (p / p.sum(-1, keepdims=True)) @ v
        return self.linear(context.transpose(0, 2, 1, 3).reshape(batch, tokens, HIDDEN), layer + "attention.output.dense")

    def swiglu(self, x: np.ndarray, layer: str) -> np.ndarray:
        gate, up = np.split(self.linear(x, layer + "mlp.weights_in"), 2, axis=-1)
        return self.linear(gate / (1 + np.exp(-gate)) * up, layer + "mlp.weights_out")

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        x = self.embed(pixels)
        outputs = {"hidden_states.0": x}
        for i in range(LAYERS):
            layer = f"{PREFIX}encoder.layer.{i}."
            x = x + self.w[layer + "layer_scale1.lambda1"] * self.attention(self.norm(x, layer + "norm1"), layer)
            x = x + self.w[layer + "layer_scale2.lambda1"] * self.swiglu(self.norm(x, layer + "norm2"), layer)
            outputs[f"hidden_states.{i + 1}"] = x
        x = self.norm(x, PREFIX + "layernorm")
        patches = x[:, 1 + REGISTERS :].mean(1)
        outputs["logits"] = self.linear(np.concatenate([x[:, 0], patches], axis=1), "classifier")
        return outputs


def main(arguments: list[str]) -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    directory = pathlib.Path(arguments[0]) if arguments else root / "tests/golden/data/dinov2-registers-swiglu"
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20250707)
    weights = make_weights(random)
    safetensors(directory / "model.safetensors", weights)
    config = {
        "architectures": ["Dinov2WithRegistersForImageClassification"], "model_type": "dinov2_with_registers",
        "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "mlp_ratio": RATIO,
        "hidden_act": "gelu", "use_swiglu_ffn": True, "qkv_bias": True, "image_size": IMAGE, "patch_size": PATCH,
        "num_channels": 3, "num_register_tokens": REGISTERS, "layer_norm_eps": EPS,
        "id2label": {str(i): f"LABEL_{i}" for i in range(LABELS)},
    }
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    runs = []
    model = Model(weights)
    for name, shape in {"main": (2, 3, IMAGE, IMAGE), "other_size": (1, 3, 43, 72), "smaller": (1, 3, 18, 12)}.items():
        suffix = "" if name == "main" else f".{name}"
        pixels = random.standard_normal(shape).astype(np.float32)
        safetensors(directory / f"inputs{suffix}.safetensors", {"pixel_values": pixels})
        safetensors(directory / f"outputs{suffix}.safetensors", model.run(pixels))
        runs.append({"name": name, "inputs": f"inputs{suffix}.safetensors", "outputs": f"outputs{suffix}.safetensors",
                     "call": "scripts/make_dinov2_golden.py, float64"})
    case = {"name": directory.name, "description": "SwiGLU, registers, image classification, computed by "
            "scripts/make_dinov2_golden.py in float64: not by transformers",
            "model_class": "Dinov2WithRegistersForImageClassification", "weights": "F32", "runs": runs}
    (directory / "case.json").write_text(json.dumps(case, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
