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

    def exponents(which: str):
        def cell(row: dict) -> str:
            times = [t for t in row[which] if t]
            return f"{slope(row['bytes'], row[which]):.2f}" if len(times) > 1 else "-"
        return cell

    def speed(row: dict) -> str:
        both = [(n / o) for o, n in zip(row["ours"], row["native"]) if n]
        mb = [1e3 * row["bytes"][-1] / row[which][-1] for which in ("keeping", "ours")]
        return f"{mb[0]:.1f}, {mb[1]:.1f}" + (f", **{both[-1]:.1f}x**" if both else "")

    longest = max(row["bytes"][-1] for row in rows) / 1e6
    compared = max((b for row in rows for b, n in zip(row["bytes"], row["native"]) if n), default=0) / 1e6
    print(f"\nExponents from 0.3 to {longest:.0f} MB; 1 is linear. From about 1 MB on, the C library gives the memory "
          "of a call back to the system, and the next call pays for every page of it anew: a cost per byte that "
          "begins there and, on this virtual machine, is most of the time. So the time is taken twice: where the "
          "process keeps its memory (`GLIBC_TUNABLES=glibc.malloc.mmap_threshold=1073741824:"
          "glibc.malloc.trim_threshold=8589934592`), which shows the algorithms, and as it is.")
    table("Tessera, memory kept:", exponents("keeping"))
    table("Tessera as it is:", exponents("ours"))
    table(f"Tessera's MB/s at {longest:.0f} MB, memory kept and as it is, and the native library's time over Tessera's "
          f"(both as they are) at {compared:.2f} MB:", speed)


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


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
