#!/usr/bin/python3
"""Turns what the JSON of bench_gemm has of one precision into Markdown tables; nothing: no output.

  bench_gemm_table.py f32|bf16 FILE...
"""
import json
import math
import re
import sys

NAME = re.compile(r"gemm_(\w+)/tessera_onednn/(\w+)/M:(\d+)/N:(\d+)/K:(\d+)(/cold)?/iterations")


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


def cells_of(data: dict, wanted: str) -> tuple[str, dict]:
    cells, isa = {}, ""
    for run in data["benchmarks"]:
        match = NAME.match(run["name"])
        if match is None or "error_message" in run or match[1] != wanted:
            continue
        _, isa, M, N, K, cold = match.groups()
        cells[int(M), int(N), int(K), cold is not None] = run
    return isa, cells


def report(context: dict, isa: str, cells: dict) -> None:
    print(f"## {isa}, one thread\n")
    print(f"{context['cpu'].strip()}, one of {context['num_cpus']} CPUs, {context['date'][:10]}; "
          f"{context['rates']}.\n")
    for cold in (False, True):
        if not any(key[3] == cold for key in cells):
            continue
        ratios = [run["ratio"] for key, run in cells.items() if key[3] == cold and "ratio" in run]
        if cold:
            print(f"### Weights cold (copies of {context['cold_MiB']} MiB in turn; last-level cache "
                  f"{context['llc_MiB']} MiB)\n")
            table(cells, True, "bound_%", "bound")
        else:
            print("### Weights hot\n")
            table(cells, False, "peak_%", "peak")
        if ratios:
            print(f"Geomean of all {len(ratios)} cells: **{geomean(ratios):.3f} x oneDNN**; least "
                  f"{min(ratios):.3f}.\n")
    if not any("ratio" in run for run in cells.values()):
        print("Without oneDNN: it is not in this build, or has no kernel of this precision here.\n")
        return
    gaps = sorted((run["ratio"], key) for key, run in cells.items() if run.get("ratio", 1) < 1)
    print("### Gaps to close: cells below 1.0 x oneDNN\n")
    print("\n".join(f"- {ratio:.3f}: M = {M}, N = {N}, K = {K}{', cold' if cold else ''}"
                    for ratio, (M, N, K, cold) in gaps) or "None.")
    print()


def main(arguments: list[str]) -> None:
    precision, paths = arguments[0], arguments[1:]
    reports = []
    for path in paths:
        data = load(path)
        isa, cells = cells_of(data, precision)
        if cells:
            reports.append((data["context"], isa, cells))
    if not reports:
        return
    print(f"# Linears against oneDNN, {precision}\n")
    print("`scripts/bench_gemm.sh`. Medians of 11 alternations of short batches of both in one "
          "process; ratios are medians of the ratios within each. Peak: multiply-adds of that "
          "precision, probed in each turn. Bound: the lesser of peak and (rate at which a pure read "
          f"loop streams the same weights) x {'M/2' if precision == 'f32' else 'M'} FLOP/byte. The "
          "ISA level holds for both.\n")
    for data in reports:
        report(*data)


if __name__ == "__main__":
    main(sys.argv[1:])
