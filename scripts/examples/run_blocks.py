#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of a document's ```console blocks, and compares what they print with what is shown.

    run_blocks.py FILE.md [--section TITLE] [--prefix TEXT]

A line that begins with "$ " is a command, run by bash in the current directory; the lines up to the
next one are all that it prints, stdout and stderr. "..." in them stands for anything. A command may
fail, as those do that show an error. Prints a line for each command, "right" or "wrong"; the exit
status is 1 if any is wrong.
"""
import argparse
import re
import subprocess
import sys
from pathlib import Path


def blocks(document, section):
    """Lists of lines, one for each ```console block (of the section "## TITLE", if one is given)."""
    title, lines = None, None
    for line in document.splitlines():
        if lines is None and line.startswith("## "):
            title = line[3:].strip()
        elif lines is None and line.strip() == "```console":
            lines = []
        elif lines is not None and line.strip() == "```":
            if section is None or title == section:
                yield lines
            lines = None
        elif lines is not None:
            lines.append(line)


def commands(lines):
    """Pairs (command, what it prints as a list of lines) of a block."""
    found = []
    for line in lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
        else:
            raise SystemExit(f'console block: got "{line}", expected a line that begins with "$ "')
    return found


def matches(shown, printed):
    """Whether each line that was printed is the one that is shown; "..." stands for anything."""
    if len(shown) != len(printed):
        return False
    patterns = (".*".join(re.escape(part) for part in line.split("...")) for line in shown)
    return all(re.fullmatch(p, line) for p, line in zip(patterns, printed))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--section")
    parser.add_argument("--prefix", default="")
    arguments = parser.parse_args()
    wrong = count = 0
    for block in blocks(arguments.file.read_text(encoding="utf-8"), arguments.section):
        for command, shown in commands(block):
            run = subprocess.run(
                ["bash", "-c", command],
                stdin=subprocess.DEVNULL,
                timeout=300,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            printed = run.stdout.decode("utf-8", "replace").splitlines()
            count += 1
            if matches(shown, printed):
                print(f"right  {arguments.prefix}{command}")
                continue
            wrong += 1
            print(f"wrong  {arguments.prefix}{command}")
            print("\n".join(["       printed:"] + [f"         {line}" for line in printed[:40]]))
            print("\n".join(["       shown:"] + [f"         {line}" for line in shown]))
    if count == 0:
        print(
            f'wrong  {arguments.prefix}{arguments.file}: no commands, expected "$ " in a ```console block'
        )
        wrong = 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
