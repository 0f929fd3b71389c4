"""safetensors files as NumPy arrays, for the scripts: reading, and writing."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int8": "I8",
    "uint8": "U8", "bool": "BOOL",
}


def write_safetensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    """Writes tensors, the widest types first, so that each is aligned; names sorted within a type."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"} if metadata is None else metadata}
    offset = 0
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    for name in order:
        tensor = tensors[name]
        spans = [offset, offset + tensor.nbytes]
        header[name] = {"dtype": TYPES[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": spans}
        offset += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(tensors[name].tobytes() for name in order))


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file, in the types they are stored in."""
    data = path.read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    kinds = {value: key for key, value in TYPES.items()}
    result = {}
    for name, entry in json.loads(data[8:begin]).items():
        if name != "__metadata__":
            first, last = (begin + at for at in entry["data_offsets"])
            result[name] = np.frombuffer(data[first:last], kinds[entry["dtype"]]).reshape(entry["shape"])
    return result
