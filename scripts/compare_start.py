#!/usr/bin/python3
"""compare_start.py OLD_TOOL NEW_TOOL [MODEL...]: what starting costs two builds of the tool.

CPU time of a process, start to end, in turns: `embed` of one line with models/demo/text, `tokens` of it with each
MODEL (a directory with a tokenizer is enough). Least and median of 15, in milliseconds."""
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS = 15


def cpu_ms(command, line):
    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    with open(line, 'rb') as stdin:
        subprocess.run(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (used() - before) * 1e3


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    tools = sys.argv[1:3]
    jobs = [['embed', ROOT / 'models/demo/text', '--threads', '1', '--format', 'text']]
    jobs += [['tokens', model] for model in sys.argv[3:]]
    with tempfile.TemporaryDirectory() as folder:
        line = pathlib.Path(folder) / 'line.txt'
        line.write_text('a tiny text editor\n')
        for job in jobs:
            times = [[], []]
            for _ in range(ROUNDS):
                for tool, list_of in zip(tools, times):
                    list_of.append(cpu_ms([tool, *job], line))
            old, new = [f'{min(t):.1f} ({statistics.median(t):.1f})' for t in times]
            print(f'{job[0]} {job[1]}: old {old}, new {new}')


if __name__ == '__main__':
    main()
