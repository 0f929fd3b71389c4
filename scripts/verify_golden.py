#!/usr/bin/python3
"""How far `tessera verify` is from its bounds: every run of the golden cases, at every level and precision.

    scripts/verify_golden.py [TOOL] [FOLDER]
        default: build/release/tessera/tessera, tests/golden/data

Inputs and outputs of each run, which the reference wrote, become one file of golden vectors. Prints for each
precision the largest difference, of the largest number of an output, and 1 - cosine, with the run that has
it: what the bounds of tessera/measure/verification.hpp are made of. Exit status 1 if a run is not verified,
or there was none. Needs numpy; a minute.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tensor_files import read_safetensors, write_safetensors

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    tool = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/release/tessera/tessera"
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "tests/golden/data"
    worst: dict[tuple[str, str], tuple[float, str]] = {}
    count = refused = 0
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "vectors.safetensors"
        for case in sorted(folder.glob("*/case.json")):
            for run in json.loads(case.read_text())["runs"]:
                tensors = [read_safetensors(case.parent / run[part]) for part in ("inputs", "outputs")]
                write_safetensors(path, tensors[0] | tensors[1])
                command = [tool, "verify", case.parent, "--against", path, "--json"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                count += 1
                if done.returncode != 0:
                    refused += 1
                    print(f"{case.parent.name}, {run['name']}: {done.stderr.strip()}")
                    continue
                for level in json.loads(done.stdout)["runs"]:
                    for output in level["outputs"]:
                        for measure in ("relative", "one_minus_cosine"):
                            where = f"{case.parent.name}, {run['name']}, {output['name']} at {level['isa']}"
                            key = (measure, level["precision"])
                            worst[key] = max(worst.get(key, (0.0, "")), (output[measure], where))
    for (measure, precision), (value, where) in sorted(worst.items()):
        print(f"{measure:<16} {precision:<4} {value:.1e}  {where}")
    print(f"{count} runs, {count - refused} verified")
    return 1 if refused or not count else 0


if __name__ == "__main__":
    sys.exit(main())
