#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""As make_onnx.py, of a BertModel for batches of texts that are padded: attention_mask (B,T) int64 is an
input, and weights may be stored as F16.

    make_masked_onnx.py DIRECTORY MODEL.onnx
"""

import json
import pathlib
import struct
import sys

import numpy as np
import onnx
from make_onnx import FUSED, Graph, bert
from onnx import TensorProto, helper


def read_floats(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, info in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in info["data_offsets"])
            kind = {"F32": "<f4", "F16": "<f2"}[info["dtype"]]
            tensors[name] = (
                np.frombuffer(data[begin:end], kind).reshape(info["shape"]).astype("<f4")
            )
    return tensors


class MaskedGraph(Graph):
    """Every Attention reads the mask, as int32."""

    def attention(self, x, tensors):
        if not hasattr(self, "mask"):
            self.mask = self.node("Cast", ["attention_mask"], to=TensorProto.INT32)
        result = super().attention(x, tensors)
        self.nodes[-1].input.append(self.mask)
        assert self.nodes[-1].domain == FUSED
        return result


def main(directory, out):
    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text())
    graph = MaskedGraph(read_floats(directory / "model.safetensors"), config)
    _, ids = bert(graph)
    graph.nodes[-1].output[0] = "last_hidden_state"
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"])
    hidden = helper.make_tensor_value_info(
        "last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", config["hidden_size"]]
    )
    constants = list(graph.initializers.values())
    model = helper.make_model(
        helper.make_graph(graph.nodes, "encoder", [ids, mask], [hidden], constants),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)],
    )
    model.ir_version = 8
    onnx.save(model, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
