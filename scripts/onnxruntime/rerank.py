#!/usr/bin/python3
"""A cross-encoder over 100 passages: Tessera's one ragged batch beside ONNX Runtime's padded ones.

    rerank.py --package DIR --work DIR [--rounds N] [--markdown FILE]

Pairs of a query of 12 tokens and passages of 180 in the median (log-normal, 40 to 480), of a MiniLM-L6-384 of
random weights, one thread each, in turns. ONNX Runtime runs them sorted by length in groups of 1, 4, 8, 16 and
100, each padded to its longest; the fastest of these is compared. Its graph has no attention mask, which
costs it nothing, and no pooler; Tessera computes pooler_output, as a cross-encoder does. The first pair's
first row must agree. scripts/compare_onnxruntime.sh says how to get the package (see there).
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
BENCH = ROOT / "build/release/bench"
sys.path.insert(0, str(HERE))
import make_onnx  # noqa: E402

MODEL = "MiniLM-L6-384"
GROUPS = [1, 4, 8, 16, 100]


def run(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", required=True, help="folder whose node_modules has onnxruntime-node")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    directory, onnx = options.work / MODEL, options.work / (MODEL + ".onnx")
    if not directory.exists():
        subprocess.run([BENCH / "random_checkpoint", MODEL, directory], check=True)
    if not onnx.exists():
        make_onnx.main(directory, str(onnx))
    rng = np.random.default_rng(1)
    lengths = np.clip(np.exp(rng.normal(np.log(180), 0.5, 100)).astype(int), 40, 480) + 12 + 3
    pairs = [[101, *rng.integers(1000, 30000, n - 2).tolist(), 102] for n in lengths]
    (options.work / "ids.txt").write_text("".join(" ".join(map(str, p)) + "\n" for p in pairs))
    ordered = sorted(pairs, key=len)

    def onnxruntime(groups, runs):
        (options.work / "ids.json").write_text(json.dumps(groups))
        return run(["node", HERE / "groups.mjs", options.package, onnx, options.work / "ids.json", str(runs)])

    def tessera(output, runs):
        return run([BENCH / "time_ids", directory, options.work / "ids.txt", output, str(runs)])

    theirs = np.array(onnxruntime([[pairs[0]]], 1)["first"])
    ours = np.array(tessera("last_hidden_state", 1)["first"])
    difference = float(np.abs(theirs - ours).max())
    if not difference <= 1e-4:
        sys.exit(f"the first pair differs by {difference}, expected at most 1e-4")
    times = {size: [] for size in GROUPS}
    mine = []
    for _ in range(options.rounds):
        mine.append(tessera("pooler_output", 3)["seconds"])
        for size in GROUPS:
            groups = [ordered[i : i + size] for i in range(0, len(ordered), size)]
            times[size].append(onnxruntime(groups, 1)["seconds"])
    rows = []
    for size in GROUPS:
        padded = sum(len(group) * max(map(len, group)) for group in
                     (ordered[i : i + size] for i in range(0, len(ordered), size)))
        ratio = statistics.median(t / m for t, m in zip(times[size], mine))
        rows.append(f"| ONNX Runtime, groups of {size} | {padded} | {100 / statistics.median(times[size]):.1f} | {ratio:.2f} |")
    table = (f"| 100 pairs, {sum(map(len, pairs))} tokens (median {int(np.median(lengths))}) | rows computed | pairs/s | its time / Tessera's |\n"
             "|---|---|---|---|\n"
             f"| Tessera, one ragged batch | {sum(map(len, pairs))} | {100 / statistics.median(mine):.1f} | |\n" + "\n".join(rows))
    print(table)
    print(f"\nThe first pair differs by {difference:.1e}. Ratios are medians of {options.rounds} turns.")
    if options.markdown:
        options.markdown.write_text(table + "\n")


if __name__ == "__main__":
    main()
