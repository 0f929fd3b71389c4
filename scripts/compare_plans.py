#!/usr/bin/env python3
"""Do two builds of the tool plan the same? Prints every op whose choice or blocks differ.

  scripts/compare_plans.py TOOL_BEFORE TOOL_AFTER

Shapes of BERT-base, MiniLM-L6 and ViT-B/16, at 16, 128 and 512 rows, every instruction set level
that this CPU has, one thread and two. The checkpoints are a header and a hole: planning reads
shapes alone. The last line counts; the exit status is 1 if any op differs, or if none was compared.
"""
import json
import struct
import subprocess
import sys
import tempfile
from math import prod
from pathlib import Path


def write(folder, config, tensors):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    header, end = {}, 0
    for name, shape in tensors:
        size = 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def linear(name, rows, cols):
    return [(name + ".weight", [rows, cols]), (name + ".bias", [rows])]


def norm(name, width):
    return [(name + ".weight", [width]), (name + ".bias", [width])]


def sizes(H, F, layers):
    return dict(hidden_size=H, intermediate_size=F, num_hidden_layers=layers,
                num_attention_heads=12, hidden_act="gelu")


def bert(folder, H, F, layers):
    tensors = [("embeddings.word_embeddings.weight", [30522, H]),
               ("embeddings.position_embeddings.weight", [512, H]),
               ("embeddings.token_type_embeddings.weight", [2, H])]
    tensors += norm("embeddings.LayerNorm", H) + linear("pooler.dense", H, H)
    for i in range(layers):
        at = f"encoder.layer.{i}."
        for part in ("query", "key", "value"):
            tensors += linear(at + "attention.self." + part, H, H)
        tensors += linear(at + "attention.output.dense", H, H)
        tensors += norm(at + "attention.output.LayerNorm", H)
        tensors += linear(at + "intermediate.dense", F, H) + linear(at + "output.dense", H, F)
        tensors += norm(at + "output.LayerNorm", H)
    write(folder, dict(model_type="bert", architectures=["BertModel"], vocab_size=30522,
                       max_position_embeddings=512, type_vocab_size=2, **sizes(H, F, layers)),
          tensors)


def vit(folder, H, F, layers):
    tensors = [("embeddings.cls_token", [1, 1, H]),
               ("embeddings.position_embeddings", [1, 197, H]),
               ("embeddings.patch_embeddings.projection.weight", [H, 3, 16, 16]),
               ("embeddings.patch_embeddings.projection.bias", [H])]
    tensors += norm("layernorm", H) + linear("pooler.dense", H, H)
    for i in range(layers):
        at = f"encoder.layer.{i}."
        for part in ("query", "key", "value"):
            tensors += linear(at + "attention.attention." + part, H, H)
        tensors += linear(at + "attention.output.dense", H, H)
        tensors += linear(at + "intermediate.dense", F, H) + linear(at + "output.dense", H, F)
        tensors += norm(at + "layernorm_before", H) + norm(at + "layernorm_after", H)
    write(folder, dict(model_type="vit", architectures=["ViTModel"], image_size=224,
                       patch_size=16, num_channels=3, **sizes(H, F, layers)), tensors)


def plan(tool, folder, rows, isa, threads):
    """The ops, or None where the tool refuses."""
    done = subprocess.run([tool, "plan", folder, "--rows", str(rows), "--isa", isa, "--threads",
                           str(threads), "--json", "--no-measure"], capture_output=True, text=True)
    return json.loads(done.stdout)["ops"] if done.returncode == 0 else None


def main():
    if len(sys.argv) != 3:
        sys.exit(f"got {len(sys.argv) - 1} arguments, expected TOOL_BEFORE TOOL_AFTER")
    compared = different = 0
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        bert(work / "BERT-base", 768, 3072, 12)
        bert(work / "MiniLM-L6", 384, 1536, 6)
        vit(work / "ViT-B-16", 768, 3072, 12)
        for folder in sorted(work.iterdir()):
            for rows in (16, 128, 512):
                for isa in ("baseline", "avx2", "avx512"):
                    for threads in (1, 2):
                        before, after = (plan(tool, folder, rows, isa, threads)
                                         for tool in sys.argv[1:])
                        if before is None and after is None:
                            continue  # this CPU has no such level
                        where = f"{folder.name}, {rows} rows, {isa}, {threads} threads"
                        if before is None or after is None or len(before) != len(after):
                            sys.exit(f"{where}: not the same ops")
                        for old, new in zip(before, after):
                            compared += 1
                            was, now = ([op["chosen"][key] for key in ("name", "blocks")]
                                        for op in (old, new))
                            if was != now:
                                different += 1
                                print(f"{where}: {old['name']}: {was} -> {now}")
    print(f"{compared} ops compared, {different} differ")
    sys.exit(different > 0 or compared == 0)


if __name__ == "__main__":
    main()
