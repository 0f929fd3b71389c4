#!/usr/bin/env python3
"""What adaptive stationarity is worth in time: bench/results/tas.md and docs/figures/tas.svg.

    scripts/tas_page.py LOOP_ORDERS.json [ATTENTION.json]     (of bench_loop_orders, bench_attention)

Loop orders of one shape ran in turn, and so did nothing else: only ratios within a shape are used. IS and WS
are the better of the two hybrids with the planner's best blocks, 2-D is 2-D OS, choice is what a plan takes.
Standard library only.
"""
import json
import math
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAME = re.compile(r"loop_orders_(\w+)/(\w+)/([^/]+)/M:(\d+)/N:(\d+)/K:(\d+)(/cold)?")
ATTENTION = re.compile(r"attention_(\w+)/(\w+)/(\w+)/full/T:(\d+)/d:(\d+)/.*?(_median)?$")
ORDERS = ["IS-OS(a)", "IS-OS(b)", "WS-OS(a)", "WS-OS(b)", "2-D OS"]
KINDS = {"IS": ("IS-OS(a)", "IS-OS(b)"), "WS": ("WS-OS(a)", "WS-OS(b)"), "2-D": ("2-D OS",)}
COLOURS = {"IS": "#2f6fb3", "WS": "#d1495b", "2-D": "#3a9d5d", "choice": "#1b1f24"}
STYLE = """text{font-family:"DejaVu Sans",system-ui,sans-serif;fill:#1b1f24;font-size:11px}
.title{font-size:12px;font-weight:bold}.head{font-size:15px;font-weight:bold}.soft{fill:#5b6470}
.middle{text-anchor:middle}.end{text-anchor:end}.grid{stroke:#e6e9ec}.frame{fill:none;stroke:#5b6470}"""


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def cells_of(report):
    cells = []
    for run in report["benchmarks"]:
        match = NAME.match(run["name"])
        if not match or "error_message" in run:
            continue
        speed = {o: run[f"{o}_GFLOP/s"] for o in ORDERS + ["naive"] if run.get(f"{o}_GFLOP/s")}
        cell = {"precision": match[1], "level": match[2], "model": match[3], "M": int(match[4]), "N": int(match[5]),
                "K": int(match[6]), "cold": bool(match[7]), "naive": speed.get("naive")}
        for kind, names in KINDS.items():
            cell[kind] = max((speed[o] for o in names if o in speed), default=None)
        cell["choice"] = speed[ORDERS[int(run["chosen"])]]
        cell["best"] = max(speed[o] for o in ORDERS if o in speed)
        cells.append(cell)
    return cells


def table(cells, out):
    groups = sorted({(c["precision"], c["cold"]) for c in cells}, key=lambda g: (g[0] != "f32", g[1]))
    out.append("| precision | weights | cells | always IS | always WS | always 2-D | worst IS | worst WS | naive | choice over fastest | within 5 % |")
    out.append("|---|---|---|---|---|---|---|---|---|---|---|")
    for precision, cold in groups:
        group = [c for c in cells if (c["precision"], c["cold"]) == (precision, cold)]
        ratio = {k: [c["choice"] / c[k] for c in group if c[k]] for k in ("IS", "WS", "2-D", "naive")}
        late = [c["best"] / c["choice"] for c in group]
        within = sum(x <= 1.05 for x in late)
        out.append(f"| {precision} | {'memory' if cold else 'cache'} | {len(group)} | {geomean(ratio['IS']):.2f} x | "
                   f"{geomean(ratio['WS']):.2f} x | {geomean(ratio['2-D']):.2f} x | {max(ratio['IS']):.2f} x | "
                   f"{max(ratio['WS']):.2f} x | {geomean(ratio['naive']):.1f} x | {geomean(late):.3f} x, worst "
                   f"{max(late):.2f} x | {within} of {len(group)} |")
    out.append("")


def by_rows(cells, out):
    out.append("By rows, BERT-base and MiniLM: time of always IS and always WS over the choice's (geometric mean of the four linears).\n")
    out.append("| precision | weights | model | M | IS | WS | 2-D |")
    out.append("|---|---|---|---|---|---|---|")
    keys = sorted({(c["precision"] != "f32", c["cold"], c["model"], c["M"]) for c in cells if c["model"] in ("BERT-base", "MiniLM")})
    for key in keys:
        group = [c for c in cells if (c["precision"] != "f32", c["cold"], c["model"], c["M"]) == key]
        mean = {k: geomean([c["choice"] / c[k] for c in group if c[k]]) for k in KINDS}
        out.append(f"| {group[0]['precision']} | {'memory' if key[1] else 'cache'} | {key[2]} | {key[3]} | "
                   + " | ".join("" if math.isnan(mean[k]) else f"{mean[k]:.2f} x" for k in KINDS) + " |")
    out.append("")


def plot(cells, file):
    rows = [("f32", False), ("bf16", False), ("bf16", True)]
    columns = [(2304, 768, "QKV"), (768, 768, "output"), (3072, 768, "FF1"), (768, 3072, "FF2")]
    width, height, left, top, gap_x, gap_y = 190, 150, 70, 64, 34, 62
    low, high = 1.0, 3.0
    body = []
    for r, (precision, cold) in enumerate(rows):
        for c, (N, K, name) in enumerate(columns):
            x0, y0 = left + c * (width + gap_x), top + r * (height + gap_y)
            group = sorted((x for x in cells if (x["precision"], x["cold"], x["model"], x["N"], x["K"]) ==
                            (precision, cold, "BERT-base", N, K)), key=lambda x: x["M"])
            body.append(f'<text class="title" x="{x0}" y="{y0 - 8}">{name} ({K},{N}), {precision}{", memory" if cold else ""}</text>')
            ms = [16, 32, 64, 128, 256, 512, 1024, 2048]

            def at(m, ratio, x0=x0, y0=y0):
                x = math.log(m / 16) / math.log(2048 / 16)
                y = math.log(min(max(ratio, low), high) / low) / math.log(high / low)
                return x0 + x * width, y0 + (1 - y) * height

            for value in (1, 1.25, 1.5, 2, 3):
                y = at(16, value)[1]
                body.append(f'<path class="grid" d="M{x0} {y:.1f}h{width}"/>')
                if c == 0:
                    body.append(f'<text class="end soft" x="{x0 - 6}" y="{y + 4:.1f}">{value} x</text>')
            for m in ms:
                x = at(m, 1)[0]
                body.append(f'<path class="grid" d="M{x:.1f} {y0}v{height}"/>')
                if m in (16, 64, 256, 1024):
                    body.append(f'<text class="middle soft" x="{x:.1f}" y="{y0 + height + 15}">{m}</text>')
            body.append(f'<rect class="frame" x="{x0}" y="{y0}" width="{width}" height="{height}"/>')
            for kind in ("IS", "WS", "2-D", "choice"):
                points = [at(g["M"], g["best"] / g[kind]) for g in group if g[kind]]
                if kind == "choice":
                    body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4" fill="{COLOURS[kind]}"/>' for x, y in points]
                elif points:
                    body.append(f'<polyline fill="none" stroke="{COLOURS[kind]}" stroke-width="2" points="'
                                + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) + '"/>')
    total_w, total_h = left + 4 * (width + gap_x), top + 3 * (height + gap_y) + 8
    legend, x = [], left
    for kind, text in (("IS", "best input-stationary"), ("WS", "best weight-stationary"), ("2-D", "2-D output-stationary"), ("choice", "the plan's choice")):
        legend.append(f'<circle cx="{x + 5}" cy="34" r="4" fill="{COLOURS[kind]}"/><text x="{x + 14}" y="38">{text}</text>')
        x += 170
    with open(file, "w", encoding="utf-8") as out:
        out.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_w} {total_h}" role="img" aria-label="Time of each loop order over the fastest, by rows">\n'
                  f'<style>{STYLE}</style><rect width="{total_w}" height="{total_h}" fill="#ffffff"/>\n'
                  f'<text class="head" x="{left}" y="18">Time over the fastest loop order, by rows M (BERT-base; 3 x and more at the edge)</text>\n'
                  + "\n".join(legend + body) + "\n</svg>\n")


def attention(report, out):
    rows = {}
    for run in report["benchmarks"]:
        match = ATTENTION.match(run["name"])
        if not match or "error_message" in run or run.get("run_type") == "aggregate":
            continue
        key = (match[1], match[2], int(match[5]), int(match[4]))
        seconds = run["real_time"]
        found = rows.setdefault(key, {})
        found[match[3]] = min(found.get(match[3], float("inf")), seconds)
    names = ["layerwise", "flat_head", "flat_rows", "streaming", "streaming_keys", "interleaved"]
    out.append("Attention, 12 heads: time of each dataflow over the fastest, least of the repetitions.\n")
    out.append("| precision | level | d | T | fastest | " + " | ".join(names) + " |")
    out.append("|---|---|---|---|---|" + "---|" * len(names))
    for (precision, level, d, T), found in sorted(rows.items(), key=lambda x: (x[0][0] != "f32", x[0])):
        least = min(found.values())
        out.append(f"| {precision} | {level} | {d} | {T} | {min(found, key=found.get)} | "
                   + " | ".join(f"{found[n] / least:.2f}" if n in found else "" for n in names) + " |")
    out.append("")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    cells = cells_of(report)
    out = ["# What the loop order is worth, in time", "",
           "`scripts/bench_tas.sh` writes this file and docs/figures/tas.svg; docs/TAS.md explains it. "
           f"{report['context']['cpu'].strip()}, {report['context']['date'][:10]}, one thread. Candidates of a shape run in "
           "turn, medians of 7. Columns \"always\": time of the best blocks of that order over the time of the plan's "
           "choice, geometric mean. Cache: weights where the run before left them; memory: copies in turn, larger than L3.", ""]
    table(cells, out)
    by_rows(cells, out)
    if len(sys.argv) > 2:
        with open(sys.argv[2], encoding="utf-8") as file:
            attention(json.load(file), out)
    with open(f"{ROOT}/bench/results/tas.md", "w", encoding="utf-8") as file:
        file.write("\n".join(out))
    plot(cells, f"{ROOT}/docs/figures/tas.svg")


main()
