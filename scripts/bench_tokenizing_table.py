#!/usr/bin/python3
"""Turns what scripts/tokenizing/ measured into Markdown: bench_tokenizing_table.py FOLDER

Ratios are the native library's time over Tessera's: above 1 Tessera is faster. Exponents are slopes of
log(time) over log(length), by least squares.
"""
import datetime
import json
import math
import pathlib
import platform
import re
import statistics
import subprocess
import sys


def cpu() -> str:
    """The CPU's name; some virtual machines say little more than the vendor, so family and model too."""
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^(model name|cpu family|model)\s*:\s*(.+)$", text, re.M))
    return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']})"


def slope(sizes: list[int], times: list) -> float:
    points = [(math.log(x), math.log(y)) for x, y in zip(sizes, times) if y]
    mx, my = (statistics.fmean(p[i] for p in points) for i in (0, 1))
    return sum((x - mx) * (y - my) for x, y in points) / sum((x - mx) ** 2 for x, _ in points)


def ratios_table(kinds: list[dict]) -> None:
    print("| tokenizer | what | texts | median ratio | worst ratio | worst text | its bytes | Tessera, µs | native, µs |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in kinds:
        times = sorted(kind["times"], key=lambda t: t["native"] / t["ours"])
        median = statistics.median(t["native"] / t["ours"] for t in times)
        worst = times[0]
        print(f"| {kind['name']} | {kind['kind']} | {len(times)} | **{median:.1f}** "
              f"| **{worst['native'] / worst['ours']:.2f}** | {worst['text']} | {worst['bytes']} "
              f"| {worst['ours'] / 1e3:.1f} | {worst['native'] / 1e3:.1f} |")


def by_text_table(kinds: list[dict]) -> None:
    """The texts that have a shape of their own: the least ratio and the median over the tokenizers."""
    shapes: dict[str, list] = {}
    for kind in kinds:
        for t in kind["times"]:
            if not t["text"].startswith("vector "):
                shapes.setdefault(t["text"], []).append((t["native"] / t["ours"], kind["name"], t["bytes"]))
    print("| text | bytes | median ratio | least | with |")
    print("|---|---|---|---|---|")
    for text, rows in shapes.items():
        least = min(rows)
        print(f"| {text} | {least[2]} | {statistics.median(r[0] for r in rows):.1f} | {least[0]:.2f} | {least[1]} |")


def lines_tables(rows: list[dict]) -> None:
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    names = list(dict.fromkeys(row["name"] for row in rows))
    cells = {(row["name"], row["shape"]): row for row in rows}

    def table(title: str, cell) -> None:
        print(f"\n{title}\n")
        print(f"| tokenizer | {' | '.join(shapes)} |")
        print(f"|---|{'---|' * len(shapes)}")
        for name in names:
            print(f"| {name} | {' | '.join(cell(cells[name, shape]) for shape in shapes)} |")

    def exponents(row: dict) -> str:
        native = slope(row["bytes"], row["native"]) if sum(x is not None for x in row["native"]) > 1 else None
        return f"**{slope(row['bytes'], row['ours']):.2f}**" + (f", {native:.2f}" if native else "")

    def speed(row: dict) -> str:
        both = [(n / o) for o, n in zip(row["ours"], row["native"]) if n]
        return f"{1e3 * row['bytes'][-1] / row['ours'][-1]:.1f}" + (f", {both[-1]:.1f}x" if both else "")

    longest = max(row["bytes"][-1] for row in rows) / 1e6
    compared = max(b for row in rows for b, n in zip(row["bytes"], row["native"]) if n) / 1e6
    table(f"Exponents from 0.3 to {longest:.0f} MB, of Tessera and (to {compared:.2f} MB) of the native library; 1 is linear:",
          exponents)
    table(f"Tessera's MB/s at {longest:.0f} MB, and the ratio at the longest line that both were given:", speed)


def main(folder: pathlib.Path) -> None:
    print("# Tokenizing beside the native library\n")
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"`scripts/bench_tokenizing.sh` on an {cpu()}, {datetime.date.today()}; "
          f"Hugging Face tokenizers 0.23.2 from npm, node {node}, Python {platform.python_version()} for this table.\n")
    print("One thread each, in turns in the same run, on a machine that other jobs shared: CPU time of the thread "
          "that encodes, medians of 5 turns. What node takes around a call is not counted, and neither is freeing "
          "the native results; both sides compute offsets. The ratio is the native library's time over Tessera's: "
          "above 1 Tessera is faster.\n")
    texts = folder / "tokenizing.json"
    if texts.exists():
        kinds = json.loads(texts.read_text(encoding="utf-8"))
        print(f"The ids of all {kinds[0]['compared']} texts were the same before any was timed.\n")
        ratios_table(kinds)
        print("\nBy shape of the text, over all tokenizers:\n")
        by_text_table(kinds)
    lines = folder / "tokenizing_lines.json"
    if lines.exists():
        print("\n## One long line\n")
        print("![Time over length](tokenizing.svg)")
        lines_tables(json.loads(lines.read_text(encoding="utf-8")))
        print("\nEach size is one call (Tessera: the lesser of two) in a fresh process's memory. From about 1 MB on, "
              "the C library returns the memory of a call to the system after it, and the next call pays for every "
              "page anew: the step in some curves, on both sides. It is a cost per byte, not one that grows.")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
