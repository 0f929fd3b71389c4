"""The figures of scripts/promises.sh as a Markdown table: medians over the turns."""
import datetime
import pathlib
import statistics
import sys


def read(folder, model, way):
    turns = []
    for path in sorted(folder.glob(f"{model}.{way}.*")):
        pairs = [line.split() for line in path.read_text().splitlines()]
        turns.append({name: float(value) for name, value in pairs})
    return {name: statistics.median(t[name] for t in turns) for name in turns[0]} if turns else {}


def mib(value):
    return "–" if value is None else f"{value / 2**20:.1f}"


def ms(value):
    return "–" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.2f}"


def main():
    folder = pathlib.Path(sys.argv[1])
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line)
    print("# Promises measured\n")
    print(f"`scripts/promises.sh`, {cpu}, {datetime.date.today()}; 512 rows in 4 sequences, one "
          "thread; medians of 3 processes. MiB of resident memory, private and of mapped files, less "
          "what the process had at its start (ONNX Runtime: with its library loaded).\n")
    print("| model | how | promise | peak | peak / promise | peak while loading | bound | load, ms | first run, ms | second run, ms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    names = {"pack": "packed", "store": "packed, cache stored", "map": "cache mapped",
             "onnxruntime": "ONNX Runtime"}
    for model in ("BERT-base", "MiniLM-L6-384"):
        for way, name in names.items():
            f = read(folder, model, way)
            if not f:
                continue
            promise = f.get("promise_bytes")
            ratio = "–" if promise is None else f"{f['peak_bytes'] / promise:.3f}"
            bound = None if promise is None else 1.05 * f["packed_bytes"] + f["largest_tensor_bytes"]
            print(f"| {model} | {name} | {mib(promise)} | {mib(f['peak_bytes'])} | {ratio} | "
                  f"{mib(f['load_peak_bytes'])} | {mib(bound)} | {ms(f['load_ms'])} | "
                  f"{ms(f['run1_ms'])} | {ms(f['run2_ms'])} |")
    print("\nEnding a run of 512 rows at a random moment, 30 times each; from the request to the "
          "end of run(), ms:\n")
    print("| model | threads | run | flag, median | flag, most | deadline, median | deadline, most |")
    print("|---|---|---|---|---|---|---|")
    for model in ("BERT-base", "MiniLM-L6-384"):
        for threads in (1, 2):
            f = read(folder, model, f"cancel{threads}")
            if f:
                cells = [ms(f.get(k)) for k in ("run_ms", "flag_median_ms", "flag_most_ms",
                                                "deadline_median_ms", "deadline_most_ms")]
                print(f"| {model} | {threads} | " + " | ".join(cells) + " |")


main()
