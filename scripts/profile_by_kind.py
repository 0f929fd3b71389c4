#!/usr/bin/python3
"""tessera profile MODEL --json ... | profile_by_kind.py : the rows of a profile added up by kind of op, as a table.

Standard library only.
"""
import json
import sys


def main() -> None:
    profile = json.load(sys.stdin)
    kinds: dict[str, list[float]] = {}
    for op in profile["ops"]:
        row = kinds.setdefault(op["kind"], [0, 0.0, 0.0, 0.0])
        row[0] += op["count"]
        row[1] += op["predicted"]["seconds"]
        row[2] += op["measured"]["seconds"]
        row[3] += op["flops"]
    total = sum(row[2] for row in kinds.values())
    print("| op | number | predicted, us | measured, us | % | GFLOP/s |\n|---|---|---|---|---|---|")
    for kind, (count, predicted, seconds, flops) in sorted(kinds.items(), key=lambda item: -item[1][2]):
        rate = f"{flops / seconds / 1e9:.0f}" if flops > 0 else ""
        print(f"| {kind} | {count:.0f} | {1e6 * predicted:.0f} | {1e6 * seconds:.0f} | {100 * seconds / total:.1f} | {rate} |")
    print(f"| all | | | {1e6 * total:.0f} | | |")


if __name__ == "__main__":
    main()
