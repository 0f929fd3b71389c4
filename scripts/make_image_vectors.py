#!/usr/bin/python3
"""Writes images of every kind and what Pillow makes of them: the vectors in tests/data/images.

    scripts/make_image_vectors.py [--out DIR] [--count N] [--seed S]

decode/NAME.{jpg,png,webp,gif,bmp,tif} with NAME.ppm beside it: Image.open,
ImageOps.exif_transpose, convert("RGB"); a TIFF is loaded instead, which turns it, as Pillow 9.4
would turn it twice. resize/SOURCE.FILTER.WxH.ppm: Image.resize of resize/SOURCE.ppm. The default
writes the committed set; --count N writes N random images per kind, for a longer comparison
(TESSERA_IMAGE_VECTORS=DIR build/release/tests/tests_models_image). Needs python3-pil 9.4.
"""
import argparse
import io
import pathlib
import random
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps

import image_formats
import image_tiffs

FILTERS = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]


def photo(rng, width, height, channels):
    """A smooth picture with some noise and edges, (height, width, channels) uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(channels):
        a, b, c, d = (rng.uniform(0.02, 0.4) for _ in range(4))
        wave = np.sin(a * x + b * y) + np.cos(c * x - d * y) + ((x * a + y * b).astype(int) % 3)
        noise = np.random.RandomState(rng.randrange(1 << 30)).normal(0, 0.15, wave.shape)
        plane = wave + noise
        plane -= plane.min()
        planes.append(plane / max(plane.max(), 1e-9) * 255)
    image = np.stack(planes, axis=-1)
    return image.round().clip(0, 255).astype(np.uint8)


def picture(rng, mode, width, height):
    channels = {"L": 1, "RGB": 3, "CMYK": 4, "LA": 2, "RGBA": 4}[mode]
    pixels = photo(rng, width, height, channels)
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels, mode)


def tiff_orientation(value, order="<"):
    head = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, value, 0)
    return head + struct.pack(order + "IH", 8, 1) + entry + b"\0\0\0\0"


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2)]


def png_file(rng, width, height, depth, color, interlaced=False, palette_size=0, extra=b"",
             late=b""):
    """A PNG with random rows of one colour type and depth; filters vary by row."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    values = photo(rng, width, height, samples).astype(np.uint32)
    if depth == 16:
        noise = np.random.RandomState(rng.randrange(1 << 30)).randint(0, 256, values.shape)
        # dark enough that clipping and high bytes both show
        values = (values * 256 + noise) if color != 0 else (values * 3 + noise // 8)
    elif color == 3:
        values = values * palette_size // 256
    else:
        values = values >> (8 - depth)

    def rows(part):
        bpp = max(1, samples * depth // 8)
        previous, out = None, b""
        for line in part:
            flat = line.reshape(-1)
            if depth == 16:
                raw = flat.astype(">u2").tobytes()
            elif depth == 8:
                raw = flat.astype(np.uint8).tobytes()
            else:
                bits = "".join(format(int(v), f"0{depth}b") for v in flat)
                bits += "0" * (-len(bits) % 8)
                raw = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
            previous = previous or bytes(len(raw))
            kind = rng.randrange(5)
            left = bytes(bpp) + raw[:-bpp] if len(raw) >= bpp else bytes(len(raw))
            corner = bytes(bpp) + previous[:-bpp] if len(raw) >= bpp else bytes(len(raw))
            line_out = bytearray()
            for v, a, b, c in zip(raw, left, previous, corner):
                p = a + b - c
                nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
                line_out.append((v - (0, a, b, (a + b) // 2, nearest)[kind]) % 256)
            out += bytes([kind]) + bytes(line_out)
            previous = raw
        return out

    if interlaced:
        body = b"".join(rows(values[y0::dy, x0::dx]) for x0, y0, dx, dy in ADAM7
                        if values[y0::dy, x0::dx].size)
    else:
        body = rows(values)
    data = b"\x89PNG\r\n\x1a\n"
    data += png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0,
                                           int(interlaced)))
    if color == 3:
        data += png_chunk(b"PLTE", bytes(rng.randrange(256) for _ in range(3 * palette_size)))
    data += extra + png_chunk(b"IDAT", zlib.compress(body, 9)) + late
    return data + png_chunk(b"IEND", b"")


def jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def kinds(rng, size):
    """(name, bytes) of every kind of file; size() gives extents."""
    def pic(mode):
        return picture(rng, mode, *size())

    yield "baseline-420.jpg", jpeg(pic("RGB"), quality=80)
    yield "baseline-422.jpg", jpeg(pic("RGB"), quality=90, subsampling=1)
    yield "baseline-444.jpg", jpeg(pic("RGB"), quality=95, subsampling=0)
    yield "low-quality.jpg", jpeg(pic("RGB"), quality=8)
    yield "progressive.jpg", jpeg(pic("RGB"), quality=75, progressive=True)
    yield "grey.jpg", jpeg(pic("L"), quality=75)
    yield "grey-progressive.jpg", jpeg(pic("L"), quality=60, progressive=True)
    yield "cmyk.jpg", jpeg(pic("CMYK"), quality=80)
    yield "cmyk-progressive.jpg", jpeg(pic("CMYK"), quality=80, progressive=True)
    ycck = bytearray(jpeg(pic("CMYK"), quality=80, subsampling=0))
    at = ycck.find(b"Adobe")
    ycck[at + 11] = 2  # the transform flag: the same bytes taken as YCCK
    yield "ycck.jpg", bytes(ycck)
    rgb = bytearray(jpeg(pic("RGB"), quality=85, subsampling=0))
    app14 = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
    yield "adobe-rgb.jpg", bytes(rgb[:2] + app14 + rgb[20:])  # without JFIF: components are RGB
    for value in range(1, 9):
        exif = b"Exif\0\0" + tiff_orientation(value, "<>"[value % 2])
        yield f"orientation-{value}.jpg", jpeg(pic("RGB"), quality=80, exif=exif)
    yield "orientation-9.jpg", jpeg(pic("RGB"), exif=b"Exif\0\0" + tiff_orientation(9))

    for depth in (1, 2, 4, 8, 16):
        for interlaced in (False, True):
            name = f"grey-{depth}{'-interlaced' if interlaced else ''}.png"
            yield name, png_file(rng, *size(), depth, 0, interlaced)
    for depth in (1, 2, 4, 8):
        yield f"palette-{depth}.png", png_file(rng, *size(), depth, 3, False, 1 << depth)
    yield "palette-interlaced.png", png_file(rng, *size(), 4, 3, True, 11)
    yield "palette-transparent.png", png_file(rng, *size(), 8, 3, False, 200,
                                              extra=png_chunk(b"tRNS", bytes(range(0, 200))))
    for color, name in ((2, "rgb"), (4, "grey-alpha"), (6, "rgba")):
        for depth in (8, 16):
            for interlaced in (False, True):
                yield (f"{name}-{depth}{'-interlaced' if interlaced else ''}.png",
                       png_file(rng, *size(), depth, color, interlaced))
    yield "rgb-transparent.png", png_file(rng, *size(), 8, 2,
                                          extra=png_chunk(b"tRNS", bytes(6)))
    yield "gamma.png", png_file(rng, *size(), 8, 2,
                                extra=png_chunk(b"gAMA", struct.pack(">I", 100000)))
    yield "exif-6.png", png_file(rng, *size(), 8, 2,
                                 extra=png_chunk(b"eXIf", tiff_orientation(6, ">")))
    yield "exif-8-late.png", png_file(rng, *size(), 8, 2,
                                      late=png_chunk(b"eXIf", tiff_orientation(8, "<")))
    hexed = (b"Exif\0\0" + tiff_orientation(5)).hex()
    lines = "\n".join(hexed[i:i + 72] for i in range(0, len(hexed), 72))
    raw = f"\nexif\n{len(hexed) // 2:8}\n{lines}\n".encode()
    yield "raw-profile-5.png", png_file(
        rng, *size(), 8, 2, extra=png_chunk(b"tEXt", b"Raw profile type exif\0" + raw))
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    yield "xmp-3.png", png_file(
        rng, *size(), 8, 2,
        extra=png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    frames = [pic("RGB")]
    frames += [picture(rng, "RGB", *frames[0].size) for _ in range(2)]
    out = io.BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    yield "animated.png", out.getvalue()
    yield "two-pictures.jpg", jpeg(frames[0], quality=70) + jpeg(frames[1], quality=70)


def other_kinds(rng, size):
    """As kinds(), of the formats in image_formats.py and image_tiffs.py."""
    def pic(mode):
        return picture(rng, mode, *size())

    yield from image_formats.webp(rng, pic, tiff_orientation)
    yield from image_formats.gif(rng, pic)
    yield from image_formats.bmp(rng, pic)
    yield from image_tiffs.tiff(rng, pic)


def rgb_of(data):
    image = Image.open(io.BytesIO(data))
    if image.format != "TIFF":
        image = ImageOps.exif_transpose(image)
    return image.convert("RGB")


def write_ppm(path, image):
    header = b"P6\n%d %d\n255\n" % image.size
    path.write_bytes(header + image.tobytes())


def write_decode(folder, files, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files:
        stem, extension = name.rsplit(".", 1)
        path = folder / f"{stem}{suffix}.{extension}"
        path.write_bytes(data)
        write_ppm(folder / (path.name + ".ppm"), rgb_of(data))


def write_resize(folder, rng, cases, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for (width, height), targets in cases:
        image = picture(rng, "RGB", width, height)
        source = f"{width}x{height}{suffix}"
        write_ppm(folder / f"{source}.ppm", image)
        for index, target in targets:
            out = image.resize(target, resample=index)
            write_ppm(folder / f"{source}.{FILTERS[index]}.{target[0]}x{target[1]}.ppm", out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests/data/images")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # "should be converted to RGBA"
    rng, other = random.Random(args.seed), random.Random(args.seed + 1000)
    if args.count == 0:
        write_decode(args.out / "decode", kinds(rng, lambda: (19, 13)))
        write_decode(args.out / "decode", other_kinds(other, lambda: (19, 13)))
        small = [(0, (5, 4)), (1, (9, 7)), (2, (16, 16)), (3, (17, 9)), (4, (8, 8)), (5, (11, 6)),
                 (3, (37, 23)), (1, (60, 40)), (2, (37, 10)), (0, (61, 50))]
        write_resize(args.out / "resize", rng, [((37, 23), small), ((3, 40), [(2, (7, 9))])])
        return
    for i in range(args.count):
        write_decode(args.out / "decode",
                     kinds(rng, lambda: (rng.randrange(1, 300), rng.randrange(1, 300))), f"-{i}")
        extents = (other.randrange(10, 200), other.randrange(4, 200))
        write_decode(args.out / "decode", other_kinds(other, lambda: extents), f"-{i}")
        cases = []
        for _ in range(10):
            targets = [(rng.randrange(6), (rng.randrange(1, 300), rng.randrange(1, 300)))
                       for _ in range(6)]
            cases.append(((rng.randrange(1, 700), rng.randrange(1, 700)), targets))
        write_resize(args.out / "resize", rng, cases, f"-{i}")


if __name__ == "__main__":
    main()
