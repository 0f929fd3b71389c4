#!/usr/bin/python3
"""Writes tests/golden/data/tinyclip-full: a case that ../shared/conformance lacks.

    scripts/make_tinyclip_golden.py [DIRECTORY]

CLIPModel in the proportions of TinyCLIP (Wu et al. 2023): towers of unequal width and depth, heads of 64 columns (one
in the text tower), a projection that is as wide as neither, GELU; a text that is pooled at the first eos_token_id. In
NumPy and float64 with the formulas of transformers v4.57 modeling_clip.py. Weights are random numbers that f32
represents exactly. Nothing of Tessera is used.
"""
import json
import math
import pathlib
import sys

import numpy as np
from make_dinov2_golden import safetensors

TEXT = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1, "intermediate_size": 96}
VISION = {"hidden_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 72}
VOCAB, POSITIONS, EOS, PROJECTION, IMAGE, PATCH, EPS = 60, 12, 59, 80, 24, 8, 1e-5


def make_weights(random: np.random.Generator) -> dict[str, np.ndarray]:
    weights: dict[str, np.ndarray] = {"logit_scale": np.array(math.log(9), np.float32)}

    def normal(name: str, *shape: int, scale: float, mean: float = 0.0) -> None:
        weights[name] = (mean + scale * random.standard_normal(shape)).astype(np.float32)

    def linear(name: str, out: int, width: int) -> None:
        normal(name + ".weight", out, width, scale=width**-0.5)
        normal(name + ".bias", out, scale=0.1)

    def norm(name: str, width: int) -> None:
        normal(name + ".weight", width, scale=0.2, mean=1.0)
        normal(name + ".bias", width, scale=0.1)

    for tower, sizes in (("text_model.", TEXT), ("vision_model.", VISION)):
        width = sizes["hidden_size"]
        for i in range(sizes["num_hidden_layers"]):
            layer = f"{tower}encoder.layers.{i}."
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                linear(layer + "self_attn." + part, width, width)
            norm(layer + "layer_norm1", width)
            norm(layer + "layer_norm2", width)
            linear(layer + "mlp.fc1", sizes["intermediate_size"], width)
            linear(layer + "mlp.fc2", width, sizes["intermediate_size"])
    text, vision = TEXT["hidden_size"], VISION["hidden_size"]
    normal("text_model.embeddings.token_embedding.weight", VOCAB, text, scale=0.7)
    normal("text_model.embeddings.position_embedding.weight", POSITIONS, text, scale=0.5)
    norm("text_model.final_layer_norm", text)
    normal("vision_model.embeddings.class_embedding", vision, scale=0.5)
    normal("vision_model.embeddings.patch_embedding.weight", vision, 3, PATCH, PATCH, scale=(3 * PATCH * PATCH) ** -0.5)
    normal("vision_model.embeddings.position_embedding.weight", 1 + (IMAGE // PATCH) ** 2, vision, scale=0.5)
    norm("vision_model.pre_layrnorm", vision)
    norm("vision_model.post_layernorm", vision)
    normal("text_projection.weight", PROJECTION, text, scale=text**-0.5)
    normal("visual_projection.weight", PROJECTION, vision, scale=vision**-0.5)
    return weights


class Model:
    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.w = {name: values.astype(np.float64) for name, values in weights.items()}

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
        return y * self.w[name + ".weight"] + self.w[name + ".bias"]

    def layers(self, x: np.ndarray, tower: str, sizes: dict, mask: np.ndarray) -> list[np.ndarray]:
        batch, tokens, width = x.shape
        states = [x]
        for i in range(sizes["num_hidden_layers"]):
            layer = f"{tower}encoder.layers.{i}."
            normed = self.norm(x, layer + "layer_norm1")
            q, k, v = (self.linear(normed, layer + "self_attn." + part)
                       .reshape(batch, tokens, sizes["num_attention_heads"], -1).transpose(0, 2, 1, 3)
                       for part in ("q_proj", "k_proj", "v_proj"))
            scores = np.where(mask, q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1]), -np.inf)
            p = np.exp(scores - scores.max(-1, keepdims=True))
            context = ((p / p.sum(-1, keepdims=True)) @ v).transpose(0, 2, 1, 3).reshape(batch, tokens, width)
            x = x + self.linear(context, layer + "self_attn.out_proj")
            inner = self.linear(self.norm(x, layer + "layer_norm2"), layer + "mlp.fc1")
            gelu = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
            x = x + self.linear(gelu, layer + "mlp.fc2")
            states.append(x)
        return states

    def text(self, ids: np.ndarray, attended: np.ndarray) -> dict[str, np.ndarray]:
        tokens = ids.shape[1]
        e = "text_model.embeddings."
        x = self.w[e + "token_embedding.weight"][ids] + self.w[e + "position_embedding.weight"][:tokens]
        mask = np.tril(np.ones((tokens, tokens), bool)) & (attended[:, None, None, :] == 1)
        states = self.layers(x, "text_model.", TEXT, mask)
        last = self.norm(states[-1], "text_model.final_layer_norm")
        pooled = last[np.arange(len(ids)), (ids == EOS).argmax(1)]
        return {"hidden_states": states, "last_hidden_state": last, "pooler_output": pooled}

    def vision(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        e = "vision_model.embeddings."
        batch, grid = len(pixels), IMAGE // PATCH
        patches = pixels.astype(np.float64).reshape(batch, 3, grid, PATCH, grid, PATCH).transpose(0, 2, 4, 1, 3, 5)
        kernel = self.w[e + "patch_embedding.weight"].reshape(VISION["hidden_size"], -1)
        x = patches.reshape(batch, grid * grid, -1) @ kernel.T
        first = np.broadcast_to(self.w[e + "class_embedding"], (batch, 1, VISION["hidden_size"]))
        x = np.concatenate([first, x], axis=1) + self.w[e + "position_embedding.weight"]
        states = self.layers(self.norm(x, "vision_model.pre_layrnorm"), "vision_model.", VISION, np.array(True))
        pooled = self.norm(states[-1][:, 0], "vision_model.post_layernorm")
        return {"hidden_states": states, "last_hidden_state": states[-1], "pooler_output": pooled}

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        text = self.text(inputs["input_ids"], inputs["attention_mask"])
        vision = self.vision(inputs["pixel_values"])
        outputs: dict[str, np.ndarray] = {}
        embeds = {}
        for prefix, tower, name, projection in (("text_model_output.", text, "text_embeds", "text_projection.weight"),
                                                ("vision_model_output.", vision, "image_embeds", "visual_projection.weight")):
            for i, state in enumerate(tower["hidden_states"]):
                outputs[f"{prefix}hidden_states.{i}"] = state
            outputs[prefix + "last_hidden_state"] = tower["last_hidden_state"]
            outputs[prefix + "pooler_output"] = tower["pooler_output"]
            projected = tower["pooler_output"] @ self.w[projection].T
            embeds[name] = outputs[name] = projected / np.linalg.norm(projected, axis=-1, keepdims=True)
        logits = np.exp(self.w["logit_scale"]) * embeds["text_embeds"] @ embeds["image_embeds"].T
        outputs["logits_per_text"], outputs["logits_per_image"] = logits, np.ascontiguousarray(logits.T)
        return outputs


def main(arguments: list[str]) -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    directory = pathlib.Path(arguments[0]) if arguments else root / "tests/golden/data/tinyclip-full"
    directory.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20251130)
    weights = make_weights(random)
    safetensors(directory / "model.safetensors", weights)
    # The keys of the published files that change nothing are among them: *_dict, and projection_dim of a tower.
    config = {
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": PROJECTION, "logit_scale_init_value": 2.6592,
        "text_config": {**TEXT, "model_type": "clip_text_model", "hidden_act": "gelu", "vocab_size": VOCAB,
                        "max_position_embeddings": POSITIONS, "eos_token_id": EOS, "bos_token_id": EOS - 1, "projection_dim": 512},
        "text_config_dict": None,
        "vision_config": {**VISION, "model_type": "clip_vision_model", "hidden_act": "gelu", "image_size": IMAGE,
                          "patch_size": PATCH, "projection_dim": 512},
        "vision_config_dict": None,
    }
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    ids = random.integers(0, EOS - 1, (3, 10))
    ids[:, 0] = EOS - 1
    mask = np.ones_like(ids)
    for row, end in enumerate((9, 4, 6)):
        ids[row, end:] = EOS  # the padding of CLIP's tokenizer
        mask[row, end + 1:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask,
              "pixel_values": random.standard_normal((2, 3, IMAGE, IMAGE)).astype(np.float32)}
    safetensors(directory / "inputs.safetensors", inputs)
    safetensors(directory / "outputs.safetensors", Model(weights).run(inputs))
    case = {"name": directory.name, "description": "TinyCLIP's proportions: towers of unequal width and depth, one head of text, "
            "projection as wide as neither, GELU; computed by scripts/make_tinyclip_golden.py in float64: not by transformers",
            "model_class": "CLIPModel", "weights": "F32",
            "runs": [{"name": "main", "inputs": "inputs.safetensors", "outputs": "outputs.safetensors",
                      "call": "scripts/make_tinyclip_golden.py, float64"}]}
    (directory / "case.json").write_text(json.dumps(case, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
