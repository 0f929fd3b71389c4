#!/usr/bin/python3
"""Writes the golden cases of rotary scaling: a small Qwen3 of random weights per kind, computed in float64.

    scripts/make_rope_golden.py [FOLDER]        default: tests/golden/data

Before that its forward pass is held against the stored cases of Qwen3, which others computed. Each kind has
runs below and above the length from which on "dynamic" and "longrope" turn by other angles. Needs numpy.
"""

from __future__ import annotations

import json
import math
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from compare_conformance import read  # noqa: E402
from make_dinov2_golden import safetensors  # noqa: E402

SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
         "intermediate_size": 20, "vocab_size": 50, "max_position_embeddings": 32, "rms_norm_eps": 1e-6}
THETA = 500.0  # so that slow and fast pairs are among the 8 of a head
SHORT = [1.0, 1.1, 1.0, 1.3, 1.2, 1.0, 1.5, 1.4]
LONG = [1.0, 1.4, 2.0, 2.5, 3.0, 4.5, 5.0, 8.0]
CASES = {
    "qwen3-rope-yarn": {"rope_theta": THETA, "rope_scaling": {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 2.0}},
    "qwen3-rope-yarn-mscale": {"rope_parameters": {
        "rope_type": "yarn", "rope_theta": THETA, "factor": 6.0, "original_max_position_embeddings": 16,
        "beta_fast": 3.0, "beta_slow": 0.5, "mscale": 0.8, "mscale_all_dim": 0.3, "truncate": False}},
    "qwen3-rope-llama3": {"rope_parameters": {
        "rope_type": "llama3", "rope_theta": THETA, "factor": 8.0, "low_freq_factor": 0.5, "high_freq_factor": 3.0,
        "original_max_position_embeddings": 24}},
    "qwen3-rope-dynamic": {"rope_theta": THETA, "rope_scaling": {"type": "dynamic", "factor": 3.0}},
    "qwen3-rope-longrope": {"rope_theta": THETA, "rope_scaling": {
        "rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG, "factor": 2.0,
        "original_max_position_embeddings": 16}},
}
RUNS = {"main": (2, 13), "single": (1, 31), "beyond": (1, 47), "further": (1, 90)}


def angles(config: dict, tokens: int) -> tuple[np.ndarray, float]:
    """Frequencies of the pairs for a sequence of that many tokens, and the factor of cosine and sine."""
    keys = config.get("rope_parameters") or config.get("rope_scaling") or {}
    theta = keys.get("rope_theta", config.get("rope_theta"))
    kind = keys.get("rope_type", keys.get("type", "default"))
    n = config["head_dim"]
    most = config["max_position_embeddings"]
    before = keys.get("original_max_position_embeddings", most)
    factor = keys.get("factor", most / before)
    index = np.arange(n // 2, dtype=np.float64)
    plain = theta ** (-2 * index / n)
    if kind == "default":
        return plain, 1.0
    if kind == "dynamic":
        grown = theta * (factor * max(tokens, most) / most - (factor - 1)) ** (n / (n - 2))
        return grown ** (-2 * index / n), 1.0
    if kind == "longrope":
        per_pair = np.array(keys["long_factor" if tokens > before else "short_factor"])
        return plain / per_pair, math.sqrt(1 + math.log(factor) / math.log(before))
    if kind == "llama3":
        turned = []
        for frequency in plain:
            turns = before * frequency / (2 * math.pi)  # in the length of training
            low, high = keys["low_freq_factor"], keys["high_freq_factor"]
            share = min(max((turns - low) / (high - low), 0.0), 1.0)
            turned.append(frequency * (share + (1 - share) / factor))
        return np.array(turned), 1.0
    assert kind == "yarn"

    def pair_of(turns: float) -> float:
        return n * math.log(before / (2 * math.pi * turns)) / (2 * math.log(theta))

    first, last = pair_of(keys.get("beta_fast", 32)), pair_of(keys.get("beta_slow", 1))
    if keys.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, n - 1)
    slow = np.clip((index - first) / (last - first), 0, 1)  # share of the interpolated ones
    log = 0.1 * math.log(factor)
    scale = (log * keys.get("mscale", 1) + 1) / (log * keys["mscale_all_dim"] + 1 if "mscale_all_dim" in keys else 1)
    return plain * (1 - slow) + plain / factor * slow, scale


class Qwen3:
    def __init__(self, config: dict, weights: dict[str, np.ndarray]) -> None:
        self.c, self.w = config, {name.removeprefix("model."): v.astype(np.float64) for name, v in weights.items()}

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.c["rms_norm_eps"]) * self.w[name + ".weight"]

    def heads(self, x: np.ndarray, layer: str, part: str, turn: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        """(heads, tokens, d)"""
        d = self.c["head_dim"]
        y = (x @ self.w[f"{layer}self_attn.{part}_proj.weight"].T).reshape(len(x), -1, d).transpose(1, 0, 2)
        if turn is None:
            return y
        y = self.norm(y, f"{layer}self_attn.{part}_norm")
        (cos, sin), (a, b) = turn, np.split(y, 2, axis=-1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    def layer(self, x: np.ndarray, layer: str, turn: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        n = self.norm(x, layer + "input_layernorm")
        q, k, v = self.heads(n, layer, "q", turn), self.heads(n, layer, "k", turn), self.heads(n, layer, "v", None)
        each = len(q) // len(k)
        scores = q @ k.repeat(each, 0).transpose(0, 2, 1) / math.sqrt(self.c["head_dim"])
        scores += np.triu(np.full(scores.shape[1:], -np.inf), 1)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        context = (p / p.sum(-1, keepdims=True)) @ v.repeat(each, 0)
        x = x + context.transpose(1, 0, 2).reshape(len(x), -1) @ self.w[layer + "self_attn.o_proj.weight"].T
        m = self.norm(x, layer + "post_attention_layernorm")
        gate = m @ self.w[layer + "mlp.gate_proj.weight"].T
        up = m @ self.w[layer + "mlp.up_proj.weight"].T
        return x + (gate / (1 + np.exp(-gate)) * up) @ self.w[layer + "mlp.down_proj.weight"].T

    def run(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """Of one sequence."""
        frequencies, scale = angles(self.c, len(ids))
        turned = np.arange(len(ids))[:, None] * frequencies
        turn = scale * np.cos(turned), scale * np.sin(turned)
        x = self.w["embed_tokens.weight"][ids]
        outputs = {"hidden_states.0": x}
        for i in range(self.c["num_hidden_layers"]):
            x = self.layer(x, f"layers.{i}.", turn)
            outputs[f"hidden_states.{i + 1}"] = x
        x = self.norm(x, "norm")
        outputs[f"hidden_states.{self.c['num_hidden_layers']}"] = outputs["last_hidden_state"] = x
        return outputs


def check_forward() -> None:
    """Against what is stored of Qwen3 without scaling."""
    stored = ROOT / "tests/golden/data/qwen3-embedding-v5config"
    config = json.loads((stored / "config.json").read_text(encoding="utf-8"))
    model = Qwen3(config, read(stored / "model.safetensors"))
    for run in (".single", ".max_len"):
        ids = read(stored / f"inputs{run}.safetensors")["input_ids"]
        expected = read(stored / f"outputs{run}.safetensors")["last_hidden_state"]
        got = np.stack([model.run(row)["last_hidden_state"] for row in ids])
        worst = float(np.abs(got - expected).max())
        assert worst < 2e-5, (run, worst)


def make_weights(random: np.random.Generator) -> dict[str, np.ndarray]:
    h, d, inner = SIZES["hidden_size"], SIZES["head_dim"], SIZES["intermediate_size"]
    q, kv = SIZES["num_attention_heads"] * d, SIZES["num_key_value_heads"] * d

    def normal(*shape: int, mean: float = 0.0) -> np.ndarray:
        return (mean + random.standard_normal(shape) * (0.2 if mean else 1.2 / math.sqrt(shape[-1]))).astype(np.float32)

    weights = {"embed_tokens.weight": normal(SIZES["vocab_size"], h) * 4, "norm.weight": normal(h, mean=1.0)}
    for i in range(SIZES["num_hidden_layers"]):
        a, m = f"layers.{i}.self_attn.", f"layers.{i}.mlp."
        weights |= {a + "q_proj.weight": normal(q, h), a + "k_proj.weight": normal(kv, h),
                    a + "v_proj.weight": normal(kv, h), a + "o_proj.weight": normal(h, q),
                    a + "q_norm.weight": normal(d, mean=1.0), a + "k_norm.weight": normal(d, mean=1.0),
                    m + "gate_proj.weight": normal(inner, h), m + "up_proj.weight": normal(inner, h),
                    m + "down_proj.weight": normal(h, inner),
                    f"layers.{i}.input_layernorm.weight": normal(h, mean=1.0),
                    f"layers.{i}.post_attention_layernorm.weight": normal(h, mean=1.0)}
    return weights


def write(folder: pathlib.Path, random: np.random.Generator, keys: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architectures": ["Qwen3Model"], "model_type": "qwen3", "hidden_act": "silu"} | SIZES | keys
    weights = make_weights(random)
    safetensors(folder / "model.safetensors", weights)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    model, runs = Qwen3(config, weights), []
    for name, shape in RUNS.items():
        suffix = "" if name == "main" else f".{name}"
        ids = random.integers(0, SIZES["vocab_size"], shape)
        rows = [model.run(row) for row in ids]
        safetensors(folder / f"inputs{suffix}.safetensors", {"input_ids": ids})
        keep = rows[0] if name == "main" else ["last_hidden_state"]
        safetensors(folder / f"outputs{suffix}.safetensors", {key: np.stack([row[key] for row in rows]) for key in keep})
        runs.append({"name": name, "inputs": f"inputs{suffix}.safetensors", "outputs": f"outputs{suffix}.safetensors",
                     "call": "scripts/make_rope_golden.py, float64"})
    case = {"name": folder.name, "description": "Qwen3Model whose rotary positions are scaled, computed by "
            "scripts/make_rope_golden.py in float64: not by transformers", "model_class": "Qwen3Model",
            "weights": "F32", "runs": runs}
    (folder / "case.json").write_text(json.dumps(case, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    check_forward()
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/golden/data"
    for seed, (name, keys) in enumerate(CASES.items()):
        write(folder / name, np.random.default_rng(20260100 + seed), keys)


if __name__ == "__main__":
    main()
