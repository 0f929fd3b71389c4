#!/usr/bin/python3
"""Turns the JSON of bench_attention into Markdown.

A cell is the median of its repetitions by GFLOP/s. Ratios are of times for the same work.
"""
import json
import re
import sys

NAME = re.compile(r"attention_f32/(\w+)/(\w+)/([\w-]+)/T:(\d+)/d:(\d+)/")
RAGGED = re.compile(r"attention_f32/(\w+)/ragged/")
FLOWS = ["layerwise", "flat_head", "flat_rows", "streaming", "streaming_keys", "interleaved"]
MODELS = ["BERT-S", "BERT-L", "T5-small", "XLM", "TrXL", "ViT-B", "ViT-L", "ViT-H"]


def load(path: str) -> dict:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def cells_of(reports: list[dict]) -> tuple[dict, dict]:
    grouped: dict[tuple, list[dict]] = {}
    ragged: dict[str, list[dict]] = {}
    for run in [run for report in reports for run in report["benchmarks"]]:
        if "error_message" in run or run.get("run_type") != "iteration":
            continue
        match = NAME.match(run["name"])
        if match is not None:
            isa, flow, what, tokens, width = match.groups()
            grouped.setdefault((isa, flow, what, int(tokens), int(width)), []).append(run)
        elif RAGGED.match(run["name"]) is not None:
            ragged.setdefault(RAGGED.match(run["name"]).group(1), []).append(run)
    cells = {}
    for key, runs in grouped.items():
        runs.sort(key=lambda run: run["GFLOP/s"])
        cells[key] = runs[len(runs) // 2]
        cells[key]["peak"] = max(100 * run["GFLOP/s"] / run["peak_%"] for run in runs)
    return cells, ragged


def value(cell: dict) -> str:
    return f"{cell['GFLOP/s']:.0f} ({100 * cell['GFLOP/s'] / cell['peak']:.0f} %)"


def main(paths: list[str]) -> None:
    reports = [load(path) for path in paths]
    cells, ragged = cells_of(reports)
    context = reports[0]["context"]
    print(f"{context['date']}, {context['num_cpus']} CPUs, load {context['load_avg'][0]:.1f} at the start. "
          "fp32, one thread, GFLOP/s of the visible work (share of the FMA peak measured beside it).")
    for isa in sorted({key[0] for key in cells}, reverse=True):
        print(f"\n## {isa}: streaming by head size, 12 heads\n")
        widths = sorted({k[4] for k in cells if k[:3] == (isa, "streaming", "full")})
        print("| T | " + " | ".join(f"d = {d}" for d in widths) + " |\n|---|" + "---|" * len(widths))
        for tokens in sorted({k[3] for k in cells if k[:3] == (isa, "streaming", "full") and k[4] != 64}):
            row = [cells.get((isa, "streaming", "full", tokens, d)) for d in widths]
            print(f"| {tokens} | " + " | ".join(value(c) if c else "" for c in row) + " |")

        print(f"\n## {isa}: dataflows, d = 64\n")
        print("| T | " + " | ".join(FLOWS) + " | best against layerwise | interleaved against flat_rows |\n|---|"
              + "---|" * (len(FLOWS) + 2))
        rows = sorted({(k[2], k[3], k[4]) for k in cells if k[0] == isa and k[1] == "flat_rows"},
                      key=lambda r: (r[0] != "full", MODELS.index(r[0]) if r[0] in MODELS else 0, r[1]))
        for what, tokens, width in rows:
            row = {flow: cells.get((isa, flow, what, tokens, width)) for flow in FLOWS}
            speed = {flow: c["GFLOP/s"] for flow, c in row.items() if c}
            best = max(speed.get("streaming", 0), speed.get("streaming_keys", 0))
            name = str(tokens) if what == "full" else f"{what}, {tokens}" + (f", d = {width}" if width != 64 else "")
            print(f"| {name} | " + " | ".join(value(c) if c else "" for c in row.values())
                  + (f" | {best / speed['layerwise']:.2f}" if "layerwise" in speed else " | ")
                  + (f" | {speed['interleaved'] / speed['flat_rows']:.2f} |" if "interleaved" in speed else " | |"))

        print("\nMB into L2 as modelled, KiB of scratch per thread:\n")
        print("| T | " + " | ".join(FLOWS) + " |\n|---|" + "---|" * len(FLOWS))
        for what, tokens, width in [r for r in rows if r[0] == "full"]:
            row = [cells.get((isa, flow, what, tokens, width)) for flow in FLOWS]
            print(f"| {tokens} | " + " | ".join(f"{c['L2_MB']:.0f}, {c['scratch_KB']:.0f}" if c else "" for c in row) + " |")

        print(f"\n## {isa}: masks, streaming, d = 64\n")
        print("| mask | T | tiles a head (of) | time against full | GFLOP/s |\n|---|---|---|---|---|")
        for key in sorted(k for k in cells if k[0] == isa and k[1] == "streaming"
                          and k[2] not in MODELS + ["full", "contiguous"]):
            full = cells.get((isa, "streaming", "full", key[3], 64))
            if full:
                print(f"| {key[2]} | {key[3]} | {cells[key]['tiles']:.0f} ({full['tiles']:.0f}) "
                      f"| 1/{full['cpu_time'] / cells[key]['cpu_time']:.1f} | {cells[key]['GFLOP/s']:.0f} |")

        print(f"\n## {isa}: QKV by heads against slices of (T, 3H); from 1024 rows on both are by heads\n")
        print("| T | d | slices | contiguous |\n|---|---|---|---|")
        for key in sorted(k for k in cells if k[0] == isa and k[2] == "contiguous"):
            full = cells.get((isa, "streaming", "full", key[3], key[4]))
            print(f"| {key[3]} | {key[4]} | {value(full) if full else ''} | {value(cells[key])} |")
        if isa in ragged:
            ratio = sorted(run["ratio"] for run in ragged[isa])
            print(f"\nRagged batch of 12 sequences (40 to 512 rows): {ratio[len(ratio) // 2]:.3f} x the sum of its sequences alone.")


if __name__ == "__main__":
    main(sys.argv[1:])
