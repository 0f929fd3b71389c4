#!/usr/bin/python3
"""Turns the JSON of bench_encoder into a Markdown table.

One thread: the median repetition by CPU time. More threads: the fastest by wall time. The peak is the
highest that was measured beside the repetitions of a cell.
"""
import json
import re
import sys

NAME = re.compile(r"BM_Encoder/(\w+)/(bf16/)?([^/]+)/batch:(\d+)/T:(\d+)/threads:(\d+)")


def main(paths: list[str]) -> None:
    reports = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            reports.append(json.load(file))
    cells: dict[tuple, list[dict]] = {}
    for run in [run for report in reports for run in report["benchmarks"]]:
        match = NAME.match(run["name"])
        if match is None or run.get("run_type") != "iteration" or "error_message" in run:
            continue
        isa, bf16, model, batch, tokens, threads = match.groups()
        isa += ", bf16" if bf16 else ""
        cells.setdefault((model, isa, int(threads), int(batch), int(tokens)), []).append(run)
    context = reports[0]["context"]
    print(f"{context['date']}, {context['num_cpus']} CPUs, load {context['load_avg'][0]:.1f} at the start.\n")
    print("| model | ISA | threads | batch x T | GFLOP/s | % of multiply-add peak | spread | time, ms | sequences/s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (model, isa, threads, batch, tokens), runs in sorted(cells.items()):
        runs.sort(key=lambda run: run["GFLOP/s"])
        best = runs[len(runs) // 2] if threads == 1 else runs[-1]
        peak = max(run["peak_GFLOP/s"] for run in runs)
        low, share, high = (100 * run["GFLOP/s"] / peak for run in (runs[0], best, runs[-1]))
        time = best["cpu_time"] if threads == 1 else best["real_time"]
        print(f"| {model} | {isa} | {threads} | {batch} x {tokens} | {best['GFLOP/s']:.1f} "
              f"| {share:.1f} | {low:.0f}-{high:.0f} | {time:.2f} | {best['sequences/s']:.1f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
