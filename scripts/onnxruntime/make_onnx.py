#!/usr/bin/env python3
"""Writes the ONNX model of a checkpoint directory (BertModel, ModernBertModel or ViTModel), for ONNX Runtime.

    make_onnx.py DIRECTORY MODEL.onnx

The graph is what ONNX Runtime's own transformer optimizer makes of an exported model: its fused
Attention (one product for Q, K and V), SkipLayerNormalization and BiasGelu, and for rotary models
RotaryEmbedding and MultiHeadAttention, so that the opponent runs at its best: its CPU kernels have
windows for causal models alone, so those of ModernBERT are a mask. Inputs: input_ids (B,T) int64, or pixel_values (B,C,H,W) float; output:
last_hidden_state (B,T,hidden).
"""

import json
import pathlib
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FUSED = "com.microsoft"


def read_safetensors(path):
    data = np.memmap(path, dtype=np.uint8, mode="r")
    (length,) = struct.unpack("<Q", data[:8].tobytes())
    header = json.loads(data[8 : 8 + length].tobytes())
    tensors = {}
    for name, info in header.items():
        if name == "__metadata__":
            continue
        if info["dtype"] != "F32":
            raise SystemExit(f"{path}: {name} is {info['dtype']}, expected F32")
        begin, end = (8 + length + offset for offset in info["data_offsets"])
        tensors[name] = data[begin:end].view(np.float32).reshape(info["shape"])
    return tensors


class Graph:
    def __init__(self, tensors, config):
        self.tensors, self.config = tensors, config
        self.nodes, self.initializers, self.counter = [], {}, 0
        self.eps = config.get("layer_norm_eps", config.get("norm_eps"))
        if self.eps is None:
            self.eps = 1e-5 if config["model_type"] == "modernbert" else 1e-12
        self.heads = config["num_attention_heads"]

    def constant(self, name, values):
        values = np.ascontiguousarray(values)
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(values, name)
        return name

    def node(self, op, inputs, outputs=1, domain="", **attributes):
        self.counter += 1
        while not inputs[-1]:  # optional ones
            inputs = inputs[:-1]
        names = [f"{op.lower()}_{self.counter}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, tensor):  # (N,K) -> (K,N)
        return self.constant(tensor + ".weight.t", self.tensors[tensor + ".weight"].T)

    def vector(self, name):
        return self.constant(name, self.tensors[name])

    def matmul(self, x, tensor):
        return self.node("MatMul", [x, self.weight(tensor)])

    def optional(self, name):
        return self.vector(name) if name in self.tensors else ""

    def norm(self, x, tensor):
        scale, shift = self.vector(tensor + ".weight"), self.optional(tensor + ".bias")
        return self.node("LayerNormalization", [x, scale, shift], axis=-1, epsilon=self.eps)

    def skip_norm(self, x, skip, norm, bias, with_sum=False):
        """LayerNorm(x + skip + bias), and the sum itself."""
        inputs = [x, skip, self.vector(norm + ".weight"), self.optional(norm + ".bias"),
                  self.optional(bias + ".bias")]
        names = self.node("SkipLayerNormalization", inputs, 4, FUSED, epsilon=self.eps)
        for unused in (1, 2) if with_sum else (1, 2, 3):
            self.nodes[-1].output[unused] = ""
        while not self.nodes[-1].output[-1]:
            self.nodes[-1].output.pop()
        return (names[0], names[3]) if with_sum else names[0]

    def attention(self, x, tensors):
        weight = np.concatenate([self.tensors[t + ".weight"].T for t in tensors], axis=1)
        bias = np.concatenate([self.tensors[t + ".bias"] for t in tensors])
        inputs = [x, self.constant(tensors[0] + ".qkv", weight),
                  self.constant(tensors[0] + ".qkv.bias", bias)]
        return self.node("Attention", inputs, domain=FUSED, num_heads=self.heads)

    def feed_forward(self, x, tensor):
        return self.node("BiasGelu", [self.matmul(x, tensor), self.vector(tensor + ".bias")],
                         domain=FUSED)


def bert(graph):
    config, t = graph.config, graph.tensors
    words = graph.node("Gather", [graph.vector("embeddings.word_embeddings.weight"), "input_ids"])
    # position p and type 0 of a row are constants of its place: one table of (1,T,hidden)
    table = t["embeddings.position_embeddings.weight"] + t["embeddings.token_type_embeddings.weight"][0]
    length = graph.node("Slice", [graph.node("Shape", ["input_ids"]),
                                  graph.constant("one", np.array([1])),
                                  graph.constant("two", np.array([2]))])
    places = graph.node("Slice", [graph.constant("places", table[None]),
                                  graph.constant("zero", np.array([0])), length,
                                  graph.constant("axis", np.array([1]))])
    x = graph.norm(graph.node("Add", [words, places]), "embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        parts = [layer + "attention.self." + part for part in ("query", "key", "value")]
        context = graph.attention(x, parts)
        dense = layer + "attention.output.dense"
        x = graph.skip_norm(graph.matmul(context, dense), x, layer + "attention.output.LayerNorm",
                            dense)
        wide = graph.feed_forward(x, layer + "intermediate.dense")
        dense = layer + "output.dense"
        x = graph.skip_norm(graph.matmul(wide, dense), x, layer + "output.LayerNorm", dense)
    return x, helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])


def window_mask(graph, reach):
    """(1,1,T,T): 0 up to `reach` tokens to either side, the lowest number beyond."""
    zero, one = graph.constant("scalar.0", np.array(0)), graph.constant("scalar.1", np.array(1))
    length = graph.node("Gather", [graph.node("Shape", ["input_ids"]), one])
    places = graph.node("Range", [zero, length, one])
    down = graph.node("Unsqueeze", [places, graph.constant("axis.1", np.array([1]))])
    distance = graph.node("Abs", [graph.node("Sub", [down, places])])
    hidden = graph.node("Greater", [distance, graph.constant("reach", np.array(reach))])
    mask = graph.node("Where", [hidden, graph.constant("lowest", np.float32(np.finfo(np.float32).min)),
                                graph.constant("float.0", np.float32(0))])
    return graph.node("Unsqueeze", [mask, graph.constant("axes.01", np.array([0, 1]))])


def modernbert(graph):
    config = graph.config
    head_dim = config["hidden_size"] // graph.heads
    places = np.arange(config["max_position_embeddings"], dtype=np.float32)[:, None]
    zero = graph.constant("position.0", np.array([0]))

    def turned(x, theta):
        angles = places / np.float32(theta) ** (np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)
        cos = graph.constant(f"cos.{theta}", np.cos(angles))
        sin = graph.constant(f"sin.{theta}", np.sin(angles))
        return graph.node("RotaryEmbedding", [x, zero, cos, sin], domain=FUSED, num_heads=graph.heads)

    mask = window_mask(graph, config.get("local_attention", 128) // 2)
    words = graph.node("Gather", [graph.vector("embeddings.tok_embeddings.weight"), "input_ids"])
    x = normed = graph.norm(words, "embeddings.norm")
    layers, period = config["num_hidden_layers"], config.get("global_attn_every_n_layers", 3)
    for i in range(layers):
        layer = f"layers.{i}."
        is_local = i % period != 0
        theta = config.get("local_rope_theta", 10000.0) if is_local else config.get("global_rope_theta", 160000.0)
        q, k, v = graph.node("Split", [graph.matmul(normed, layer + "attn.Wqkv")], 3, axis=-1)
        heads = [turned(q, theta), turned(k, theta), v] + (["", "", mask] if is_local else [])
        context = graph.node("MultiHeadAttention", heads, domain=FUSED, num_heads=graph.heads)
        normed, x = graph.skip_norm(graph.matmul(context, layer + "attn.Wo"), x, layer + "mlp_norm",
                                    layer + "attn.Wo", with_sum=True)
        wide, gate = graph.node("Split", [graph.matmul(normed, layer + "mlp.Wi")], 2, axis=-1)
        active = graph.node("Mul", [graph.node("Gelu", [wide], domain=FUSED), gate])
        after = f"layers.{i + 1}.attn_norm" if i + 1 < layers else "final_norm"
        normed, x = graph.skip_norm(graph.matmul(active, layer + "mlp.Wo"), x, after, layer + "mlp.Wo",
                                    with_sum=True)
    return normed, helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])


def vit(graph):
    config, t = graph.config, graph.tensors
    H, P, C = config["hidden_size"], config["patch_size"], config.get("num_channels", 3)
    projection = "embeddings.patch_embeddings.projection"
    grid = graph.node("Conv", ["pixel_values", graph.vector(projection + ".weight"),
                               graph.vector(projection + ".bias")],
                      kernel_shape=[P, P], strides=[P, P])
    flat = graph.node("Reshape", [grid, graph.constant("flat", np.array([0, H, -1]))])
    patches = graph.node("Transpose", [flat], perm=[0, 2, 1])
    batch = graph.node("Slice", [graph.node("Shape", ["pixel_values"]),
                                 graph.constant("zero", np.array([0])),
                                 graph.constant("one", np.array([1]))])
    shape = graph.node("Concat", [batch, graph.constant("rest", np.array([1, H]))], axis=0)
    cls = graph.node("Expand", [graph.vector("embeddings.cls_token"), shape])
    x = graph.node("Add", [graph.node("Concat", [cls, patches], axis=1),
                           graph.vector("embeddings.position_embeddings")])
    normed = graph.norm(x, "encoder.layer.0.layernorm_before")
    layers = config["num_hidden_layers"]
    for i in range(layers):
        layer = f"encoder.layer.{i}."
        parts = [layer + "attention.attention." + part for part in ("query", "key", "value")]
        dense = layer + "attention.output.dense"
        normed, x = graph.skip_norm(graph.matmul(graph.attention(normed, parts), dense), x,
                                    layer + "layernorm_after", dense, with_sum=True)
        wide = graph.feed_forward(normed, layer + "intermediate.dense")
        dense = layer + "output.dense"
        after = f"encoder.layer.{i + 1}.layernorm_before" if i + 1 < layers else "layernorm"
        normed, x = graph.skip_norm(graph.matmul(wide, dense), x, after, dense, with_sum=True)
    size = config["image_size"]
    return normed, helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT,
                                                 ["batch", C, size, size])


def main(directory, out):
    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text())
    graph = Graph(read_safetensors(directory / "model.safetensors"), config)
    build = {"bert": bert, "modernbert": modernbert, "vit": vit}[config["model_type"]]
    result, given = build(graph)
    graph.nodes[-1].output[0] = "last_hidden_state"
    assert result
    hidden = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph(graph.nodes, "encoder", [given], [hidden], list(graph.initializers.values())),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)])
    model.ir_version = 8
    onnx.save(model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
