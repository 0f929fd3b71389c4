#!/usr/bin/python3
"""Turns what the JSON of bench_loop_orders has of one precision into a Markdown table, with the
planner's score; nothing: no output.

  loop_orders_table.py f32|bf16 FILE...
"""
import json
import math
import re
import sys

NAME = re.compile(r"loop_orders_(\w+)/(\w+)/([^/]+)/M:(\d+)/N:(\d+)/K:(\d+)(/cold)?")
ORDERS = ["IS-OS(a)", "IS-OS(b)", "WS-OS(a)", "WS-OS(b)", "2-D OS"]
CLASSICAL = ["IS", "WS", "OS", "naive"]


def geomean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def main(arguments: list[str]) -> None:
    precision, paths = arguments[0], arguments[1:]
    reports = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            reports.append(json.load(file))
    runs = [(match, run) for report in reports for run in report["benchmarks"]
            if (match := NAME.match(run["name"])) and match[1] == precision
            and "error_message" not in run]
    if not runs:
        return
    context = reports[0]["context"]
    print(f"{precision}, {context['cpu'].strip()}, {context['date']}, {context['num_cpus']} CPUs, "
          "1 thread. GFLOP/s (MB into L2, predicted); "
          "bold: the planner's choice; slower: its time over the fastest order's.\n")
    print("| ISA | model | M | N | K | " + " | ".join(ORDERS + CLASSICAL) +
          " | slower | x bound | less than naive |")
    print("|---" * (5 + len(ORDERS) + len(CLASSICAL) + 3) + "|")
    slower, reductions = [], {name: [] for name in CLASSICAL}
    times = {name: [] for name in ORDERS + CLASSICAL}
    for match, run in runs:
        cells = []
        chosen = ORDERS[int(run["chosen"])]
        for order in ORDERS + CLASSICAL:
            if f"{order}_MB" not in run:
                cells.append("")
                continue
            text = f"{run[order + '_GFLOP/s']:.0f} ({run[order + '_MB']:.1f})"
            cells.append(f"**{text}**" if order == chosen else text)
            times[order].append(run[f"{chosen}_GFLOP/s"] / run[f"{order}_GFLOP/s"])
            if order in reductions:
                reductions[order].append(run[f"{chosen}_MB"] / run[f"{order}_MB"])
        slower.append(run["slower_%"])
        print("| " + " | ".join(list(match.groups())[1:5] + [match[6] + (" cold" if match[7] else "")] + cells) +
              f" | {run['slower_%']:.1f} % | {run['x_bound']:.2f} | {run['naive_%']:.2f} % |")
    within = sum(1 for value in slower if value <= 3)
    print(f"\nThe choice is within 3 % of the fastest candidate's time in {within} of {len(slower)} "
          f"cells ({100 * within / len(slower):.0f} %); worst {max(slower):.1f} %.")
    for name, ratios in times.items():
        if ratios:
            print(f"Time of {name} over the choice's: geomean {geomean(ratios):.3f} x, "
                  f"worst {max(ratios):.3f} x ({len(ratios)} cells).")
    for name, ratios in reductions.items():
        if ratios:
            print(f"Predicted bytes into L2 against {name}: geomean {geomean(ratios):.3f} x, "
                  f"best {min(ratios):.3f} x, worst {max(ratios):.3f} x.")


if __name__ == "__main__":
    main(sys.argv[1:])
