#!/usr/bin/env python3
"""Reads the lines of validate_ema and writes bench/results/ema_validation.md to stdout.

usage: validate_ema_table.py FILE.tsv...
"""

import statistics
import sys
from collections import defaultdict

LEVELS = ("L1", "L2", "L3")


class Row:
    def __init__(self, fields):
        (self.kind, self.isa, self.encoder, rows, self.op, self.order, self.blocks, chosen, bound) = fields[:9]
        self.rows = int(rows)
        self.chosen = chosen == "chosen"
        self.bound = float(bound)
        self.model = [float(x) for x in fields[9:12]]
        self.seen = [float(x) for x in fields[12:15]]
        whole = float(fields[15]) if len(fields) > 15 else 0.0
        self.whole = whole if whole > 0 else None  # the model with all of L2

    def error(self, level):
        return abs(self.model[level] - self.seen[level]) / self.seen[level]

    def cell(self):
        return (self.isa, self.encoder, self.rows, self.op)


def percent(x):
    return f"{100 * x:.1f} %"


def spread(rows, level):
    errors = sorted(r.error(level) for r in rows)
    worst = max(rows, key=lambda r: r.error(level))
    p95 = errors[min(len(errors) - 1, int(0.95 * len(errors)))]
    where = f"{worst.encoder} {worst.op}, {worst.rows} rows, {worst.order}"
    return [str(len(rows)), percent(statistics.median(errors)), percent(p95), percent(errors[-1]), where]


def table(head, lines):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    print()


def errors(rows, kind):
    print(f"### {kind}: |model − replay| / replay\n")
    lines = []
    for isa in sorted({r.isa for r in rows}):
        of_isa = [r for r in rows if r.isa == isa]
        for level in range(3):
            chosen = [r for r in of_isa if r.chosen]
            lines.append([isa, LEVELS[level], "chosen"] + spread(chosen, level))
            if level != 1:
                continue
            for order in sorted({r.order for r in of_isa}):
                lines.append([isa, LEVELS[level], order] + spread([r for r in of_isa if r.order == order], level))
    table(["level of ISA", "edge", "order", "cells", "median", "p95", "worst", "where"], lines)


def argmin(rows, kind):
    """Is what the model says moves least into L2 what the replay says?"""
    cells = defaultdict(list)
    for r in rows:
        cells[r.cell()].append(r)
    cells = {k: v for k, v in cells.items() if len(v) > 1}
    agree, worst = 0, (0.0, None)
    for cell, candidates in cells.items():
        least = min(r.model[1] for r in candidates)
        # Orders whose prediction is the same to 0.1 % are one answer.
        ours = [r for r in candidates if r.model[1] <= 1.001 * least]
        best = min(r.seen[1] for r in candidates)
        regret = max(r.seen[1] for r in ours) / best - 1
        agree += regret <= 0.002
        worst = max(worst, (regret, cell), key=lambda x: x[0])
    text = f"{kind}: in {agree} of {len(cells)} cells ({percent(agree / len(cells))}) the order that the model says moves least is the one that does (ties to 0.2 %)."
    if worst[1] is not None:
        isa, encoder, count, op = worst[1]
        text += f" The worst miss moves {percent(worst[0])} more ({encoder} {op}, {count} rows, {isa})."
    print(text + "\n")


def reductions(rows, textbook):
    print("### What the chosen order moves into L2, by replay\n")
    print("Bytes over the bound, and the textbook orders' bytes over the chosen order's; same micro-kernel, same caches. naive is 2MNK + 2MN words, counted, not replayed.\n")
    by_cell = defaultdict(dict)
    for r in textbook:
        by_cell[r.cell()][r.order] = r
    lines = []
    for r in rows:
        if not r.chosen or r.isa != "avx512" or r.encoder not in ("BERT-base", "Wav2Vec2-large", "ViT-B", "ViT-L", "ViT-H") or r.rows < 100:
            continue
        other = by_cell.get(r.cell())
        if not other:
            continue
        mine = r.seen[1]
        lines.append([r.encoder, str(r.rows), r.op, r.order, f"{mine / 1e6:.1f}", f"{mine / r.bound:.2f}",
                      f"{other['IS'].bound / mine:.0f} x"] + [f"{other[o].seen[1] / mine:.2f} x" for o in ("IS", "WS", "OS")])
    table(["encoder", "rows", "op", "order", "MB", "over bound", "naive", "IS", "WS", "OS"], lines)


def fused(rows):
    print("### Fused attention against layerwise, bytes across L2, by replay\n")
    cells = defaultdict(dict)
    for r in rows:
        if r.isa == "avx512":
            cells[r.cell()]["chosen" if r.chosen else r.order] = r
    lines = []
    for (_, encoder, count, op), found in cells.items():
        if "chosen" not in found or "layerwise" not in found:
            continue
        a, b = found["chosen"], found["layerwise"]
        lines.append([encoder, str(count), op, a.order, f"{a.seen[1] / 1e6:.2f}", f"{a.seen[1] / a.bound:.2f}", f"{b.seen[1] / a.seen[1]:.2f} x"])
    table(["encoder", "rows", "d", "dataflow", "MB", "over bound", "layerwise"], lines)


def main():
    rows, crossovers = [], []
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as file:
            for line in file:
                fields = line.rstrip("\n").split("\t")
                if fields[0] == "crossover":
                    crossovers.append(fields[1:])
                elif len(fields) in (15, 16):
                    rows.append(Row(fields))
    print("# The model of the bytes against a replay\n")
    print("`scripts/validate_ema.sh` writes this file; docs/VALIDATION.md explains it. Caches: L1 48 KiB 12 ways, L2 2 MiB 16 ways, L3 260 MiB 20 ways, LRU; nominal rates; one thread; each op with empty caches, its changed lines written back at the end. The model is what a plan prints: it counts on ¾ of L1 and L2.\n")
    for kind in ("gemm", "gemm_bf16", "attention", "attention_bf16"):
        of_kind = [r for r in rows if r.kind == kind]
        if of_kind:
            errors(of_kind, kind)
            argmin(of_kind, kind)
    if crossovers:
        print("### From how many rows on WS-OS(a) moves less into L2 than IS-OS(a)\n")
        lines = []
        for isa, shape, predicted, measured, step in crossovers:
            off = "none found" if int(measured) == 0 else percent(int(predicted) / int(measured) - 1)
            lines.append([isa, shape, predicted, measured, step, off])
        table(["level", "(K,N)", "predicted", "replayed", "step", "error"], lines)
    reductions([r for r in rows if r.kind == "gemm"], [r for r in rows if r.kind == "textbook"])
    fused([r for r in rows if r.kind == "attention"])


if __name__ == "__main__":
    main()
