#!/usr/bin/env python3
"""Makes tests/data/torch: small checkpoints as PyTorch writes them, in both of its forms.

    /usr/bin/python3 scripts/make_torch_files.py [OUT]      Debian's python3-torch (1.13)

tests/runtime/weights/torch_file_test.cpp has the numbers that each file must give. The keys of the
legacy form are addresses: that file differs from run to run in them alone.
"""
import collections
import pathlib
import sys
import zipfile

import torch


def state_dict():
    """An OrderedDict with _metadata, as Module.state_dict() returns it, with a tensor of each kind."""
    tensors = torch.nn.Linear(3, 2).state_dict()
    tensors["weight"] = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    tensors["bias"] = torch.tensor([0.5, -1.5])
    tensors["tied"] = tensors["weight"]
    tensors["row"] = tensors["weight"][1]
    tensors["transposed"] = tensors["weight"].t()
    tensors["tied_transposed"] = tensors["transposed"]
    tensors["half"] = torch.tensor([1.0, -2.0, 0.25], dtype=torch.float16)
    tensors["bfloat16"] = torch.tensor([1.0, -2.0, 0.25], dtype=torch.bfloat16)
    tensors["double"] = torch.tensor([0.1], dtype=torch.float64)
    tensors["long"] = torch.arange(4).expand((1, -1))
    tensors["int"] = torch.tensor([[7]], dtype=torch.int32)
    tensors["byte"] = torch.tensor([200], dtype=torch.uint8)
    tensors["bool"] = torch.tensor([True, False])
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 3)
    tensors["expanded"] = torch.tensor([4.0]).expand(3)
    tensors["parameter"] = torch.nn.Parameter(torch.tensor([8.0, 9.0]))
    return tensors


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    tensors = state_dict()
    torch.save(tensors, out / "zip.bin")
    torch.save(tensors, out / "legacy.bin", _use_new_zipfile_serialization=False)
    plain = {"w": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "step": 70000}
    torch.save(plain, out / "dict.bin")
    torch.save(plain, out / "dict_legacy.bin", _use_new_zipfile_serialization=False)
    extras = {"epoch": 3, "loss": 0.5, "note": "text", "nothing": None, "done": True, "large": 1 << 70,
              "negative": -70000, "shape": plain["w"].shape, "list": [1, [2, (3, 4, 5, 6)]],
              "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}
    torch.save({"state_dict": collections.OrderedDict(plain), **extras}, out / "wrapped.pt")
    script = torch.jit.script(torch.nn.Linear(1, 1))
    torch.jit.save(script, str(out / "torchscript.pt"))
    torch.save(torch.nn.Linear(1, 1), out / "whole_model.pt")
    torch.save(plain, out / "protocol4.bin", pickle_protocol=4)
    with zipfile.ZipFile(out / "dict.bin") as stored, \
            zipfile.ZipFile(out / "compressed.bin", "w", zipfile.ZIP_DEFLATED) as packed, \
            zipfile.ZipFile(out / "rezipped.bin", "w") as again, \
            zipfile.ZipFile(out / "big_endian.bin", "w") as big:
        for name in stored.namelist():
            for archive in packed, again, big:
                member = zipfile.ZipInfo(name)  # of 1980
                member.compress_type = archive.compression
                archive.writestr(member, stored.read(name))
        big.writestr(zipfile.ZipInfo("dict/byteorder"), "big")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1
         else pathlib.Path(__file__).parent.parent / "tests/data/torch")
