#!/usr/bin/env python3
"""What chains on blocks of rows change: time, bytes, memory. Writes bench/results/row_blocks.md.

    scripts/row_blocks.py [--turns N] [--replay] [--tool TESSERA] [--make RANDOM_CHECKPOINT] [MODEL...]

BERT-base and MiniLM with random weights, sequences of 128 tokens, one thread. For each number of rows and
precision the runs with different blocks take turns; time is the sum over the ops of the least that each took
in any turn (a run is long enough to meet other guests of the machine, an op is not), and beside it the median
of whole runs. Bytes are those of a run on one thread, as the plan predicts them and, with
--replay, as the simulated caches count them (hours for BERT-base in fp32 at 4096 rows; left out there).
Values: of a session whose largest batch has these rows. Needs a release build with TESSERA_BUILD_BENCH=ON.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIZES = {"BERT-base": "BERT-base", "MiniLM": "MiniLM-L6-384"}


def tool(arguments, *command):
    run = subprocess.run([arguments.tool, *command], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"row_blocks: {' '.join(command)}: {run.stderr.strip()}")
    return json.loads(run.stdout)


def batch(model, rows, precision, blocks):
    chosen = [] if blocks == "chosen" else ["--row-blocks", str(blocks)]
    return [model, "--rows", str(rows), "--sequences", str(rows // 128), "--batch-tokens", str(rows),
            "--threads", "1", "--precision", precision, "--json", *chosen]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--tool", default=f"{ROOT}/build/release/tessera/tessera")
    parser.add_argument("--make", default=f"{ROOT}/build/release/bench/random_checkpoint")
    parser.add_argument("models", nargs="*", default=list(SIZES))
    arguments = parser.parse_args()
    lines = []
    machine = ""
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            model = os.path.join(folder, name)
            subprocess.run([arguments.make, SIZES[name], model], check=True)
            for rows in (512, 4096):
                for precision in ("fp32", "bf16"):
                    kinds = ["off", 256] + ([512, 1024] if rows > 512 else []) + ["chosen"]
                    whole = {kind: [] for kind in kinds}  # seconds of runs
                    ops = {kind: [] for kind in kinds}  # of runs, seconds of their ops
                    for _ in range(arguments.turns):
                        for kind in kinds:
                            result = tool(arguments, "profile", *batch(model, rows, precision, kind), "--runs", "1")
                            whole[kind].append(result["totals"]["measured"]["seconds"])
                            ops[kind].append([op["measured"]["seconds"] for op in result["ops"]])
                            machine = f"{result['machine']['name']}, {result['isa']}"
                    least = {kind: sum(map(min, zip(*ops[kind]))) for kind in kinds}
                    middle = {kind: statistics.median(whole[kind]) for kind in kinds}
                    for kind in kinds:
                        plan = tool(arguments, "plan", *batch(model, rows, precision, kind))
                        run = sum(op["run_l2_bytes"] for op in plan["ops"])
                        blocks = plan["chains"][0] if plan["chains"] else None
                        replay = ""
                        if arguments.replay and not (name == "BERT-base" and rows > 512):
                            seen = tool(arguments, "profile", *batch(model, rows, precision, kind), "--meter", "replay")
                            measured = seen["totals"]["measured"]
                            replay = f"{measured['l2_bytes'] / 1e6:.0f} / {measured['l3_bytes'] / 1e6:.0f}"
                        lines.append(
                            f"| {name} | {rows} | {precision} | {kind} | "
                            + (f"{blocks['blocks']} x {blocks['block_rows']}" if blocks else "-")
                            + f" | {1e3 * least[kind]:.1f} | {least[kind] / least['off']:.2f} | {middle[kind] / middle['off']:.2f}"
                            + f" | {run / 1e6:.0f} / {plan['totals']['l3_bytes'] / 1e6:.0f} | {replay}"
                            + f" | {plan['values_bytes'] / 2**20:.1f} |")
                        print(lines[-1], flush=True)
    head = [
        "# Layers on blocks of rows", "",
        "`scripts/row_blocks.py` writes this file; docs/DATAFLOW.md, \"Row blocks through a layer\", explains it. "
        f"{machine}. One thread, sequences of 128 tokens, {arguments.turns} turns. ms: the sum of the least "
        "time of each op. Ratios are to `off` (each op on all rows), of that sum and of the median whole run. MB into L2 / into L3 of a run: predicted, and counted by the "
        "replay. Values: of a session for batches of these rows.", "",
        "| model | rows | precision | blocks | blocks x rows | ms | ratio, ops | ratio, runs | predicted MB > L2 / L3 | replay | values MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|"]
    with open(f"{ROOT}/bench/results/row_blocks.md", "w", encoding="ascii") as file:
        file.write("\n".join(head + lines) + "\n")


main()
