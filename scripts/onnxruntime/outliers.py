#!/usr/bin/env python3
"""What outlier channels do to int8: Tessera (a scale per row) and ONNX Runtime (one per tensor) beside fp32.

    outliers.py --package DIR --work DIR [--build DIR] [--seed N] [--texts N] [--markdown FILE]

Models of BERT-base's width with 4 layers and random weights (N(0, 0.03), norms 1 + N(0, 0.1)), 16 texts of 64
random ids in one batch. CHANNELS channels, or neurons, are drawn, and for each a factor f in 50...100. Then

gamma    weight and bias of these channels are multiplied by f in both norms of each layer. Norms pass on what the
         residual carries, so that the factors multiply up: the channels end thousands of times above the others.
steady   the weights of each norm, of the embeddings too, are scaled so that on a batch of other ids the channels
         have f times the root mean square of the others, and the others 1, behind every norm: outliers in every
         row and every layer, of the size seen in trained BERTs (arXiv 2109.12948).
tokens   no channel is changed; in each layer, neurons of the feed-forward are f times as large and fire above 2.5
         standard deviations only (weights and bias of intermediate.dense, columns of output.dense divided by f):
         outliers in a few rows, as those of separators in trained BERTs.

-compensated: the columns that read the channels (query, key, value; intermediate.dense) are divided by f, as in a
network that was trained with them, so that what the other channels say counts. Without, outliers drown the others.

"calibrated" is int8 of the directory that `tessera quantize --calibrate` makes of 16 other random texts.

1 - cosine of each row of last_hidden_state with Tessera's fp32: mean, worst, and how many rows are below 0.995;
of all channels (where the outliers are nearly all of a row's length) and of the others alone.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
import int8  # noqa: E402

HIDDEN, WIDE, LAYERS, HEADS, VOCABULARY, POSITIONS, TOKENS, CHANNELS = 768, 3072, 4, 12, 2000, 128, 64, 4
KINDS = ("none", "gamma", "gamma-compensated", "steady", "steady-compensated", "tokens")
HOLDS = 0.005  # 1 - cosine


def plain_model(rng):
    """Tensors of a BertModel."""
    tensors = {}

    def normal(name, *shape):
        tensors[name] = (0.03 * rng.standard_normal(shape)).astype(np.float32)

    def linear(name, outputs, inputs):
        normal(name + ".weight", outputs, inputs)
        normal(name + ".bias", outputs)

    def norm(name):
        tensors[name + ".weight"] = (1 + 0.1 * rng.standard_normal(HIDDEN)).astype(np.float32)
        tensors[name + ".bias"] = (0.1 * rng.standard_normal(HIDDEN)).astype(np.float32)

    normal("embeddings.word_embeddings.weight", VOCABULARY, HIDDEN)
    normal("embeddings.position_embeddings.weight", POSITIONS, HIDDEN)
    normal("embeddings.token_type_embeddings.weight", 2, HIDDEN)
    norm("embeddings.LayerNorm")
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}."
        for part in ("query", "key", "value"):
            linear(layer + "attention.self." + part, HIDDEN, HIDDEN)
        linear(layer + "attention.output.dense", HIDDEN, HIDDEN)
        norm(layer + "attention.output.LayerNorm")
        linear(layer + "intermediate.dense", WIDE, HIDDEN)
        linear(layer + "output.dense", HIDDEN, WIDE)
        norm(layer + "output.LayerNorm")
    linear("pooler.dense", HIDDEN, HIDDEN)
    return tensors


def forward(t, ids, at_norm, at_wide):
    """The encoder, in numpy; at_norm(name, x) and at_wide(layer, x) may change the tensors before they are used."""

    def linear(x, name):
        return x @ t[name + ".weight"].T + t[name + ".bias"]

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        at_norm(name, x)
        return x * t[name + ".weight"] + t[name + ".bias"]

    def heads(x):  # (B,heads,T,64)
        return x.reshape(*x.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)

    x = t["embeddings.word_embeddings.weight"][ids] + t["embeddings.position_embeddings.weight"][:ids.shape[1]]
    x = norm(x + t["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}."
        q, k, v = (heads(linear(x, layer + "attention.self." + part)) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / 8
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        context = (scores / scores.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + linear(context, layer + "attention.output.dense"), layer + "attention.output.LayerNorm")
        at_wide(layer, x)
        wide = linear(x, layer + "intermediate.dense")
        wide = 0.5 * wide * (1 + np.tanh(0.7978845608 * (wide + 0.044715 * wide**3)))
        x = norm(x + linear(wide, layer + "output.dense"), layer + "output.LayerNorm")


def readers(norm):
    """The weights whose columns read a norm's channels."""
    parts = norm.split(".")
    if parts[-3:-1] == ["attention", "output"]:
        return [".".join(parts[:3]) + ".intermediate.dense.weight"]
    after = 0 if parts[0] == "embeddings" else int(parts[2]) + 1
    return [f"encoder.layer.{after}.attention.self.{p}.weight" for p in ("query", "key", "value")] if after < LAYERS else []


def make(kind, seed):
    """Tensors, and the outlier channels of the states."""
    rng = np.random.default_rng(seed)
    t = plain_model(rng)
    channels = np.sort(rng.choice(HIDDEN, CHANNELS, replace=False))
    factors = rng.uniform(50, 100, CHANNELS).astype(np.float32)
    ids = rng.integers(0, VOCABULARY, (8, TOKENS))
    others = np.setdiff1d(np.arange(HIDDEN), channels)

    def at_norm(name, x):
        weight, bias = t[name + ".weight"], t[name + ".bias"]
        if kind.startswith("steady"):
            flat = x.reshape(-1, HIDDEN)
            size = np.sqrt((flat * flat).mean(0))
            weight /= np.sqrt((size[others] ** 2).mean())
            weight[channels] = factors / size[channels]
            bias[channels] *= factors
        elif kind.startswith("gamma") and name != "embeddings.LayerNorm":
            weight[channels] *= factors
            bias[channels] *= factors
        else:
            return
        if kind.endswith("compensated"):
            for reader in readers(name):
                t[reader][:, channels] /= factors

    def at_wide(layer, x):
        if kind != "tokens":
            return
        neurons = rng.choice(WIDE, CHANNELS, replace=False)
        weight, bias, back = (t[layer + n] for n in ("intermediate.dense.weight", "intermediate.dense.bias", "output.dense.weight"))
        sums = x.reshape(-1, HIDDEN) @ weight[neurons].T
        bias[neurons] = -(sums.mean(0) + 2.5 * sums.std(0)) * factors
        weight[neurons] *= factors[:, None]
        back[:, neurons] /= factors

    forward(t, ids, at_norm, at_wide)
    return t, channels if kind.startswith(("gamma", "steady")) else np.array([], dtype=int)


def write(directory, tensors):
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps({
        "architectures": ["BertModel"], "model_type": "bert", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "intermediate_size": WIDE, "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS}))
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = specials + [f"w{i}" for i in range(len(specials), VOCABULARY)]
    (directory / "vocab.txt").write_text("\n".join(words) + "\n")
    (directory / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(directory / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in tensors.values():
            file.write(np.ascontiguousarray(values).tobytes())


def calibrated(tool, directory, seed):
    """The directory that `tessera quantize --calibrate` makes, of 16 texts of other words."""
    rng = np.random.default_rng(seed + 2000)
    texts, out = directory.with_suffix(".txt"), directory.with_name(directory.name + "-calibrated")
    texts.write_text("".join(" ".join(f"w{i}" for i in rng.integers(5, VOCABULARY, TOKENS - 2)) + "\n" for _ in range(16)))
    command = [tool, "quantize", directory, "--out", out, "--force", "--calibrate", texts]
    print(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout, file=sys.stderr)
    return out


def cell(off):
    return f"{off.mean():.1e}, {off.max():.1e}, {(off > HOLDS).sum()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=pathlib.Path, required=True, help="folder whose node_modules has onnxruntime-node")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=int, default=16)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    work = options.work.resolve()
    ids = np.random.default_rng(options.seed + 1000).integers(0, VOCABULARY, (options.texts, TOKENS))
    engines = ("Tessera bf16", "Tessera int8", "calibrated", "ONNX Runtime int8, per tensor", "per column", "ONNX Runtime fp32")
    lines = ["| model | channels | outliers / others | " + " | ".join(engines) + " |", "|---|---|---|" + "---|" * len(engines)]
    for kind in KINDS:
        name = "outliers-" + kind
        tensors, channels = make(kind, options.seed)
        write(work / name, tensors)
        for old in work.glob(name + ".*.onnx"):
            old.unlink()
        paths = int8.models(work, name)
        tessera = int8.Tessera(options.build.resolve() / "tessera/tessera", work / name, work)
        other = int8.OnnxRuntime(options.package, paths, work)
        right = tessera.states(ids, "fp32").reshape(-1, HIDDEN)
        states = [tessera.states(ids, precision) for precision in ("bf16", "int8")]
        directory = calibrated(options.build.resolve() / "tessera/tessera", work / name, options.seed)
        states.append(int8.Tessera(tessera.tool, directory, work).states(ids, "int8"))
        states += [other.run(form, ids, 1, with_output=True) for form in ("tensor", "column", "fp32")]
        other.close()
        others = np.setdiff1d(np.arange(HIDDEN), channels)
        size = np.sqrt((right.astype(np.float64) ** 2).mean(0))
        above = f"{np.sqrt((size[channels] ** 2).mean() / (size[others] ** 2).mean()):.0f}" if len(channels) else "-"
        for what, chosen in (("all", np.arange(HIDDEN)), ("others", others))[: 2 if len(channels) else 1]:
            offs = [int8.cosines(right[:, chosen], s.reshape(-1, HIDDEN)[:, chosen]) for s in states]
            lines.append(f"| {kind} | {what} | {above} | " + " | ".join(map(cell, offs)) + " |")
            print(lines[-1], flush=True)
    print("\n" + "\n".join(lines))
    if options.markdown:
        int8.replace(options.markdown, {"outliers": lines})


if __name__ == "__main__":
    main()
