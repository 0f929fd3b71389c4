#!/usr/bin/python3
"""subnormal_weights.py [TESSERA] [MODEL]: what subnormal weights cost, and what counting them as zero changes.

Copies MODEL (models/demo/text) with 0.1, 1, 5 and 100 % of the weights of its linear layers at 1e-39, and with the
same ones at 0, embeds the same lines with each, in turn, one thread, and prints for each precision the time beside
that of the model with normal numbers in their place (median of the ratios within a turn) and the largest difference of
an output from the copy with zeros."""
import json
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROUNDS = 7


def copy_with(source, out, fraction, value):
    shutil.copytree(source, out)
    data = (source / 'model.safetensors').read_bytes()
    length = struct.unpack('<Q', data[:8])[0]
    header, body, offset = {}, [], 0
    random = np.random.RandomState(0)
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == '__metadata__':
            continue
        begin, end = entry['data_offsets']
        kind = {'F32': np.float32, 'F16': np.float16}[entry['dtype']]
        x = np.frombuffer(data[8 + length + begin:8 + length + end], kind).astype(np.float32).reshape(entry['shape']).copy()
        if name.endswith('.weight') and x.ndim == 2 and 'embeddings' not in name:
            x[random.random_sample(x.shape) < fraction] = value
        header[name] = {'dtype': 'F32', 'shape': list(x.shape), 'data_offsets': [offset, offset + x.nbytes]}
        offset += x.nbytes
        body.append(x.tobytes())
    text = json.dumps(header).encode()
    os.chmod(out / 'model.safetensors', 0o644)
    (out / 'model.safetensors').write_bytes(struct.pack('<Q', len(text)) + text + b''.join(body))


def main():
    tessera = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / 'build/release/tessera/tessera').resolve()
    model = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / 'models/demo/text').resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        lines = work / 'lines.txt'
        lines.write_text(''.join(f'a tiny text editor for small screens and other things number {i}\n' for i in range(600)))
        for fraction in (0.001, 0.01, 0.05, 1.0):
            for name, value in (('subnormal', 1e-39), ('zero', 0.0), ('normal', 1e-9)):
                copy_with(model, work / f'{name}_{fraction}', fraction, np.float32(value))

        def embed(copy, precision):
            begin = time.perf_counter()
            subprocess.run([tessera, 'embed', work / copy, lines, '--threads', '1', '--precision', precision, '-o',
                            work / 'out.npy'], check=True, stderr=subprocess.DEVNULL)
            return time.perf_counter() - begin, np.load(work / 'out.npy')

        info = subprocess.run([tessera, 'plan', model], capture_output=True, text=True, check=True).stdout
        print('\n'.join(info.splitlines()[:2]))
        print('| weights that are subnormal | precision | time / normal | largest difference from zeros |\n|---|---|---|---|')
        for precision in ('fp32', 'bf16'):
            for fraction in (0.001, 0.01, 0.05, 1.0):
                ratios = []
                for _ in range(ROUNDS):
                    normal, _ = embed(f'normal_{fraction}', precision)
                    subnormal, got = embed(f'subnormal_{fraction}', precision)
                    ratios.append(subnormal / normal)
                _, zeros = embed(f'zero_{fraction}', precision)
                difference = float(np.abs(got - zeros).max())
                print(f'| {fraction:.1%} | {precision} | {statistics.median(ratios):.2f} | {difference:g} |')


if __name__ == '__main__':
    main()
