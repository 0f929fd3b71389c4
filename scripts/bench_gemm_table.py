#!/usr/bin/python3
"""Turns the JSON of bench_gemm into Markdown tables.

  bench_gemm_table.py FILE...
"""
import json
import math
import re
import sys

NAME = re.compile(r"gemm_f32/tessera_onednn/(\w+)/M:(\d+)/N:(\d+)/K:(\d+)(/cold)?/iterations")


def load(path: str) -> dict:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def geomean(values: list[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else math.nan


def table(cells: dict, cold: bool, share: str, what: str) -> None:
    chosen = {key: run for key, run in cells.items() if key[3] == cold}
    rows = sorted({key[0] for key in chosen})
    layers = sorted({key[1:3] for key in chosen}, key=lambda layer: (min(layer), layer))
    print(f"GFLOP/s, (% of {what}), x oneDNN:\n")
    print("| N, K | " + " | ".join(f"M = {M}" for M in rows) + " |")
    print("|---|" + "---|" * len(rows))
    for N, K in layers:
        texts = []
        for M in rows:
            run = chosen.get((M, N, K, cold))
            texts.append("" if run is None else
                         f"{run['GFLOP/s']:.1f} ({run[share]:.0f}) {run.get('ratio', math.nan):.2f}")
        print(f"| {N}, {K} | " + " | ".join(texts) + " |")
    per_row = [[run for key, run in chosen.items() if key[0] == M] for M in rows]
    print("| **geomean x oneDNN** | " + " | ".join(
        f"**{geomean([run['ratio'] for run in runs if 'ratio' in run]):.2f}**" for runs in per_row)
          + " |")
    print(f"| **median % of {what}** | " + " | ".join(
        f"**{sorted(run[share] for run in runs)[len(runs) // 2]:.0f}**" for runs in per_row) + " |")
    print()


def report(path: str) -> None:
    data = load(path)
    context = data["context"]
    cells, isa = {}, "?"
    for run in data["benchmarks"]:
        match = NAME.match(run["name"])
        if match is None or "error_message" in run:
            continue
        isa, M, N, K, cold = match.groups()
        cells[int(M), int(N), int(K), cold is not None] = run
    print(f"## {isa}, one thread\n")
    print(f"{context['cpu']}, one of {context['num_cpus']} CPUs, {context['date'][:10]}; "
          f"{context['rates']}.\n")
    for cold in (False, True):
        ratios = [run["ratio"] for key, run in cells.items() if key[3] == cold and "ratio" in run]
        if not ratios:
            continue
        if cold:
            print(f"### Weights cold (copies of {context['cold_MiB']} MiB in turn; last-level cache "
                  f"{context['llc_MiB']} MiB)\n")
            table(cells, True, "bound_%", "bound")
        else:
            print("### Weights hot\n")
            table(cells, False, "peak_%", "FMA peak")
        print(f"Geomean of all {len(ratios)} cells: **{geomean(ratios):.3f} x oneDNN**; least "
              f"{min(ratios):.3f}.\n")
    gaps = sorted((run["ratio"], key) for key, run in cells.items() if run.get("ratio", 1) < 1)
    print("### Gaps to close: cells below 1.0 x oneDNN\n")
    print("\n".join(f"- {ratio:.3f}: M = {M}, N = {N}, K = {K}{', cold' if cold else ''}"
                    for ratio, (M, N, K, cold) in gaps) or "None.")
    print()


def main(arguments: list[str]) -> None:
    print("# Linears against oneDNN, f32\n")
    print("`scripts/bench_gemm.sh`. Medians of 11 alternations of short batches of both in one "
          "process; ratios are medians of the ratios within each. Bound: the lesser of FMA peak and "
          "(rate at which a pure read loop streams the same weights) x M/2 FLOP/byte. The ISA level "
          "holds for both.\n")
    for path in arguments:
        report(path)


if __name__ == "__main__":
    main(sys.argv[1:])
