#!/usr/bin/python3
"""Time over length of one line, both axes logarithmic: bench_tokenizing_plot.py LINES.json OUTPUT.svg

Standard library only. A panel per kind of tokenizer, a colour per shape of text; Tessera solid (memory
kept) and thin (as it is), the native library dashed. What is parallel to the grey lines is linear.
"""
import json
import math
import pathlib
import sys

PANELS = {
    "bert-base-uncased": "WordPiece (bert-base-uncased)",
    "roberta-base": "byte-level BPE (roberta-base)",
    "20B_tokenizer": "byte-level BPE, NFC (GPT-NeoX)",
    "phi-3-mini": "BPE without words (Phi-3)",
    "xlmr-paraphrase-multilingual-mpnet-base-v2": "Unigram (XLM-R)",
    "t5-small": "Unigram (T5)",
}
COLOURS = ["#2f6fb3", "#d1495b", "#8d5a97", "#3a9d5d", "#d98324", "#5b6470"]
WIDTH, HEIGHT, LEFT, TOP, GAP = 270, 210, 62, 64, 62
LINES = {
    "Tessera": 'stroke-width="2.2"',
    "memory not kept": 'stroke-width="0.9" opacity="0.75"',
    "native": 'stroke-width="1.3" stroke-dasharray="5 3"',
}
X = (2.5e5, 6.5e6)
Y = (1e-4, 2e1)
STYLE = """text{font-family:"DejaVu Sans",system-ui,sans-serif;fill:#1b1f24;font-size:11px}
.title{font-size:12.5px;font-weight:bold}.head{font-size:15px;font-weight:bold}.soft{fill:#5b6470}
.middle{text-anchor:middle}.end{text-anchor:end}.frame{fill:none;stroke:#5b6470}
.grid{stroke:#e6e9ec}.slope{stroke:#b9c0c8;stroke-width:1}"""


class Panel:
    def __init__(self, column: int, row: int):
        self.x0 = LEFT + column * (WIDTH + GAP)
        self.y0 = TOP + row * (HEIGHT + 70)

    def at(self, size: float, seconds: float) -> tuple[float, float]:
        x = math.log(size / X[0]) / math.log(X[1] / X[0])
        y = math.log(seconds / Y[0]) / math.log(Y[1] / Y[0])
        return self.x0 + x * WIDTH, self.y0 + (1 - y) * HEIGHT

    def frame(self, title: str, marks: list[int]) -> list[str]:
        out = [f'<text class="title" x="{self.x0}" y="{self.y0 - 8}">{title}</text>']
        for power in range(-4, 2):
            x, y = self.at(X[0], 10.0 ** power)
            name = {-4: "0.1 ms", -3: "1 ms", -2: "10 ms", -1: "0.1 s", 0: "1 s", 1: "10 s"}[power]
            out.append(f'<path class="grid" d="M{x:.1f} {y:.1f}h{WIDTH}"/>')
            out.append(f'<text class="end soft" x="{x - 5:.1f}" y="{y + 4:.1f}">{name}</text>')
        for size in marks:
            x, y = self.at(size, Y[0])
            out.append(f'<path class="grid" d="M{x:.1f} {y:.1f}v{-HEIGHT}"/>')
            out.append(f'<text class="middle soft" x="{x:.1f}" y="{y + 15:.1f}">{size / 1e6:.2g}</text>')
        for power in range(-11, -5):  # slope 1
            ends = [s for s in X if Y[0] <= s * 10.0 ** power <= Y[1]]
            if len(ends) < 2:
                continue
            (x1, y1), (x2, y2) = (self.at(s, s * 10.0 ** power) for s in X)
            out.append(f'<path class="slope" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>')
        out.append(f'<rect class="frame" x="{self.x0}" y="{self.y0}" width="{WIDTH}" height="{HEIGHT}"/>')
        return out

    def curve(self, sizes: list[int], times: list, colour: str, style: str) -> list[str]:
        points = [self.at(s, min(max(t / 1e9, Y[0]), Y[1])) for s, t in zip(sizes, times) if t]
        if len(points) < 2:
            return []
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        out = [f'<path d="M{path}" fill="none" stroke="{colour}" {LINES[style]}/>']
        if style == "Tessera":
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="{colour}"/>' for x, y in points]
        return out


def main(source: str, output: str) -> None:
    rows = json.loads(pathlib.Path(source).read_text(encoding="utf-8"))
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    width = LEFT + 3 * WIDTH + 2 * GAP + 20
    height = TOP + 2 * (HEIGHT + 70) + 26
    parts = [f'<text class="head" x="{LEFT}" y="24">Tokenizing one line: CPU time over its length in MB</text>']
    for i, name in enumerate(PANELS):
        panel = Panel(i % 3, i // 3)
        mine = [row for row in rows if row["name"] == name]
        if not mine:
            continue
        parts += panel.frame(PANELS[name], mine[0]["bytes"])
        for row in mine:
            colour = COLOURS[shapes.index(row["shape"])]
            for style, which in (("native", "native"), ("memory not kept", "ours"), ("Tessera", "keeping")):
                parts += panel.curve(row["bytes"], row[which], colour, style)
    lines = [(shape, f'stroke="{colour}" stroke-width="2.6"') for shape, colour in zip(shapes, COLOURS)]
    styles = [(style, f'stroke="#1b1f24" {line}') for style, line in LINES.items()] + [("linear", 'class="slope"')]
    for row, entries in enumerate((lines, styles)):
        x, y = LEFT, height - 34 + 22 * row
        for text, line in entries:
            parts.append(f'<path d="M{x} {y}h24" {line}/><text x="{x + 29}" y="{y + 4}">{text}</text>')
            x += 50 + 7 * len(text)
    pathlib.Path(output).write_text("\n".join([
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="Time of tokenizing one line over its length">',
        f"<style>\n{STYLE}\n</style>", '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]) + "\n",
        encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
