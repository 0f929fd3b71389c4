#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Python costs over the C ABI, and texts to vectors beside transformers.js (ONNX Runtime); writes
bench/results/python.md.

    scripts/bench_python.py [--build BUILD_DIR] [--peer FOLDER] [--quick] [--out FILE]

--peer   a folder in which `npm install --ignore-scripts @huggingface/transformers` was run; without it that
         part is left out
--quick  a few turns of everything, to see that it works; writes nothing unless --out says where

One thread, the shipped checkpoint, synopses of Debian packages; both engines' vectors are compared before
they are timed. Everything that is compared takes turns in one process, or process by process.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Callable

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models/demo/text"
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tessera/python"), str(ROOT / "tests/python")]


def texts(count: int) -> list[str]:
    lines = (ROOT / "models/demo/data/synopses.tsv").read_text("utf-8").splitlines()
    synopses = [line.split("\t")[2] for line in lines if line.count("\t") >= 2]
    return [synopses[i % len(synopses)] for i in range(count)]


def turns(calls: list[Callable[[], Any]], count: int, repeats: int) -> list[list[float]]:
    """CPU seconds of one call, `count` samples of each; the calls take turns, in an order that changes.

    The CPU time of the process, all threads: what another process takes of the machine is not in it.
    """
    samples: list[list[float]] = [[] for _ in calls]
    for turn in range(count):
        order = range(len(calls)) if turn % 2 else reversed(range(len(calls)))
        for i in order:
            begin = time.process_time()
            for _ in range(repeats):
                calls[i]()
            samples[i].append((time.process_time() - begin) / repeats)
    return samples


class Bare:
    """tessera_encode_texts() with everything prepared: what a C program's loop calls."""

    def __init__(self, encoder: Any, items: list[str]) -> None:
        import numpy as np
        from tessera import _abi, _texts
        from tessera._library import check, lib

        self._session, width = encoder._entrance("")
        self._packed = _texts.Packed("texts", items, 0)
        self._texts = _texts.struct_of(self._packed)
        self.out = np.empty((len(items), width), np.float32)
        self._output = _abi.Output(
            ctypes.sizeof(_abi.Output), 0, b"embedding", self.out.ctypes.data, self.out.size, 0
        )
        handle, function = self._session.handle, lib.tessera_encode_texts
        t, o = ctypes.byref(self._texts), ctypes.byref(self._output)
        self.call = lambda: function(handle, t, None, o, 1, None)
        check(self.call())


def paired(encoder: Any, given: Any, count: int, repeats: int) -> tuple[float, float]:
    """Median CPU seconds of the bare call, and of what encode() takes longer in the same turn."""
    import numpy as np

    bare = Bare(encoder, [given] if isinstance(given, str) else given)
    assert np.array_equal(np.atleast_2d(encoder.encode(given)), bare.out)
    lower, upper = turns([bare.call, lambda: encoder.encode(given)], count, repeats)
    return median(lower), median(b - a for a, b in zip(lower, upper))


def overheads(quick: bool) -> list[str]:
    import checkpoints
    import tessera

    shorter = 5 if quick else 40
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        static = checkpoints.router(Path(folder) / "static")[0]
        cases = [
            (
                "one text of 18 characters, shipped checkpoint",
                MODEL,
                "A tiny text editor",
                shorter,
                200,
            ),
            ("one text, static embeddings (no layers)", static, "tea", shorter, 2000),
            ("a list of 32 texts, shipped checkpoint", MODEL, texts(32), shorter, 5),
            (
                "a list of 10,000 texts, shipped checkpoint",
                MODEL,
                texts(10000),
                1 if quick else 7,
                1,
            ),
        ]
        for name, model, given, count, repeats in cases:
            with tessera.Encoder(model, threads=1) as encoder:
                lower, more = paired(encoder, given, count, repeats)
            rows.append(
                f"| {name} | {1e6 * lower:,.1f} | {1e6 * more:+,.1f} | {100 * more / lower:+.2f} % |"
            )
            print(rows[-1], flush=True)
    return rows


FIRST = (
    "import sys, tessera\n"
    "row = tessera.Encoder(sys.argv[1], threads=1).encode(sys.argv[2])\n"
    "assert row.shape == (256,)"
)


def forget(paths: list[Path]) -> None:
    """Takes files out of the page cache, as far as no process maps them."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def first_embedding(commands: dict[str, tuple[list[str], list[Path]]], count: int) -> list[str]:
    """Seconds from the start of a process to its end, which has printed or made one embedding."""
    warm: dict[str, list[float]] = {name: [] for name in commands}
    cold: dict[str, list[float]] = {name: [] for name in commands}
    used: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(count + 1):
        for name, (command, files) in commands.items():
            for samples, is_cold in ((cold, True), (warm, False)):
                if is_cold:
                    forget(files)
                begin, before = time.perf_counter(), os.times()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
                after = os.times()
                if turn:  # the first turn brings interpreters into the cache
                    samples[name].append(time.perf_counter() - begin)
                    if not is_cold:
                        children = after.children_user - before.children_user
                        used[name].append(children + after.children_system - before.children_system)
    rows = []
    for name in commands:
        figures = (1e3 * median(samples[name]) for samples in (warm, cold, used))
        rows.append(f"| {name} | " + " | ".join(f"{figure:.0f}" for figure in figures) + " |")
        print(rows[-1], flush=True)
    return rows


def peer_files(folder: Path, work: Path) -> None:
    """The shipped checkpoint as transformers.js wants it."""
    (work / "demo/onnx").mkdir(parents=True)
    for path in (*MODEL.glob("*.json"), MODEL / "vocab.txt"):
        shutil.copy(path, work / "demo")
    script = ROOT / "scripts/onnxruntime/make_masked_onnx.py"
    subprocess.run([sys.executable, "-B", script, MODEL, work / "demo/onnx/model.onnx"], check=True)
    assert (folder / "node_modules/@huggingface/transformers").is_dir(), folder


def throughput(peer: Path, work: Path, count: int, runs: int) -> tuple[list[str], str]:
    import numpy as np
    import tessera

    items = texts(count)
    (work / "texts.txt").write_text("\n".join(items) + "\n", "utf-8")
    command = ["node", str(ROOT / "scripts/onnxruntime/texts.mjs"), str(peer), str(work), "demo"]
    clock: dict[str, list[float]] = {"tessera": [], "peer": []}
    used: dict[str, list[float]] = {"tessera": [], "peer": []}
    encoder = tessera.Encoder(MODEL, threads=1)
    rows = encoder.encode(items)
    for _ in range(runs):
        begin, before = time.perf_counter(), time.process_time()
        encoder.encode(items)
        clock["tessera"].append(time.perf_counter() - begin)
        used["tessera"].append(time.process_time() - before)
        said = json.loads(
            subprocess.run(
                [*command, str(work / "texts.txt"), "1", str(work / "rows.f32")],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        clock["peer"] += said["seconds"]
        used["peer"] += said["cpu"]
    other = np.fromfile(work / "rows.f32", np.float32).reshape(rows.shape)
    worst = float(np.abs(rows - other).max())
    assert worst < 1e-5, worst
    lines = []
    for name, key in (
        ("Tessera, Python", "tessera"),
        (f"transformers.js {said['version']}", "peer"),
    ):
        lines.append(
            f"| {name} | {count / median(clock[key]):,.0f} | {count / max(clock[key]):,.0f} to "
            f"{count / min(clock[key]):,.0f} | {count / median(used[key]):,.0f} |"
        )
        print(lines[-1], flush=True)
    ratios = [median(times["peer"]) / median(times["tessera"]) for times in (clock, used)]
    return lines, (
        f"Largest difference of a component between the two: {worst:.1e}. Ratio by the clock "
        f"{ratios[0]:.2f}, of CPU time {ratios[1]:.2f}."
    )


def interrupted(count: int) -> str:
    """Milliseconds from SIGINT to KeyboardInterrupt during a call of more than ten seconds."""
    import test_processes

    samples = []
    for _ in range(count):
        said = subprocess.run(
            [
                sys.executable,
                "-c",
                test_processes.INTERRUPTED,
                str(MODEL),
                test_processes.LONG,
                "encode",
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        samples.append(float(said[2]))
    line = f"Ctrl-C during `encode()` of 60,000 texts, one thread, {count} processes: KeyboardInterrupt after {median(samples):.1f} ms (median), {max(samples):.1f} ms (worst)."
    print(line, flush=True)
    return line


def memory(calls: int) -> str:
    """Growth of resident memory over so many calls of encode() and others."""
    import test_processes

    grown = int(
        subprocess.run(
            [sys.executable, "-c", test_processes.MEMORY, str(MODEL), str(calls // 2)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    line = f"Resident memory over {calls:,} calls of `encode()`, with plans, ranking, and errors among them: {grown / 1024:+.0f} KiB."
    print(line, flush=True)
    return line


def cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown CPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    library = (options.build / "tessera/libtessera.so.0").resolve()
    os.environ["TESSERA_LIBRARY"] = str(library)
    os.environ["PYTHONPATH"] = str(ROOT / "tessera/python")
    quick = options.quick
    load = os.getloadavg()[0]

    package = [*(ROOT / "tessera/python/tessera").glob("*.py"), library]
    own = [path for path in MODEL.rglob("*") if path.is_file()] + package
    commands: dict[str, tuple[list[str], list[Path]]] = {
        "Tessera, Python": ([sys.executable, "-c", FIRST, str(MODEL), "A tiny text editor"], own),
        "of which `import numpy`": ([sys.executable, "-c", "import numpy"], []),
    }
    tool = options.build / "tessera/tessera"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        one = work / "one.txt"
        one.write_text("A tiny text editor\n")
        if tool.exists():
            command = [str(tool), "embed", str(MODEL), str(one), "--threads", "1"]
            commands["Tessera, the tool (`tessera embed`)"] = (command, [tool, *own])
        rates: list[str] = []
        note = ""
        peer = options.peer.resolve() if options.peer else None
        if peer:
            peer_files(peer, work)
            modules = peer / "node_modules"
            parts = [
                path
                for name in (
                    "@huggingface/transformers/dist",
                    "onnxruntime-node/bin",
                    "onnxruntime-common",
                )
                for path in (modules / name).rglob("*")
                if path.is_file()
            ]
            models = [path for path in (work / "demo").rglob("*") if path.is_file()]
            script = ROOT / "scripts/onnxruntime/texts.mjs"
            command = ["node", str(script), str(peer), str(work), "demo", str(one), "0"]
            commands["transformers.js, ONNX Runtime"] = (command, parts + models)
        # Before this process maps the library and the model, which then stay in the page cache.
        starts = first_embedding(commands, 1 if quick else 11)
        cost = overheads(quick)
        if peer:
            rates, note = throughput(peer, work, 300 if quick else 4000, 1 if quick else 5)
    ends = [interrupted(2 if quick else 20), memory(2000 if quick else 100_000)]

    date = datetime.date.today().isoformat()
    page = [
        "# Python measured",
        "",
        f"`scripts/bench_python.py --peer FOLDER`, {cpu()}, {date}; one thread, the shipped checkpoint "
        f"(models/demo/text), load {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end; Python {sys.version.split()[0]}. Medians.",
        "",
        "## Over the C ABI",
        "",
        "`encode()` beside `tessera_encode_texts()` with pointers and buffers prepared, in turns in one "
        "process: CPU time. The difference is the median of the turns' differences.",
        "",
        "| call | C ABI, us | Python, us more | share |",
        "|---|---|---|---|",
        *cost,
        "",
    ]
    if rates:
        page += [
            "## Texts to vectors",
            "",
            f"{300 if quick else 4000} synopses of Debian packages, tokenizer included, in turns; "
            "transformers.js in batches of 32 of similar length, its model the fused graph of "
            "`scripts/onnxruntime/make_masked_onnx.py`.",
            "",
            "| engine | texts/s | slowest and fastest run | texts for a second of CPU time |",
            "|---|---|---|---|",
            *rates,
            "",
            note,
            "",
        ]
    page += [
        "## Time to the first embedding",
        "",
        "A process from its start to its end: interpreter, import, opening, packing, one text. Cold: the "
        "engine's files and the model's are taken out of the page cache before; the interpreter's are not.",
        "",
        "| process | warm, ms | cold, ms | CPU time warm, ms |",
        "|---|---|---|---|",
        *starts,
        "",
        "## Behaviour",
        "",
        *(f"- {line}" for line in ends),
        "",
    ]
    out = options.out or (None if quick else ROOT / "bench/results/python.md")
    if out:
        out.write_text("\n".join(page), "utf-8")


if __name__ == "__main__":
    main()
