#!/usr/bin/python3
"""Trains the demo vision checkpoint from scratch and writes it under models/demo.

    apt-get install --no-install-recommends python3-torch python3-numpy python3-pil \\
        libopenblas0-pthread fontconfig $(/usr/bin/python3 scripts/train_demo_vision.py --packages)
    /usr/bin/python3 scripts/train_demo_vision.py --out models/demo

It renders 0-9 and A-Z of every face of Debian's font packages that has them,
joins families that look alike, splits these groups of families into training,
validation and test by a hash, trains a small ViT on images of 32 x 32 drawn
from the training groups' glyphs, evaluates the weights as they are stored, next
to a linear classifier of the pixels, and writes the published directory layout.

A training that was interrupted goes on from its --state file. --weights takes
the averaged weights of a finished one and skips training.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
from pathlib import Path

if "--packages" in sys.argv:
    from demo_vision.packages import PACKAGES

    print(" ".join(PACKAGES))
    sys.exit()


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="directory to write, e.g. models/demo")
    parser.add_argument("--packages", action="store_true", help="print the font packages and stop")
    parser.add_argument("--minutes", type=float, default=38, help="training time (of the processor)")
    parser.add_argument("--wall", type=float, default=1e9, help="training time by the clock, at most (default: any)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faces", type=Path, help="keep the rendered faces in this file, or take them from it")
    parser.add_argument("--state", type=Path, help="keep the training's state in this file; go on from it if it exists")
    parser.add_argument("--weights", type=Path, help="take these averaged weights instead of training")
    return parser.parse_args()


ARGUMENTS = parse_arguments()
# Before numpy and torch load the BLAS: its threads, and a kernel that old
# OpenBLAS versions do not pick by themselves on recent processors.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(ARGUMENTS.threads)
if "avx512f" in Path("/proc/cpuinfo").read_text():
    os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")

import torch  # noqa: E402

from demo_text.export import write_json  # noqa: E402
from demo_vision import evaluate, export, faces, train  # noqa: E402
from demo_vision.faces import Face  # noqa: E402
from demo_vision.model import GlyphModel, Shape  # noqa: E402


def collect(kept: Path | None) -> list[Face]:
    """The rendered faces; from the file `kept` if it exists."""
    if kept and kept.exists():
        known = [f for f in pickle.loads(kept.read_bytes()) if f.family not in faces.EXCLUDED]
        faces.assign_splits(known)
        return known
    found = faces.collect()
    if kept:
        kept.write_bytes(pickle.dumps(found))
    return found


def train_model(arguments: argparse.Namespace, source: train.Source, valid: list[Face]) -> GlyphModel:
    """The averaged model of a training, or of --weights."""
    torch.manual_seed(arguments.seed)
    model = GlyphModel(Shape())
    if arguments.weights:
        model.load_state_dict(torch.load(arguments.weights))
        return model
    images, labels = evaluate.test_images(valid[::2], arguments.seed + 100)

    def report(average: GlyphModel) -> str:
        return f"valid {evaluate.accuracy(average, images, labels):.4f}"

    average = train.train(model, source, arguments.minutes, arguments.wall, report, arguments.state)
    if arguments.state:
        torch.save(average.state_dict(), arguments.state.with_suffix(".final.pt"))
    return average


def main() -> None:
    """Renders, trains, evaluates, writes."""
    arguments = ARGUMENTS
    torch.set_num_threads(arguments.threads)
    every = collect(arguments.faces)
    split = {name: [f for f in every if f.split == name] for name in ("train", "valid", "test")}
    for name, members in split.items():
        print(f"{name}: {len(members)} faces, {len({f.group for f in members})} groups of families", flush=True)
    source = train.Source(split["train"], arguments.seed)
    model = train_model(arguments, source, split["valid"])
    export.round_as_stored(model)
    export.write_model(arguments.out / "vision", model)
    export.write_families(arguments.out / "data/glyph-families.tsv", every)
    figures = {"shipped images": export.write_test_images(arguments.out, model, split["test"], arguments.seed + 200)}
    figures |= evaluate.measure(
        model, source, split["test"], split["train"], arguments.seed + 300)
    path = arguments.out / "metrics.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    write_json(path, {**known, "glyphs": figures})
    for name, values in figures.items():
        print(f"{name}: {values}")


if __name__ == "__main__":
    main()
