#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A model's directory with its weights as PyTorch writes them, without PyTorch.

    to_torch.py MODEL TO [--legacy]

TO becomes a copy of MODEL whose model.safetensors is a pytorch_model.bin: a zip file, or with
--legacy the form of before PyTorch 1.6. Square matrices lie transposed in their storage: a reader
has to gather them.
"""
import collections
import io
import json
import os
import pickle
import shutil
import sys
import types
import zipfile

torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")
CLASSES = {"F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage"}
for name in CLASSES.values():
    setattr(torch, name, type(name, (), {"__module__": "torch"}))


def _rebuild_tensor_v2():
    pass


_rebuild_tensor_v2.__module__ = "torch._utils"
utils._rebuild_tensor_v2 = _rebuild_tensor_v2
torch._utils = utils
sys.modules.update({"torch": torch, "torch._utils": utils})


class Storage:
    def __init__(self, key, dtype, data):
        self.key, self.dtype, self.data = key, dtype, data
        self.elements = len(data) // (4 if dtype == "F32" else 2)


class Tensor:
    def __init__(self, storage, shape, stride):
        self.arguments = (storage, 0, tuple(shape), tuple(stride), False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


def pickled(value, legacy):
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            if not isinstance(obj, Storage):
                return None
            place = ("storage", getattr(torch, CLASSES[obj.dtype]), obj.key, "cpu", obj.elements)
            return place + (None,) if legacy else place

    out = io.BytesIO()
    Pickler(out, protocol=2).dump(value)
    return out.getvalue()


def transposed(data, rows, cols, size):
    column = [data[i * size:(i + 1) * size] for i in range(rows * cols)]
    return b"".join(column[r * cols + c] for c in range(cols) for r in range(rows))


def main():
    source, to = sys.argv[1:3]
    legacy = "--legacy" in sys.argv
    shutil.copytree(source, to)
    weights = os.path.join(to, "model.safetensors")
    with open(weights, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        begin = file.tell()
        storages, state = [], collections.OrderedDict()
        for name, facts in header.items():
            if name == "__metadata__":
                continue
            first, end = facts["data_offsets"]
            file.seek(begin + first)
            data, shape = file.read(end - first), facts["shape"]
            stride = [1] * len(shape)
            for k in reversed(range(len(shape) - 1)):
                stride[k] = stride[k + 1] * shape[k + 1]
            if len(shape) == 2 and shape[0] == shape[1]:
                data = transposed(data, *shape, len(data) // (shape[0] * shape[1]))
                stride = [1, shape[0]]
            storages.append(Storage(str(len(storages)), facts["dtype"], data))
            state[name] = Tensor(storages[-1], shape, stride)
    os.remove(weights)
    path = os.path.join(to, "pytorch_model.bin")
    if not legacy:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
            file.writestr("archive/data.pkl", pickled(state, legacy))
            for storage in storages:
                file.writestr("archive/data/" + storage.key, storage.data)
        return
    with open(path, "wb") as file:
        for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, state,
                      [storage.key for storage in storages]):
            file.write(pickled(value, legacy))
        for storage in storages:
            file.write(storage.elements.to_bytes(8, "little"))
            file.write(storage.data)


main()
