#!/usr/bin/env python3
"""Samples of `perf record` by operator of the plan: reads `perf script -F tid,time,event,ip,sym,trace`
with the probes sdt_tessera:op_begin and :op_end (docs/PROFILING.md), prints a table.

A sample of any thread belongs to the op that was running at its time; ops of two sessions at once
cannot be told apart.
"""
import collections
import re
import sys

LINE = re.compile(r"^\s*\d+\s+(?P<time>\d+\.\d+):\s+(?P<event>\S.*?):\s+(?P<rest>.*)$")
MARK = re.compile(r"\barg1=(\d+)\b.*\barg2=(\d+)\b")
SYMBOL = re.compile(r"^[0-9a-f]+\s+(.*)$")
NAMESPACES = re.compile(r"tessera::|kernels::|execute::|xsimd::|\(anonymous namespace\)::")


def by_time(lines):
    """(time, order, what): ends before samples before begins at equal times."""
    events = []
    for line in lines:
        match = LINE.match(line)
        if not match:
            continue
        time, event, rest = float(match["time"]), match["event"], match["rest"]
        if "op_begin" in event or "op_end" in event:
            mark = MARK.search(rest)
            if mark:
                is_begin = "op_begin" in event
                events.append((time, 2 if is_begin else 0, (int(mark[1]), int(mark[2]))))
        else:
            symbol = SYMBOL.match(rest)
            events.append((time, 1, symbol[1] if symbol else "[unknown]"))
    return sorted(events, key=lambda event: event[:2])


def attribute(events):
    """{op: Counter of symbols}; op is (first, count), or None between ops; and runs of each op."""
    samples, runs = collections.defaultdict(collections.Counter), collections.Counter()
    current = None
    for _, order, what in events:
        if order == 2:
            current = what
            runs[what] += 1
        elif order == 0:
            current = None
        else:
            samples[current][what] += 1
    return samples, runs


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    source = open(sys.argv[1], encoding="utf-8") if len(sys.argv) == 2 else sys.stdin
    samples, runs = attribute(by_time(source))
    if not runs:
        sys.exit("perf_by_op: got no probe sdt_tessera:op_begin, expected it among the events")
    total = sum(sum(counter.values()) for counter in samples.values())
    print(f"{'op':>6} {'runs':>7} {'samples':>8} {'share':>7}  functions")
    for op in sorted(samples, key=lambda op: (op is None, op or (0, 0))):
        counter = samples[op]
        count = sum(counter.values())
        name = "other" if op is None else str(op[0]) if op[1] == 1 else f"{op[0]}-{op[0] + op[1] - 1}"
        top = ", ".join(f"{NAMESPACES.sub('', symbol)[:60]} {100 * n / count:.0f} %"
                        for symbol, n in counter.most_common(2))
        print(f"{name:>6} {runs[op] if op else '':>7} {count:>8} {100 * count / total:>6.1f} %  {top}")


if __name__ == "__main__":
    main()
