"""WebP, GIF and BMP files of every kind, for scripts/make_image_vectors.py.

Written by hand where Pillow cannot write what it reads. webp(), gif() and bmp() yield (name, bytes);
`pic(mode)` gives a picture, `rng` is a random.Random.
"""
import io
import struct

import numpy as np
from PIL import Image


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def array(image):
    return np.asarray(image)


# WebP

def chunk(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def riff(*chunks):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def u24(value):
    return struct.pack("<I", value)[:3]


def webp(rng, pic, exif):
    yield "lossy.webp", saved(pic("RGB"), "WEBP", quality=70)
    yield "lossy-low.webp", saved(pic("RGB"), "WEBP", quality=5)
    yield "lossless.webp", saved(pic("RGB"), "WEBP", lossless=True)
    yield "lossy-alpha.webp", saved(pic("RGBA"), "WEBP", quality=80)
    yield "lossless-alpha.webp", saved(pic("RGBA"), "WEBP", lossless=True)
    yield "lossless-alpha-exact.webp", saved(pic("RGBA"), "WEBP", lossless=True, exact=True)
    yield "grey.webp", saved(pic("L"), "WEBP", quality=60)
    for value in (3, 6):
        yield f"exif-{value}.webp", saved(pic("RGB"), "WEBP", quality=75, exif=exif(value))
    frames = [pic("RGBA") for _ in range(2)]
    frames[1] = frames[1].resize(frames[0].size)
    yield "animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:],
                                 background=(9, 99, 199, 255), lossless=True)
    frame = pic("RGBA")
    width, height = frame.size
    data = saved(frame, "WEBP", lossless=True, exact=True)
    vp8l = data[data.index(b"VP8L"):]
    anmf = u24(2) + u24(3) + u24(width - 1) + u24(height - 1) + u24(100) + b"\0" + vp8l
    yield "animated-small-frame.webp", riff(
        chunk(b"VP8X", bytes([0x12, 0, 0, 0]) + u24(width + 8) + u24(height + 9)),
        chunk(b"ANIM", b"\1\2\3\xff\0\0"), chunk(b"ANMF", anmf))


# GIF

def lzw(indices, bits):
    """Codes of growing width, cleared when the table is full."""
    out, buffer, count = bytearray(), 0, 0
    clear = 1 << bits

    def reset():
        return {bytes([i]): i for i in range(clear)}, bits + 1, clear + 2

    def emit(code, width):
        nonlocal buffer, count
        buffer |= code << count
        count += width
        while count >= 8:
            out.append(buffer & 255)
            buffer >>= 8
            count -= 8

    table, width, following = reset()
    emit(clear, width)
    text = b""
    for index in indices:
        longer = text + bytes([index])
        if longer in table:
            text = longer
            continue
        emit(table[text], width)
        if following == 4096:
            emit(clear, width)
            table, width, following = reset()
        else:
            table[longer] = following
            if following == 1 << width:
                width += 1
            following += 1
        text = bytes([index])
    emit(table[text], width)
    emit(clear + 1, width)
    if count:
        out.append(buffer & 255)
    blocks = b"".join(bytes([len(out[i:i + 255])]) + bytes(out[i:i + 255])
                      for i in range(0, len(out), 255))
    return bytes([bits]) + blocks + b"\0"


def table_bytes(rng, bits):
    return bytes(rng.randrange(256) for _ in range(3 << bits))


def ramp(bits):
    return b"".join(bytes([i] * 3) for i in range(1 << bits))


def gif_frame(indices, bits, at=(0, 0), table=None, interlaced=False):
    height, width = indices.shape
    flags = (0x80 | (bits - 1) if table else 0) | (0x40 if interlaced else 0)
    if interlaced:
        indices = np.concatenate([indices[a::b] for a, b in ((0, 8), (4, 8), (2, 4), (1, 2))])
    return (struct.pack("<BHHHHB", 0x2C, *at, width, height, flags) + (table or b"") +
            lzw(indices.tobytes(), max(bits, 2)))


def gif_file(screen, body, bits=0, table=None, version=b"GIF89a"):
    flags = 0x80 | (bits - 1) if table else 0
    return version + struct.pack("<HHBBB", *screen, flags, 1, 0) + (table or b"") + body + b";"


def control(transparent):
    return b"!\xf9\4\1\0\0" + bytes([transparent]) + b"\0"


def gif(rng, pic):
    def indices(bits):
        return array(pic("L")) >> (8 - bits)

    def size(pixels):
        return pixels.shape[1], pixels.shape[0]

    for bits in (1, 2, 4, 8):
        pixels = indices(bits)
        yield f"global-{bits}.gif", gif_file(size(pixels), gif_frame(pixels, bits), bits,
                                             table_bytes(rng, bits))
    pixels = indices(5)
    for name, options in (
            ("interlaced", {"interlaced": True}), ("local", {"table": table_bytes(rng, 5)}),
            ("local-ramp", {"table": ramp(5)})):
        yield f"{name}.gif", gif_file(size(pixels), gif_frame(pixels, 5, **options), 5,
                                      table_bytes(rng, 5), b"GIF87a")
    yield "no-table.gif", gif_file(size(pixels), gif_frame(pixels, 5))
    yield "local-only.gif", gif_file(size(pixels),
                                     gif_frame(pixels, 5, table=table_bytes(rng, 5)))
    yield "short-table.gif", gif_file(size(pixels), gif_frame(pixels, 5), 3, table_bytes(rng, 3))
    yield "grey-table.gif", gif_file(size(pixels), gif_frame(pixels, 5), 5, ramp(5))
    table, larger = table_bytes(rng, 5), (pixels.shape[1] + 7, pixels.shape[0] + 5)
    yield "small-frame.gif", gif_file(larger, gif_frame(pixels, 5, (3, 2)), 5, table)
    yield "small-frame-transparent.gif", gif_file(
        larger, control(7) + gif_frame(pixels, 5, (3, 2), None, True), 5, table)
    yield "transparent.gif", gif_file(size(pixels), control(3) + gif_frame(pixels, 5), 5, table)
    yield "frame-beyond-screen.gif", gif_file((4, 3), gif_frame(pixels, 5, (2, 1)), 5, table)
    yield "comment.gif", gif_file(size(pixels), b"!\xfe\3abc\0\0" + gif_frame(pixels, 5), 5, table)
    noise = np.frombuffer(rng.randbytes(90 * 70), np.uint8).reshape(70, 90)
    yield "full-table.gif", gif_file((90, 70), gif_frame(noise, 8), 8, table_bytes(rng, 8))
    frames = [pic("RGB").quantize(16) for _ in range(3)]
    yield "animated.gif", saved(frames[0], "GIF", save_all=True,
                                append_images=[f.resize(frames[0].size) for f in frames[1:]])


# BMP

def bmp_file(width, height, bits, rows, table=b"", compression=0, header=40, masks=b"", offset=None,
             colors=0):
    if header == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(rows),
                           2835, 2835, colors, 0)
        within = masks if header >= 56 else b""
        head += within + b"\0" * (header - 40 - len(within))
        head += b"" if within else masks
    start = 14 + len(head) + len(table)
    return (b"BM" + struct.pack("<III", start + len(rows), 0, start if offset is None else offset) +
            head + table + rows)


def bmp_rows(lines):
    return b"".join(line + b"\0" * (-len(line) % 4) for line in lines)


def packed(pixels, bits):
    """Samples of 1, 2, 4 or 8 bits, the first in the high bits; each row to whole bytes."""
    lines = []
    for row in pixels:
        text = "".join(format(int(v), f"0{bits}b") for v in row)
        text += "0" * (-len(text) % 8)
        lines.append(bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8)))
    return lines


def runs(pixels, bits):
    """Run lengths; a stretch as it is now and then, of an even count where Pillow needs that."""
    out = b""
    for row in pixels:
        x = 0
        while x < len(row):
            rest = row[x:]
            if x % 5 == 0 and len(rest) >= 4:
                values = [int(v) for v in rest[:4]]
                if bits == 4:
                    out += bytes([0, 4, values[0] << 4 | values[1], values[2] << 4 | values[3]])
                else:
                    out += bytes([0, 4, *values])
                x += 4
                continue
            count = next((i for i, v in enumerate(rest) if v != rest[0]), len(rest))
            value = int(rest[0])
            out += bytes([count, value * 17 if bits == 4 else value])
            x += count
        out += b"\0\0"
    return out + b"\0\1"


def bmp(rng, pic):
    def table(count, entry=4):
        return bytes(0 if entry == 4 and i % 4 == 3 else rng.randrange(256)
                     for i in range(count * entry))

    def indices(bits):
        return array(pic("L")) >> (8 - bits)

    for bits in (1, 4, 8):
        pixels = indices(bits)
        height, width = pixels.shape
        rows = bmp_rows(packed(pixels, bits))
        yield f"palette-{bits}.bmp", bmp_file(width, height, bits, rows, table(1 << bits))
        yield f"os2-{bits}.bmp", bmp_file(width, height, bits, rows, table(1 << bits, 3), header=12)
    yield "top-down.bmp", bmp_file(width, -height, 8, rows, table(256))
    yield "short-palette.bmp", bmp_file(width, height, 8, rows, table(100), colors=100)
    yield "offset-without-palette.bmp", bmp_file(width, height, 8, rows, table(256), offset=54)
    yield "no-offset.bmp", bmp_file(width, height, 8, rows, table(256), offset=0)
    yield "os2-v2.bmp", bmp_file(width, height, 8, rows, table(256), header=64)
    yield "v4.bmp", bmp_file(width, height, 8, rows, table(256), header=108)
    yield "grey-8.bmp", saved(pic("L"), "BMP")
    yield "bilevel.bmp", saved(pic("L").convert("1"), "BMP")
    yield "rgb-24.bmp", saved(pic("RGB"), "BMP")
    yield "rgba-32.bmp", saved(pic("RGBA"), "BMP")
    for bits in (4, 8):
        pixels = indices(bits)
        height, width = pixels.shape
        yield f"rle-{bits}.bmp", bmp_file(width, height, bits, runs(pixels, bits), table(1 << bits),
                                          3 - bits // 4)
    flat = np.repeat(indices(8)[:, :1], 9, axis=1)
    yield "rle-flat-top-down.bmp", bmp_file(9, -len(flat), 8, runs(flat, 8), table(256), 1)
    for bits, masks in (
            (16, ()), (16, (0xF800, 0x7E0, 0x1F)), (16, (0x7C00, 0x3E0, 0x1F)), (32, ()),
            (24, (0xFF0000, 0xFF00, 0xFF)), (32, (0xFF0000, 0xFF00, 0xFF)),
            (32, (0xFF000000, 0xFF0000, 0xFF00)), (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
            (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)), (32, (0, 0, 0, 0))):
        width, height = pic("L").size
        rows = bmp_rows(rng.randbytes(width * bits // 8) for _ in range(height))
        name = f"color-{bits}-{'-'.join(format(m, 'x') for m in masks) or 'plain'}.bmp"
        header = 124 if len(masks) == 4 else 40
        yield name, bmp_file(width, height, bits, rows, compression=3 if masks else 0,
                             header=header, masks=struct.pack(f"<{len(masks)}I", *masks))
