#!/usr/bin/env python3
"""Tessera beside ONNX Runtime, one thread each, in alternating processes.

    compare.py --package DIR --work DIR [--rounds N] [--only TEXT] [--markdown FILE]

For every cell: the same checkpoint of random weights and the same inputs go through both; the
outputs must agree; then the two take turns, and the ratio is the median over the turns of
(ONNX Runtime's median) / (Tessera's median). scripts/compare_onnxruntime.sh prepares what this needs.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TESSERA = ROOT / "build/release/tessera/tessera"
sys.path.insert(0, str(HERE))
import make_onnx  # noqa: E402

# name of random_checkpoint, batch, tokens or image size, runs a turn
CELLS = [
    ("BERT-base", 1, 16, 40), ("BERT-base", 1, 128, 15), ("BERT-base", 1, 512, 5),
    ("BERT-base", 8, 128, 3),
    ("MiniLM-L6-384", 1, 16, 200), ("MiniLM-L6-384", 1, 128, 60), ("MiniLM-L6-384", 1, 512, 15),
    ("MiniLM-L6-384", 8, 128, 10),
    ("ModernBERT-base", 1, 128, 10), ("ModernBERT-base", 1, 512, 5), ("ModernBERT-base", 1, 2048, 1),
    ("ModernBERT-base", 1, 8192, 1),
]


def write_safetensors(path, name, values):
    kind = {"int32": "I32", "int64": "I64", "float32": "F32"}[str(values.dtype)]
    header = json.dumps({name: {"dtype": kind, "shape": list(values.shape),
                                "data_offsets": [0, values.nbytes]}}).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())


def inputs(is_image, batch, size):
    if not is_image:
        return "input_ids", (100 + np.arange(batch * size) * 7919 % 20000).reshape(batch, size)
    pixels = (np.arange(batch * 3 * size * size) * 7919 % 512 / 256 - 1).astype(np.float32)
    return "pixel_values", pixels.reshape(batch, 3, size, size)


class Cell:
    def __init__(self, options, model, batch, size, runs):
        self.model, self.batch, self.size, self.runs = model, batch, size, runs
        self.is_image = model.startswith("ViT")
        self.directory = options.work / model
        self.onnx = options.work / (model + ".onnx")
        self.package, self.work = options.package, options.work

    def prepare(self):
        if not self.directory.exists():
            subprocess.run([ROOT / "build/release/bench/random_checkpoint", self.model,
                            self.directory], check=True)
        if not self.onnx.exists():
            make_onnx.main(self.directory, str(self.onnx))

    def onnxruntime(self, runs, *output):
        command = ["node", HERE / "run.mjs", self.package, self.onnx, str(self.batch),
                   str(self.size), str(runs), *output]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def tessera(self):
        command = [TESSERA, "profile", self.directory, "--threads", "1", "--json", "--runs",
                   str(self.runs), "--sequences", str(self.batch)]
        if not self.is_image:
            command += ["--rows", str(self.batch * self.size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    def difference(self):
        """Largest |difference| of last_hidden_state."""
        name, values = inputs(self.is_image, self.batch, self.size)
        given, taken = self.work / "in.safetensors", self.work / "out.safetensors"
        write_safetensors(given, name, values)
        subprocess.run([TESSERA, "run", self.directory, "--threads", "1", "--input", given,
                        "--output", taken], check=True, stdout=subprocess.DEVNULL)
        ours = make_onnx.read_safetensors(taken)["last_hidden_state"]
        self.onnxruntime(1, self.work / "ort.f32")
        theirs = np.fromfile(self.work / "ort.f32", dtype=np.float32).reshape(ours.shape)
        return float(np.abs(ours - theirs).max())

    def measure(self, rounds):
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(self.tessera())
            theirs.append(self.onnxruntime(self.runs))
        seconds = [turn["totals"]["measured"]["seconds"] for turn in ours]
        other = [turn["seconds"] for turn in theirs]
        ratios = [b / a for a, b in zip(seconds, other)]
        flops = ours[0]["totals"]["flops"]
        return {"tessera_ms": 1e3 * statistics.median(seconds),
                "onnxruntime_ms": 1e3 * statistics.median(other),
                "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
                "gflops": flops / statistics.median(seconds) / 1e9,
                "version": theirs[0]["version"], "isa": ours[0]["isa"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--package", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    options.work = options.work.resolve()
    lines = []
    for cell in (Cell(options, *values) for values in CELLS):
        if options.only not in cell.model:
            continue
        cell.prepare()
        difference = cell.difference()
        if not difference < 1e-3:
            raise SystemExit(f"{cell.model}: outputs differ by {difference}, expected < 1e-3")
        got = cell.measure(options.rounds)
        unit = f"{cell.batch} x {cell.size}" + (" px" if cell.is_image else "")
        lines.append(f"| {cell.model} | {unit} | {got['tessera_ms']:.2f} | "
                     f"{got['onnxruntime_ms']:.2f} | **{got['ratio']:.2f}** | "
                     f"{got['least']:.2f}-{got['most']:.2f} | {got['gflops']:.0f} | {difference:.1e} |")
        print(lines[-1], flush=True)
    head = [f"ONNX Runtime {got['version']} (onnxruntime-node, CPU, fused Attention, SkipLayerNormalization, "
            f"BiasGelu), one thread each, {got['isa']}; {options.rounds} turns of alternating processes.",
            "The ratio is ONNX Runtime's time over Tessera's: above 1 Tessera is faster.", "",
            "| model | batch | Tessera, ms | ONNX Runtime, ms | ratio | spread | Tessera, GFLOP/s | "
            "largest difference |", "|---|---|---|---|---|---|---|---|"]
    if options.markdown and not options.only:  # a part is printed, and replaces nothing
        options.markdown.write_text("\n".join(head + lines) + "\n")


if __name__ == "__main__":
    main()
