#!/usr/bin/python3
"""Turns the JSON of bench_loop_orders into a Markdown table, with the planner's score."""
import json
import math
import re
import sys

NAME = re.compile(r"loop_orders_f32/(\w+)/([^/]+)/M:(\d+)/N:(\d+)/K:(\d+)")
ORDERS = ["IS-OS(a)", "IS-OS(b)", "WS-OS(a)", "WS-OS(b)", "2-D OS"]
CLASSICAL = ["IS", "WS", "OS", "naive"]


def geomean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def main(paths: list[str]) -> None:
    reports = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            reports.append(json.load(file))
    context = reports[0]["context"]
    print(f"{context['date']}, {context['num_cpus']} CPUs, 1 thread. GFLOP/s (MB into L2, predicted); "
          "bold: the planner's choice; slower: its time over the fastest order's.\n")
    print("| ISA | model | M | N | K | " + " | ".join(ORDERS + CLASSICAL) +
          " | slower | x bound | less than naive |")
    print("|---" * (5 + len(ORDERS) + len(CLASSICAL) + 3) + "|")
    slower, reductions = [], {name: [] for name in CLASSICAL}
    for run in [run for report in reports for run in report["benchmarks"]]:
        match = NAME.match(run["name"])
        if match is None or "error_message" in run:
            continue
        cells = []
        chosen = ORDERS[int(run["chosen"])]
        for order in ORDERS + CLASSICAL:
            if f"{order}_MB" not in run:
                cells.append("")
                continue
            text = f"{run[order + '_GFLOP/s']:.0f} ({run[order + '_MB']:.1f})"
            cells.append(f"**{text}**" if order == chosen else text)
            if order in reductions:
                reductions[order].append(run[f"{chosen}_MB"] / run[f"{order}_MB"])
        slower.append(run["slower_%"])
        print("| " + " | ".join(list(match.groups()) + cells) +
              f" | {run['slower_%']:.1f} % | {run['x_bound']:.2f} | {run['naive_%']:.2f} % |")
    within = sum(1 for value in slower if value <= 3)
    print(f"\nThe choice is within 3 % of the fastest candidate's time in {within} of {len(slower)} "
          f"cells ({100 * within / len(slower):.0f} %); worst {max(slower):.1f} %.")
    for name, ratios in reductions.items():
        if ratios:
            print(f"Predicted bytes into L2 against {name}: geomean {geomean(ratios):.3f} x, "
                  f"best {min(ratios):.3f} x, worst {max(ratios):.3f} x.")


if __name__ == "__main__":
    main(sys.argv[1:])
