#!/usr/bin/env python3
"""Dynamic int8 of a BERT model of make_onnx.py, as ONNX Runtime's quantize_dynamic writes it.

    quantize_onnx.py MODEL.onnx QUANTISED.onnx [--per-channel] [--separate]

Same nodes, same numbers as quantize_dynamic(weight_type=QInt8, op_types_to_quantize=["MatMul", "Attention"],
per_channel=...), which is not in the npm package: activations go through DynamicQuantizeLinear (u8, a scale and a
zero point of the whole tensor), weights are symmetric s8 in -127...127 with scale max |w| / 127 of the tensor or of
each column; a MatMul becomes MatMulInteger, Cast and Mul, an Attention becomes QAttention, whose product for Q, K
and V is of integers and whose attention stays float. --separate has MatMulInteger for Q, K and V, and
MultiHeadAttention behind it. Embeddings stay float, which quantize_dynamic's default would make s8 too.
"""

import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FUSED = "com.microsoft"


def rounded(weight, per_channel):
    """s8 values of a weight (K,N), scale and zero point: scalars, or of each column."""
    most = np.abs(weight).max(axis=0 if per_channel else None).astype(np.float32)
    scale = np.where(most > 0, most / np.float32(127), np.float32(1)).astype(np.float32)
    values = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
    return values, scale, np.zeros_like(scale, dtype=np.int8)


class Quantiser:
    def __init__(self, model, per_channel, separate):
        self.graph, self.per_channel, self.separate = model.graph, per_channel, separate
        self.weights = {w.name: w for w in model.graph.initializer}
        self.added, self.gone, self.nodes, self.narrowed = [], set(), [], {}

    def constant(self, name, values):
        self.added.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op, inputs, outputs, domain="", **attributes):
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return outputs

    def narrow(self, x):
        """x as u8, its scale and its zero point."""
        if x not in self.narrowed:
            names = [x + ".u8", x + ".scale", x + ".zero"]
            self.narrowed[x] = self.node("DynamicQuantizeLinear", [x], names)
        return self.narrowed[x]

    def weight(self, name):
        self.gone.add(name)
        parts = rounded(numpy_helper.to_array(self.weights[name]), self.per_channel)
        return [self.constant(name + end, part) for end, part in zip((".s8", ".scale", ".zero"), parts)]

    def product(self, x, weight, out):
        a, a_scale, a_zero = self.narrow(x)
        b, b_scale, b_zero = self.weight(weight)
        (sums,) = self.node("MatMulInteger", [a, b, a_zero, b_zero], [out + ".s32"])
        (wide,) = self.node("Cast", [sums], [out + ".wide"], to=TensorProto.FLOAT)
        (scale,) = self.node("Mul", [a_scale, b_scale], [out + ".scales"])
        self.node("Mul", [wide, scale], [out])

    def attention(self, node):
        x, weight, bias = node.input[:3]
        heads = next(a.i for a in node.attribute if a.name == "num_heads")
        if not self.separate:
            a, a_scale, a_zero = self.narrow(x)
            b, b_scale, b_zero = self.weight(weight)
            inputs = [a, b, bias, a_scale, b_scale, "", a_zero, b_zero]
            self.node("QAttention", inputs, [node.output[0]], FUSED, num_heads=heads, unidirectional=0)
            return
        out = node.output[0]
        self.product(x, weight, out + ".qkv")
        (sum_,) = self.node("Add", [out + ".qkv", bias], [out + ".qkv.sum"])
        parts = self.node("Split", [sum_], [out + part for part in (".q", ".k", ".v")], axis=-1)
        self.node("MultiHeadAttention", parts, [out], FUSED, num_heads=heads)

    def run(self):
        for node in list(self.graph.node):
            if node.op_type == "MatMul" and node.input[1] in self.weights:
                self.product(node.input[0], node.input[1], node.output[0])
            elif node.op_type == "Attention":
                self.attention(node)
            else:
                self.nodes.append(node)
        kept = [w for name, w in self.weights.items() if name not in self.gone]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(kept + self.added)


def main(source, out, per_channel=False, separate=False):
    model = onnx.load(source)
    Quantiser(model, per_channel, separate).run()
    onnx.save(model, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--per-channel", action="store_true")
    parser.add_argument("--separate", action="store_true")
    main(**vars(parser.parse_args()))
