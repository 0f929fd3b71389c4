#!/usr/bin/env python3
"""What bf16, int8 and ternary weights cost: the shipped checkpoints at fp32 and so, on the same held-out inputs.

    scripts/compare_precisions.py [TOOL]        default: build/release/tessera/tessera

embeddings  of models/demo/text: how far the precision turns one, and at most
sections    accuracy of models/demo/text-sections on data/sections-test.tsv
retrieval   recall and MRR of models/demo/text: the first sentence of each of these descriptions
            looks for the rest of it among the rests of all
glyphs      accuracy of models/demo/vision on data/glyphs.tar
"int8+list": the directory of `tessera quantize --calibrate --min-cosine 0.9995`, of 64 synopses; "int8+words" that
of `--word-embeddings`, "int8+clip" that of `--clip`. "ternary":
models/demo/text-ternary and text-sections-ternary at int8, which were trained so: their embeddings are others.
"only": right with the one and wrong with the other. Needs numpy.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "models/demo"
OTHERS = ("bf16", "int8")
LISTED, TERNARY = "int8+list", "ternary"
MADE = {"int8+words": "--word-embeddings", "int8+clip": "--clip"}


def run(tool: str, *arguments: str) -> str:
    """The tool's output; a failure ends the script with its message."""
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())
    return done.stdout


def lines(path: Path, texts: list[str]) -> str:
    """Writes one text per line and gives the path."""
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return str(path)


def variants(tool: str, model: str, work: Path) -> dict[str, list[str]]:
    """Directory and --precision of each way to compute a text model; makes the directory of LISTED."""
    synopses = (DEMO / "data/synopses.tsv").read_text(encoding="utf-8").splitlines()[:64]
    texts = lines(work / "calibration.txt", [row.split("\t")[-1] for row in synopses])
    quantised = str(work / model)
    said = run(tool, "quantize", str(DEMO / model), "--out", quantised, "--calibrate", texts, "--min-cosine", "0.9995")
    print(f"{LISTED} of {model}:\n  " + "\n  ".join(said.strip().splitlines()))
    whole = str(DEMO / model)
    for variant, flag in MADE.items():
        run(tool, "quantize", whole, "--out", f"{quantised}{variant}", flag)
    return {
        **{p: [whole, "--precision", p] for p in ("fp32", *OTHERS)},
        LISTED: [quantised, "--precision", "int8"],
        **{v: [f"{quantised}{v}", "--precision", "int8"] for v in MADE},
        TERNARY: [f"{whole}-ternary", "--precision", "int8"],
    }


def show_right(what: str, right: dict[str, np.ndarray]) -> None:
    """Shares of right answers, and where each disagrees with fp32."""
    a = right["fp32"]
    for precision, b in right.items():
        if precision == "fp32":
            continue
        print(
            f"{what:<22} n {len(a):<5} fp32 {a.mean():.4f}  {precision} {b.mean():.4f}"
            f"  only fp32 {int((a & ~b).sum())}  only {precision} {int((b & ~a).sum())}"
        )


def main() -> None:
    """A line each."""
    tool = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/release/tessera/tessera")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        rows = [
            line.split("\t")
            for line in (DEMO / "data/sections-test.tsv").read_text(encoding="utf-8").splitlines()
        ]
        labels = np.array([row[0] for row in rows])
        texts = lines(work / "sections.txt", [row[1] for row in rows])
        right = {}
        for precision, (model, *flags) in variants(tool, "text-sections", work).items():
            answers = run(tool, "classify", model, texts, *flags)
            right[precision] = np.array([a.split("\t")[0] for a in answers.splitlines()]) == labels
        show_right("sections, accuracy", right)

        pairs = [parts for parts in (row[1].split(". ", 1) for row in rows) if len(parts) == 2]
        files = [lines(work / f"{side}.txt", [pair[side] for pair in pairs]) for side in (0, 1)]
        ranks, embedded = {}, {}
        for precision, (model, *flags) in variants(tool, "text", work).items():
            sides = []
            for file in files:
                out = str(work / "rows.npy")
                run(tool, "embed", model, file, *flags, "--format", "npy", "-o", out)
                sides.append(np.load(out))
            embedded[precision] = np.concatenate(sides).astype(np.float64)
            scores = sides[0] @ sides[1].T
            ranks[precision] = 1 + (scores > np.diag(scores)[:, None]).sum(1)
        unit = {p: x / np.linalg.norm(x, axis=1, keepdims=True) for p, x in embedded.items()}
        for p in (*OTHERS, LISTED, *MADE):
            off = 1 - (unit["fp32"] * unit[p]).sum(1)
            print(f"{'embeddings':<22} n {len(off):<5} 1 - cosine of fp32 and {p}: mean {off.mean():.1e}  worst {off.max():.1e}")
        for most in (1, 10):
            show_right(f"retrieval, recall@{most}", {p: r <= most for p, r in ranks.items()})
        mrr = {p: float((1 / r).mean()) for p, r in ranks.items()}
        for p in (*OTHERS, LISTED, *MADE, TERNARY):
            changed = int((ranks["fp32"] != ranks[p]).sum())
            print(f"{'retrieval, MRR':<22} n {len(pairs):<5} fp32 {mrr['fp32']:.4f}  {p} {mrr[p]:.4f}  ranks that differ {changed}")

        with tarfile.open(DEMO / "data/glyphs.tar") as archive:
            archive.extractall(work)
        kinds = dict(
            line.split("\t")[:2]
            for line in (DEMO / "data/glyphs.tsv").read_text(encoding="utf-8").splitlines()
        )
        right = {}
        for precision in ("fp32", *OTHERS):
            answers = run(tool, "classify", str(DEMO / "vision"), str(work / "glyphs"), "--precision", precision)
            fields = [a.split("\t") for a in answers.splitlines()]
            right[precision] = np.array([kinds[Path(f[0]).name] == f[1] for f in fields])
        show_right("glyphs, accuracy", right)


if __name__ == "__main__":
    main()
