#!/usr/bin/env python3
"""Tessera's int8, bf16 and fp32 beside ONNX Runtime's dynamic int8 and fp32, one thread each, in turns.

    int8.py --package DIR --work DIR [--build DIR] [--turns N] [--only TEXT] [--markdown FILE]

For every cell: the same checkpoint of random weights and the same ids go through all; each row of last_hidden_state
must point where Tessera's fp32 does (1 - cosine is printed, its mean and its worst). Then all take turns: ONNX
Runtime in one process that stays, whose models stay loaded and of which each turn warms up; Tessera in a process
of `tessera profile` per turn (the sum of the medians of its ops). Ratios are medians over turns. Memory and load
times of BERT-base are measured behind that, of processes of `tessera embed` and of memory.mjs.
scripts/compare_onnxruntime.sh --int8 prepares what this needs; the text of bench/results/int8.md that is no
table is written by hand, above and below the tables that --markdown replaces.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
import compare  # noqa: E402
import make_onnx  # noqa: E402
import quantize_onnx  # noqa: E402

# name of random_checkpoint, batch, tokens, runs of a turn
CELLS = [
    ("BERT-base", 1, 16, 5), ("BERT-base", 1, 128, 1), ("BERT-base", 1, 512, 1), ("BERT-base", 8, 128, 1),
    ("MiniLM-L6-384", 1, 16, 31), ("MiniLM-L6-384", 1, 128, 7), ("MiniLM-L6-384", 1, 512, 1),
]
OURS = ("int8", "bf16", "fp32")
# what quantize_dynamic makes (its default, and with per_channel), and Q, K, V as a MatMulInteger of their own
FORMS = {
    "tensor": {},
    "column": {"per_channel": True},
    "apart": {"per_channel": True, "separate": True},
    "fp32": None,
}
# 1 - cosine of the worst row, for a graph that computes something else
LIMITS = {"fp32": 1e-6, "bf16": 1e-3, "int8": 5e-3, "tensor": 5e-2, "column": 5e-2, "apart": 5e-2}


def cosines(a, b):
    """1 - cosine of each row."""
    a, b = (x.reshape(-1, x.shape[-1]).astype(np.float64) for x in (a, b))
    return 1 - (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


class OnnxRuntime:
    """A process with some models loaded."""

    def __init__(self, package, models, work):
        command = ["node", HERE / "turns.mjs", package, *(f"{name}={path}" for name, path in models.items())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = self.answer()["version"]
        self.ids, self.output = work / "ids.i64", work / "ort.f32"

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("turns.mjs ended; its message is above")
        return json.loads(line)

    def run(self, name, ids, runs, with_output=False):
        """Seconds, or the output of one run."""
        ids.astype("<i8").tofile(self.ids)
        words = [name, *ids.shape, runs, self.ids] + ([self.output] if with_output else [])
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        return np.fromfile(self.output, dtype=np.float32).reshape(*ids.shape, -1) if with_output else answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Tessera:
    def __init__(self, tool, directory, work):
        self.tool, self.directory, self.work = tool, directory, work

    def states(self, ids, precision):
        given, taken = self.work / "in.safetensors", self.work / "out.safetensors"
        compare.write_safetensors(given, "input_ids", ids.astype(np.int64))
        subprocess.run([self.tool, "run", self.directory, "--threads", "1", "--precision", precision, "--input", given,
                        "--output", taken], check=True, stdout=subprocess.DEVNULL)
        return np.array(make_onnx.read_safetensors(taken)["last_hidden_state"])

    def time(self, shape, precision, runs):
        command = [self.tool, "profile", self.directory, "--threads", "1", "--precision", precision, "--json",
                   "--runs", str(runs), "--sequences", str(shape[0]), "--rows", str(shape[0] * shape[1])]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["totals"]


def models(work, name):
    """The checkpoint's ONNX files by form, made where they are not there."""
    paths = {form: work / f"{name}.{form}.onnx" for form in FORMS}
    if not paths["fp32"].exists():
        make_onnx.main(work / name, str(paths["fp32"]))
    for form, options in FORMS.items():
        if not paths[form].exists():
            quantize_onnx.main(str(paths["fp32"]), str(paths[form]), **options)
    return paths


def measure(tessera, other, shape, runs, turns):
    """Seconds of each turn: (int8, bf16, fp32 of Tessera, then the forms of ONNX Runtime)."""
    _, ids = compare.inputs(False, *shape)
    seconds = {("Tessera", p): [] for p in OURS} | {("ONNX Runtime", f): [] for f in FORMS}
    for _ in range(turns):
        for mine, theirs in zip((*OURS, None), FORMS):
            if mine:
                totals = tessera.time(shape, mine, runs)
                seconds["Tessera", mine].append(totals["measured"]["seconds"])
            seconds["ONNX Runtime", theirs].append(other.run(theirs, ids, runs))
    return seconds, totals["flops"]


def ratio(seconds, above, below):
    """Median of the turns' quotients, and the least and the most."""
    all_ = [a / b for a, b in zip(seconds[above], seconds[below])]
    return statistics.median(all_), min(all_), max(all_)


def time_table(cells, best):
    names = ("Tessera int8", "bf16", "fp32", "ONNX Runtime int8, a scale per tensor", "per column",
             "per column, Q K V apart", "fp32")
    head = ("| model | batch | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names))
    rows = []
    for cell, seconds, *_ in cells:
        rows.append(f"| {cell} | " + " | ".join(f"{1e3 * best(s):.2f}" for s in seconds.values()) + " |")
    return [*head, *rows]


def ratio_table(cells):
    rows = ["| model | batch | fastest int8 of ONNX Runtime / our int8 | spread | of the least times | fp32 of ONNX Runtime / our int8 | our fp32 / our int8 "
            "| our bf16 / our int8 | fp32: ONNX Runtime / ours | our int8, GFLOP/s | of the s8 peak |", "|---|---|" + "---|" * 9]
    for cell, seconds, flops, peak in cells:
        mine = ("Tessera", "int8")
        fastest = min((f for f in FORMS if f != "fp32"), key=lambda f: statistics.median(seconds["ONNX Runtime", f]))
        middle, least, most = ratio(seconds, ("ONNX Runtime", fastest), mine)
        others = [ratio(seconds, ("ONNX Runtime", "fp32"), mine), ratio(seconds, ("Tessera", "fp32"), mine),
                  ratio(seconds, ("Tessera", "bf16"), mine), ratio(seconds, ("ONNX Runtime", "fp32"), ("Tessera", "fp32"))]
        least_ratio = min(min(seconds["ONNX Runtime", f]) for f in FORMS if f != "fp32") / min(seconds[mine])
        rate = flops / statistics.median(seconds[mine]) / 1e9
        rows.append(f"| {cell} | **{middle:.2f}** | {least:.2f}-{most:.2f} | {least_ratio:.2f} | " + " | ".join(f"{o[0]:.2f}" for o in others)
                    + f" | {rate:.0f} | {100 * rate / peak:.0f} % |")
    return rows


def cosine_table(rows):
    names = ("Tessera int8", "bf16", "ONNX Runtime int8, a scale per tensor", "per column", "per column, Q K V apart", "fp32")
    return ["| model | batch | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names),
            *(f"| {cell} | " + " | ".join(f"{off.mean():.1e}, {off.max():.1e}" for off in all_) + " |" for cell, all_ in rows)]


# ru_maxrss of a process counts what its parent had before exec: a small parent
REAP = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)")


def watched(command):
    """The most resident memory of a process, in MiB: all, and (of another run, looked at every millisecond) what is
    no page of a file."""
    said = subprocess.run(["/usr/bin/python3", "-c", REAP, *command], check=True, stdout=subprocess.PIPE).stdout
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    anonymous = 0.0
    while process.poll() is None:
        try:
            text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        found = re.search(r"RssAnon:\s+(\d+)", text)
        if found and "python" not in text.split("\n", 1)[0]:  # before exec the memory is this program's
            anonymous = max(anonymous, int(found[1]) / 1024)
        time.sleep(0.001)
    if process.wait() != 0:
        raise SystemExit(f"{command[0]}: exit status {process.returncode}")
    return float(said.split()[-1]), anonymous


def seconds_of(command):
    begin = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - begin


def memory_table(options, paths):
    directory, texts = options.work / "BERT-base", options.work / "memory.ids"
    shapes = ((1, 16), (8, 128), (32, 128))
    rows = ["| | start to end, one text of 16, s | " + " | ".join(f"most resident (not of files), {b} x {t}" for b, t in shapes) + " |",
            "|---|---|---|---|---|"]
    for precision in OURS:
        cells, seconds = [], []
        for shape in shapes:
            _, ids = compare.inputs(False, *shape)
            texts.write_text("".join(" ".join(map(str, row)) + "\n" for row in ids))
            command = [options.tool, "embed", directory, texts, "--ids", "--threads", "1", "--precision", precision, "-o",
                       options.work / "memory.npy"]
            seconds = seconds or [seconds_of(command) for _ in range(15)]
            all_, anonymous = zip(*(watched(command) for _ in range(3)))
            cells.append(f"{max(all_):.0f} ({max(anonymous):.0f})")
        rows.append(f"| Tessera {precision} | {statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f}) | "
                    + " | ".join(cells) + " |")
    for form, name in (("column", "int8 per column"), ("fp32", "fp32")):
        cells, loads = [], []
        for shape in shapes:
            for _ in range(7 if shape == (1, 16) else 1):
                text = subprocess.run(["node", HERE / "memory.mjs", options.package, paths[form], *map(str, (shape[0], shape[1]))],
                                      check=True, stdout=subprocess.PIPE, text=True).stdout
                values = dict(line.split() for line in text.splitlines())
                if shape == (1, 16):
                    loads.append(float(values["load_ms"]) / 1e3)
            cells.append(f"{float(values['peak_bytes']) / 2**20:.0f}")
        rows.append(f"| ONNX Runtime {name} | load alone: {statistics.median(loads):.2f} ({min(loads):.2f}-{max(loads):.2f}) | "
                    + " | ".join(cells) + " |")
    return rows


def replace(path, tables):
    """Puts each table between its marks, <!-- NAME --> and <!-- end -->; writes the marks alone into a new file."""
    text = path.read_text() if path.exists() else "".join(f"<!-- {name} -->\n<!-- end -->\n\n" for name in tables)
    for name, lines in tables.items():
        mark, end = f"<!-- {name} -->\n", "\n<!-- end -->"
        begin = text.index(mark) + len(mark)
        text = text[:begin] + "\n" + "\n".join(lines) + "\n" + text[text.index(end, begin - 1):]
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=pathlib.Path, required=True, help="folder whose node_modules has onnxruntime-node")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--only", default="")
    parser.add_argument("--markdown", type=pathlib.Path)
    options = parser.parse_args()
    options.work, options.tool = options.work.resolve(), options.build.resolve() / "tessera/tessera"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    timed, accurate, memory = [], [], []
    for name in dict.fromkeys(cell[0] for cell in CELLS if options.only in cell[0]):
        directory = options.work / name
        if not directory.exists():
            subprocess.run([options.build / "bench/random_checkpoint", name, directory], check=True)
        paths = models(options.work, name)
        plan = subprocess.run([options.tool, "plan", directory, "--threads", "1", "--precision", "int8", "--json"],
                              check=True, stdout=subprocess.PIPE).stdout
        rates = json.loads(plan)["rates"]
        peak = float(re.search(r" s8 ([0-9.]+)", rates)[1])
        tessera = Tessera(options.tool, directory, options.work)
        other = OnnxRuntime(options.package, paths, options.work)
        for _, batch, tokens, runs in (cell for cell in CELLS if cell[0] == name):
            _, ids = compare.inputs(False, batch, tokens)
            right = tessera.states(ids, "fp32")
            offs = {p: cosines(right, tessera.states(ids, p)) for p in ("int8", "bf16")}
            offs |= {f: cosines(right, other.run(f, ids, 1, with_output=True)) for f in FORMS}
            for key, off in offs.items():
                if not off.max() < LIMITS[key]:
                    raise SystemExit(f"{name} {batch}x{tokens} {key}: 1 - cosine {off.max()}, expected < {LIMITS[key]}")
            cell = f"{name} | {batch} x {tokens}"
            accurate.append((cell, list(offs.values())))
            timed.append((cell, *measure(tessera, other, (batch, tokens), runs, options.turns), peak))
            for table in (time_table, ratio_table):
                print(table(timed[-1:], statistics.median)[-1] if table is time_table else table(timed[-1:])[-1], flush=True)
        other.close()
        if name == "BERT-base":
            memory = memory_table(options, paths)
    tables = {"median": time_table(timed, statistics.median), "least": time_table(timed, min), "ratio": ratio_table(timed),
              "cosine": cosine_table(accurate), "memory": memory}
    raw = [(cell, {" ".join(key): value for key, value in seconds.items()}) for cell, seconds, *_ in timed]
    (options.work / "int8.json").write_text(json.dumps(raw))  # every turn
    said = f"ONNX Runtime {other.version}, {options.turns} turns; rates: {rates}"
    for name, lines in tables.items():
        print(f"\n{name}\n" + "\n".join(lines))
    print("\n" + said)
    if options.markdown and not options.only:  # a part is printed, and replaces nothing
        replace(options.markdown, tables)


if __name__ == "__main__":
    main()
