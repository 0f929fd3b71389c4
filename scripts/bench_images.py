#!/usr/bin/python3
"""Writes the folders of scripts/bench_images.sh and times Pillow on them.

    scripts/bench_images.py make DIR [COUNT]   photos/ (mixed sizes) and by-size/WxH/ of JPEGs
    scripts/bench_images.py pillow DIR         ms per image of decode and of resize, per size

The pictures are sums of waves, edges and noise: about as many bytes a pixel as photographs.
"""
import pathlib
import random
import sys
import time

import numpy as np
from PIL import Image

# (width, height), share of the mixed folder: web thumbnails to a phone's camera
SIZES = [((320, 240), 0.15), ((500, 375), 0.35), ((640, 480), 0.2), ((1024, 683), 0.15),
         ((1920, 1080), 0.1), ((4032, 3024), 0.05)]


def picture(rng, width, height):
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    noise = np.random.RandomState(rng.randrange(1 << 30))
    planes = []
    for _ in range(3):
        a, b, c, d = (rng.uniform(2, 40) / width for _ in range(4))
        plane = np.sin(a * x + b * y) + np.cos(c * x - d * y) + ((x * a + y * b).astype(int) % 3)
        plane += noise.normal(0, 0.05, plane.shape).astype(np.float32)
        planes.append((plane - plane.min()) / (plane.max() - plane.min()) * 255)
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8), "RGB")


def make(folder, count):
    rng = random.Random(7)
    mixed = folder / "photos"
    mixed.mkdir(parents=True, exist_ok=True)
    for size, share in SIZES:
        own = folder / "by-size" / f"{size[0]}x{size[1]}"
        own.mkdir(parents=True, exist_ok=True)
        distinct = [picture(rng, *size) for _ in range(3)]
        for i in range(round(count * share)):
            name = f"{rng.randrange(1 << 30):08x}-{size[0]}.jpg"
            options = {"quality": rng.choice([75, 85, 92]), "progressive": i % 10 == 9}
            distinct[i % 3].save(mixed / name, "JPEG", **options)
        for i in range(8):
            distinct[i % 3].save(own / f"{i}.jpg", "JPEG", quality=85)


def pillow(folder):
    for own in sorted((folder / "by-size").iterdir(), key=lambda p: int(p.name.split("x")[0])):
        best = [float("inf")] * 2
        for _ in range(5):
            spent = [0.0, 0.0]
            for file in sorted(own.iterdir()):
                begin = time.process_time()
                image = Image.open(file).convert("RGB")
                decoded = time.process_time()
                image.resize((224, 224), Image.Resampling.BILINEAR)
                spent[0] += decoded - begin
                spent[1] += time.process_time() - decoded
            best = [min(b, s / 8 * 1e3) for b, s in zip(best, spent)]
        print(f"{own.name} {best[0]:.2f} {best[1]:.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("make", "pillow"):
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "pillow":
        pillow(target)
    else:
        make(target, int(sys.argv[3]) if len(sys.argv) > 3 else 200)
