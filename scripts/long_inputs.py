#!/usr/bin/env python3
"""One long text through ModernBERT-base's shape: memory, time and bytes. Writes bench/results/long_inputs.md.

    scripts/long_inputs.py [--turns N] [--rows N,N] [--untimed N] [--tool TESSERA] [--make RANDOM_CHECKPOINT]

Random weights, one sequence, one thread. `off`: each op on all rows. `chosen`: as the plan does by itself.
`least`: K and V of all rows first, everything else in blocks of rows (`--row-blocks least`). `apart`: as
`off`, but turns and gates pass over all rows behind their linear instead of running in its tiles (a saved plan
without "tile_ops"). The runs take turns; time is the sum over the ops of the least that each took. Bytes into L2 are
counted by the simulated caches (`--meter replay`), at the first number of rows. Needs a release build with
TESSERA_BUILD_BENCH=ON.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KINDS = ("apart", "off", "chosen", "least")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rows", default="2048")
    parser.add_argument("--untimed", type=int, default=8192, help="rows whose memory alone is told")
    parser.add_argument("--tool", default=f"{ROOT}/build/release/tessera/tessera")
    parser.add_argument("--make", default=f"{ROOT}/build/release/bench/random_checkpoint")
    arguments = parser.parse_args()
    row_counts = [int(n) for n in arguments.rows.split(",")]
    times, bytes_of = [], []
    machine = ""

    def tool(*command):
        run = subprocess.run([arguments.tool, *command], capture_output=True, text=True, check=False)
        if run.returncode != 0:
            sys.exit(f"long_inputs: {' '.join(command)}: {run.stderr.strip()}")
        return json.loads(run.stdout)

    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model")
        subprocess.run([arguments.make, "ModernBERT-base", model], check=True)

        def flags(rows, precision, kind):
            common = ["--rows", str(rows), "--sequences", "1", "--threads", "1", "--precision", precision, "--json"]
            if kind == "chosen":
                return common
            if kind != "apart":
                return [*common, "--row-blocks", kind]
            saved = os.path.join(folder, f"{rows}-{precision}.json")
            if not os.path.exists(saved):
                tool("plan", model, *common, "--row-blocks", "off", "--save", saved)
                with open(saved, encoding="utf-8") as file:
                    plan = file.read()
                with open(saved, "w", encoding="utf-8") as file:
                    file.write(re.sub(r',"tile_ops":\d+', "", plan))
            return [*common, "--plan", saved]

        for rows in row_counts:
            for precision in ("fp32", "bf16", "int8"):
                ops = {kind: [] for kind in KINDS}
                for _ in range(arguments.turns):
                    for kind in KINDS:
                        seen = tool("profile", model, *flags(rows, precision, kind), "--runs", "1")
                        ops[kind].append([op["measured"]["seconds"] for op in seen["ops"]])
                        machine = f"{seen['machine']['name']}, {seen['isa']}"
                least = {kind: sum(map(min, zip(*ops[kind]))) for kind in KINDS}
                for kind in KINDS:
                    values = tool("plan", model, *flags(rows, precision, kind))["values_bytes"]
                    times.append(f"| {rows} | {precision} | {kind} | {1e3 * least[kind]:.0f} | "
                                 f"{least[kind] / least['off']:.3f} | {values / 2**20:.1f} |")
                    print(times[-1], flush=True)
        for precision in ("fp32", "bf16", "int8"):
            for kind in KINDS:
                values = tool("plan", model, *flags(arguments.untimed, precision, kind))["values_bytes"]
                times.append(f"| {arguments.untimed} | {precision} | {kind} | | | {values / 2**20:.1f} |")
                print(times[-1], flush=True)
        for kind in ("apart", "off"):
            seen = tool("profile", model, *flags(row_counts[0], "fp32", kind), "--meter", "replay")
            # Layer 1, a local one: its linears and attention, its turn and gate, its norms.
            layer = [op for op in seen["ops"] if op["name"].startswith("layer.1.")]

            def sum_of(*kinds, layer=layer):
                return sum(op["measured"]["l2_bytes"] for op in layer if op["kind"].split(" ")[0] in kinds) / 1e6

            bytes_of.append((kind, sum_of("linear", "attention"), sum_of("rotate", "gated"), sum_of("layer_norm")))
            print(bytes_of[-1], flush=True)
    products = bytes_of[0][1]
    lines = [
        "# One long text", "",
        "`scripts/long_inputs.py` writes this file and explains it. ModernBERT-base's shape, random weights. "
        f"{machine}. One thread, {arguments.turns} turns. ms: the sum of the least time of each op. Values: "
        "of a session for this text.", "",
        "| rows | precision | | ms | ratio | values MiB |", "|---|---|---|---|---|---|", *times, "",
        f"Bytes into L2 of a local layer at {row_counts[0]} rows, fp32, by replay:", "",
        "| | linears, attention MB | turn, gate MB | norms MB | all but norms : linears and attention apart |",
        "|---|---|---|---|---|"]
    for kind, linears, between, norms in bytes_of:
        lines.append(f"| {kind} | {linears:.1f} | {between:.1f} | {norms:.1f} | {(linears + between) / products:.3f} |")
    with open(f"{ROOT}/bench/results/long_inputs.md", "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


main()
