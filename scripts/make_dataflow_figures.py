#!/usr/bin/env python3
"""The figures of docs/DATAFLOW.md: which block stays, which one streams.

    scripts/make_dataflow_figures.py [FOLDER]      writes docs/figures/*.svg (or into FOLDER)

Standard library only; the same files at every call.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

STAYS, MOVES, EDGE, FRAME, TEXT, SOFT, DONE = (
    "#2f6fb3", "#f0a445", "#ffffff", "#5b6470", "#1b1f24", "#5b6470", "#dfe3e8")
STYLE = f"""text{{font-family:"DejaVu Sans",system-ui,"Segoe UI",Roboto,sans-serif;fill:{TEXT};font-size:12px}}
.title{{font-size:15px;font-weight:bold}}
.code{{font-family:"DejaVu Sans Mono",ui-monospace,monospace;font-size:11.5px}}
.soft{{fill:{SOFT}}}
.white{{fill:#ffffff;font-weight:bold}}
.middle{{text-anchor:middle}}
.end{{text-anchor:end}}
.frame{{fill:none;stroke:{FRAME};stroke-width:1.2}}
.arrow{{stroke:{TEXT};stroke-width:1.6;fill:none}}
.head{{fill:{TEXT};stroke:none}}"""


class Drawing:
    """Shapes in the order they are drawn; coordinates are rounded, so that files do not change."""

    def __init__(self, width, height, label):
        self.width, self.height, self.label = width, height, label
        self.parts = []

    def rectangle(self, x, y, w, h, fill=None, kind=""):
        style = f' fill="{fill}"' if fill else ""
        style += f' class="{kind}"' if kind else ""
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"{style}/>')

    def block(self, x, y, w, h, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}" '
                          f'stroke="{EDGE}" stroke-width="1"/>')

    def text(self, x, y, words, kind=""):
        words = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        keep = ' xml:space="preserve"' if "code" in kind else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{keep}>{words}</text>')

    def arrow(self, x0, y0, x1, y1):
        """Straight along an axis."""
        size = 6
        dx, dy = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
        self.parts.append(f'<path class="arrow" d="M{x0:.1f} {y0:.1f}L{x1 - dx * size:.1f} {y1 - dy * size:.1f}"/>')
        bx, by = x1 - dx * size, y1 - dy * size
        self.parts.append(f'<path class="head" d="M{x1:.1f} {y1:.1f}L{bx + dy * 4:.1f} {by + dx * 4:.1f}'
                          f'L{bx - dy * 4:.1f} {by - dx * 4:.1f}Z"/>')

    def save(self, path):
        lines = ['<?xml version="1.0" encoding="UTF-8"?>',
                 f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
                 f'width="{self.width}" height="{self.height}" role="img" aria-label="{self.label}">',
                 f"<style>\n{STYLE}\n</style>", '<rect width="100%" height="100%" fill="#ffffff"/>',
                 *self.parts, "</svg>"]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(path)


# ---- Loop orders --------------------------------------------------------------------------------

M, N, K = 120, 176, 112  # drawn extents; A (M,K) lower left, B (K,N) upper right, C (M,N) lower right
MC, NC, KC = 60, 88, 56  # cache blocks
MR, NR = 15, 22          # the register tile
GAP = 12

# Blocks are (row, column, rows, columns). `stays` and `moves` name the operand; `arrows` are
# (operand, direction): where the next block comes from.
ORDERS = [
    dict(title="IS-OS(a)", option="is_os_a",
         stays=[("A", 0, 0, MC, K)],
         moves=[("B", 0, 2 * NR, K, NR), ("C", 0, 2 * NR, MC, NR)],
         arrows=[("B", "right"), ("C", "right")],
         nest=["for MC rows of M", "  for panel of NR columns", "    for KC of K", "      for tile of MR rows"],
         notes=["MC×K of A stays in L2", "B passes once per block of rows: ⌈M/MC⌉ times"]),
    dict(title="IS-OS(b)", option="is_os_b",
         stays=[("C", 0, 0, MC, N)],
         moves=[("A", 0, 0, MC, KC), ("B", 0, 2 * NR, KC, NR)],
         arrows=[("A", "right"), ("B", "right")],
         nest=["for MC rows of M", "  for KC of K", "    for panel of NR columns", "      for tile of MR rows"],
         notes=["MC×N of C stays in L2, K in pieces", "B passes once per block of rows: ⌈M/MC⌉ times"]),
    dict(title="2-D OS", option="os_2d",
         stays=[("C", 0, 0, MC, NC)],
         moves=[("A", 0, 0, MC, KC), ("B", 0, 2 * NR, KC, NR)],
         arrows=[("A", "right"), ("B", "right")],
         nest=["for MC rows of M", "  for NC columns of N", "    for KC of K", "      for panel of NR columns",
               "        for tile of MR rows"],
         notes=["MC×NC of C stays in L2, K in pieces", "A passes ⌈N/NC⌉ times, B passes ⌈M/MC⌉ times"]),
    dict(title="WS-OS(a)", option="ws_os_a",
         stays=[("B", 0, 0, K, NC)],
         moves=[("A", 2 * MR, 0, MR, K), ("C", 2 * MR, 0, MR, NC)],
         arrows=[("A", "down"), ("C", "down")],
         nest=["for NC columns of N", "  for tile of MR rows", "    for panel of NR columns"],
         notes=["K×NC of B stays in L2", "A passes once per block of columns: ⌈N/NC⌉ times"]),
    dict(title="WS-OS(b)", option="ws_os_b",
         stays=[("C", 0, 0, M, NC)],
         moves=[("B", 0, 0, KC, NC), ("A", 2 * MR, 0, MR, KC)],
         arrows=[("A", "down"), ("B", "down")],
         nest=["for NC columns of N", "  for KC of K", "    for tile of MR rows", "      for panel of NR columns"],
         notes=["M×NC of C stays in L2, K in pieces", "A passes once per block of columns: ⌈N/NC⌉ times"]),
]


def draw_order(d, x, y, order):
    d.text(x, y + 16, order["title"], "title")
    d.text(x + 92, y + 16, "--loop-order " + order["option"], "code soft")
    ax, bx, by = x + 16, x + 16 + K + GAP, y + 44
    ay = by + K + GAP
    at = {"A": (ax, ay, M, K), "B": (bx, by, K, N), "C": (bx, ay, M, N)}
    for fill, blocks in ((MOVES, order["moves"]), (STAYS, order["stays"])):
        for name, row, column, rows, columns in blocks:
            ox, oy = at[name][:2]
            d.block(ox + column, oy + row, columns, rows, fill)
    for ox, oy, rows, columns in at.values():
        d.rectangle(ox, oy, columns, rows, kind="frame")
    for name, direction in order["arrows"]:
        row, column, rows, columns = next(b[1:] for b in order["moves"] if b[0] == name)
        ox, oy = at[name][:2]
        if direction == "right":
            mid = oy + row + rows / 2
            d.arrow(ox + column + columns + 3, mid, ox + column + columns + 36, mid)
        else:
            mid = ox + column + columns / 2
            d.arrow(mid, oy + row + rows + 3, mid, oy + row + rows + 36)
    d.text(ax, ay + M + 16, "A (M,K)", "soft")
    d.text(bx + N, by - 7, "B (K,N)", "soft end")
    d.text(bx + N, ay + M + 16, "C (M,N)", "soft end")
    line = ay + M + 44
    for text in order["notes"]:
        d.text(x + 10, line, text)
        line += 18
    line += 6
    for text in order["nest"]:
        d.text(x + 10, line, text, "code")
        line += 16


def loop_orders(folder):
    cell_w, cell_h = 372, 460
    d = Drawing(3 * cell_w + 24, 2 * cell_h + 16, "The five loop orders: which block stays in L2, which streams")
    for i, order in enumerate(ORDERS):
        draw_order(d, 24 + i % 3 * cell_w, 12 + i // 3 * cell_h, order)
    x, y = 24 + 2 * cell_w, 12 + cell_h
    d.text(x, y + 16, "How to read it", "title")
    d.block(x + 6, y + 40, 34, 22, STAYS)
    d.text(x + 52, y + 56, "stays in the cache while the")
    d.text(x + 52, y + 73, "loops inside use it")
    d.block(x + 6, y + 92, 34, 22, MOVES)
    d.text(x + 52, y + 108, "streams: the block of this moment")
    d.arrow(x + 6, y + 141, x + 40, y + 141)
    d.text(x + 52, y + 145, "where its next block lies")
    for i, words in enumerate(["C (M,N) = A (M,K) · B (K,N)", "A: activations, B: weights, C: output.",
                               "Loops are written outermost first.", "IS-OS(b), WS-OS(b) and 2-D OS split K:",
                               "C stays and takes the partial sums."]):
        d.text(x + 6, y + 186 + 19 * i, words)
    d.save(folder / "loop_orders.svg")


# ---- Attention ----------------------------------------------------------------------------------

T, D, BR, BC = 128, 26, 16, 32  # drawn extents

# Blocks as above over S (T,T), Q and O (T,d), KV (d,T), and P, a second matrix behind S.
DATAFLOWS = [
    dict(title="layerwise", stays=[("S", 0, 0, T, T)], second=True,
         moves=[("Q", 2 * BR, 0, BR, D), ("KV", 0, 0, D, T)], arrows=[("Q", "down")],
         notes=["all of S, then all of P, then O", "live: 2·T² of scores"]),
    dict(title="flat_head", stays=[("S", 0, 0, T, T)],
         moves=[("Q", 2 * BR, 0, BR, D), ("KV", 0, 0, D, T)], arrows=[("Q", "down")],
         notes=["the same, P over S in place", "live: T² of scores"]),
    dict(title="flat_rows", stays=[("S", 2 * BR, 0, BR, T)], done=(2 * BR, T),
         moves=[("Q", 2 * BR, 0, BR, D), ("O", 2 * BR, 0, BR, D), ("KV", 0, 0, D, T)],
         arrows=[("S", "down")],
         notes=["Br whole rows: S, softmax, P·V", "live: Br·T of scores"]),
    dict(title="streaming", stays=[("Q", 2 * BR, 0, BR, D), ("O", 2 * BR, 0, BR, D), ("S", 2 * BR, BC, BR, BC)],
         done=(2 * BR, BC), moves=[("KV", 0, BC, D, BC)], arrows=[("S", "right"), ("KV", "right")],
         notes=["query-stationary: Q, m, l, O stay,", "tiles of K and V stream", "live: Br·Bc of scores"]),
    dict(title="streaming_keys", stays=[("KV", 0, BC, D, BC), ("S", 2 * BR, BC, BR, BC)], columns=(BC, 2 * BR),
         moves=[("Q", 2 * BR, 0, BR, D), ("O", 2 * BR, 0, BR, D)],
         arrows=[("S", "down"), ("Q", "down"), ("O", "down")],
         notes=["key-stationary: a tile of K and V stays,", "up to 16 blocks of Q, m, l, O pass",
                "live: Br·Bc of scores"]),
    dict(title="interleaved", stays=[("Q", 2 * BR, 0, 2 * BR, D), ("O", 2 * BR, 0, 2 * BR, D),
                                     ("S", 2 * BR, BC, BR, BC), ("S", 3 * BR, BC, BR, BC)],
         done=(2 * BR, 0), moves=[("KV", 0, BC, D, BC)], arrows=[("KV", "right")], pair=True,
         notes=["streaming, two blocks of rows at a time:", "exp of one between the FMAs of the other",
                "live: 2·Br·Bc of scores"]),
]


def draw_dataflow(d, x, y, flow):
    d.text(x, y + 16, flow["title"], "title")
    sx, sy = x + 12 + D + GAP, y + 54 + D + GAP
    at = {"Q": (x + 12, sy, T, D), "KV": (sx, sy - GAP - D, D, T), "S": (sx, sy, T, T), "O": (sx + T + GAP + 12, sy, T, D)}
    if flow.get("second"):
        d.block(sx + 9, sy + 9, T, T, STAYS)
        d.rectangle(sx + 9, sy + 9, T, T, kind="frame")
    if "done" in flow:  # rows above, and the part of this row before the tile
        rows, columns = flow["done"]
        d.rectangle(sx, sy, T, rows, DONE)
        d.rectangle(sx, sy + rows, columns if columns < T else 0, BR, DONE)
        if flow.get("pair"):
            d.rectangle(sx, sy + rows, BC, 2 * BR, DONE)
    if "columns" in flow:  # columns to the left, and the part of this column above the tile
        columns, rows = flow["columns"]
        d.rectangle(sx, sy, columns, T, DONE)
        d.rectangle(sx + columns, sy, BC, rows, DONE)
    for fill, blocks in ((MOVES, flow["moves"]), (STAYS, flow["stays"])):
        for name, row, column, rows, columns in blocks:
            ox, oy = at[name][:2]
            d.block(ox + column, oy + row, columns, rows, fill)
    for ox, oy, rows, columns in at.values():
        d.rectangle(ox, oy, columns, rows, kind="frame")
    for name, direction in flow["arrows"]:
        row, column, rows, columns = next(b[1:] for b in flow["moves"] + flow["stays"] if b[0] == name)
        ox, oy = at[name][:2]
        if direction == "right":
            mid = oy + row + rows / 2
            d.arrow(ox + column + columns + 3, mid, ox + column + columns + 30, mid)
        else:
            mid = ox + column + columns / 2
            d.arrow(mid, oy + row + rows + 3, mid, oy + row + rows + 30)
    if flow.get("pair"):
        d.text(sx + BC + BC / 2, sy + 2 * BR + 12, "exp", "white middle")
        d.text(sx + BC + BC / 2, sy + 3 * BR + 12, "QKᵀ", "white middle")
        d.arrow(sx + 2 * BC + 3, sy + 3 * BR, sx + 2 * BC + 33, sy + 3 * BR)
    d.text(at["Q"][0] + D / 2, sy - 7, "Q", "middle soft")
    d.text(at["O"][0] + D / 2, sy - 7, "O", "middle soft")
    d.text(sx + T / 2, sy - GAP - D - 7, "Kᵀ, V", "middle soft")
    if flow.get("second"):
        d.text(sx + T / 2, sy + T / 2 + 6, "S, then P", "white middle")
    elif flow["title"] == "flat_head":
        d.text(sx + T / 2, sy + T / 2 + 6, "S = P", "white middle")
    else:
        d.text(sx + T - 5, sy + T - 8, "S (T,T)", "end soft")
    line = sy + T + 34
    for text in flow["notes"]:
        d.text(x + 4, line, text)
        line += 18


def attention_dataflows(folder):
    cell_w, cell_h = 318, 322
    d = Drawing(3 * cell_w + 24, 2 * cell_h + 48, "The six attention dataflows: what is live of the score matrix")
    for i, flow in enumerate(DATAFLOWS):
        draw_dataflow(d, 24 + i % 3 * cell_w, 12 + i // 3 * cell_h, flow)
    x, y = 24, 2 * cell_h + 14
    for fill, words, step in ((STAYS, "stays while the loops inside use it", 290), (MOVES, "streams", 110),
                              (DONE, "scores that are done, and kept nowhere", 300)):
        d.block(x, y, 26, 18, fill)
        d.text(x + 34, y + 14, words)
        x += step
    d.arrow(x, y + 9, x + 28, y + 9)
    d.text(x + 36, y + 14, "the next tile")
    d.save(folder / "attention_dataflows.svg")


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    loop_orders(folder)
    attention_dataflows(folder)


if __name__ == "__main__":
    main()
