#!/usr/bin/python3
"""Does `tessera run` give what the reference gave? Every run of every conformance case, by the class that made it.

    scripts/compare_conformance.py [TOOL] [FOLDER]
        default: build/release/tessera/tessera, ../shared/conformance where it is, else tests/golden/data

A line for each run that differs or is refused, then how many were compared and the largest difference at
positions that are attended to. Exit status 1 if an output is missing or further than 1e-4 from the
reference's, or none was compared; families that are not computed are refused, and counted. Needs numpy.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tensor_files import read_safetensors as read

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 1e-4


def difference(got: np.ndarray, expected: np.ndarray, mask: np.ndarray | None) -> float:
    d = np.abs(got - expected)
    if mask is not None and d.shape[: mask.ndim] == mask.shape:
        d = d[mask.astype(bool)]
    worst = float(d.max(initial=0.0))
    return float("inf") if np.isnan(worst) else worst


def compare(tool: Path, folder: Path, run: dict, model_class: str, out: Path) -> tuple[float, str]:
    """The largest difference, and what is wrong; or nan and why it was refused."""
    command = [tool, "run", folder, "--class", model_class.removeprefix("timm "), "--input", folder / run["inputs"]]
    command += ["--output", out, "--hidden-states"]
    if "interpolate_pos_encoding=True" in run.get("call", ""):
        command.append("--interpolate-positions")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return float("nan"), done.stderr.strip().split("\n")[0]
    got, expected = read(out), read(folder / run["outputs"])
    mask = read(folder / run["inputs"]).get("attention_mask")
    worst = 0.0
    for name, values in expected.items():
        if name not in got or got[name].shape != values.shape:
            return float("inf"), f"{name} {values.shape} is missing"
        worst = max(worst, difference(got[name], values, mask))
    return worst, "" if worst <= TOLERANCE else "too far"


def main() -> int:
    shared = ROOT / "../shared/conformance"
    tool = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release/tessera/tessera").resolve()
    cases = Path(sys.argv[2]) if len(sys.argv) > 2 else shared if shared.is_dir() else ROOT / "tests/golden/data"
    compared, refused, wrong, worst = 0, 0, 0, 0.0
    with tempfile.TemporaryDirectory() as work:
        for file in sorted(cases.glob("*/case.json")):
            case = json.loads(file.read_text(encoding="utf-8"))
            for run in case["runs"]:
                d, why = compare(tool, file.parent, run, case.get("model_class", ""), Path(work) / "out")
                if why:
                    print(f"{file.parent.name} {run['name']}: {why}")
                if np.isnan(d):
                    refused += 1
                    continue
                compared, wrong, worst = compared + 1, wrong + bool(why), max(worst, d)
    print(f"{compared} runs compared, {wrong} wrong, largest difference {worst:.2e}; {refused} refused")
    return 1 if wrong or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
