"""TIFF files of every kind, for scripts/make_image_vectors.py: tiff() yields (name, bytes).

Pillow writes those with a compression that Python lacks; the others, and what Pillow reads and does
not write (tiles, planes, byte orders, depths), are written by hand.
"""
import struct
import zlib

import numpy as np

from image_formats import array, packed, saved


SIZES = {1: "B", 3: "H", 4: "I"}


def tiff_file(tags, blocks, order="<", tiled=False, big=False):
    """tags: {number: (type, values)}; blocks: bytes of each strip or tile."""
    head = 16 if big else 8
    data, offsets = b"", []
    for block in blocks:
        offsets.append(head + len(data))
        data += block + b"\0" * (len(block) % 2)
    tags = dict(tags)
    tags[324 if tiled else 273] = (4, offsets)
    tags[325 if tiled else 279] = (4, [len(block) for block in blocks])
    inline, pack = (8, "Q") if big else (4, "I")
    entries, extra = b"", b""
    directory = head + len(data)
    after = directory + (8 + 20 * len(tags) + 8 if big else 2 + 12 * len(tags) + 4)
    for number in sorted(tags):
        kind, values = tags[number]
        value = struct.pack(f"{order}{len(values)}{SIZES[kind]}", *values)
        entries += struct.pack(f"{order}HH{pack}", number, kind, len(values))
        if len(value) <= inline:
            entries += value + b"\0" * (inline - len(value))
        else:
            entries += struct.pack(order + pack, after + len(extra))
            extra += value + b"\0" * (len(value) % 2)
    mark = b"II" if order == "<" else b"MM"
    if big:
        start = mark + struct.pack(order + "HHHQ", 43, 8, 0, directory)
        return start + data + struct.pack(order + "Q", len(tags)) + entries + bytes(8) + extra
    start = mark + struct.pack(order + "HI", 42, directory)
    return start + data + struct.pack(order + "H", len(tags)) + entries + bytes(4) + extra


def tiff_of(samples, photometric, bits=8, order="<", compression=1, rows=0, tile=None, planar=False,
            predictor=False, more=None, big=False, kind=None):
    """samples (height, width, count) of unsigned numbers, or floats; kind: their numpy type."""
    height, width, count = samples.shape
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * count),
            259: (3, [compression]), 262: (3, [photometric]), 277: (3, [count])}
    if planar:
        tags[284] = (3, [2])
    if predictor:
        tags[317] = (3, [2])
    dtype = np.dtype(kind or {8: "u1", 16: "u2", 32: "u4"}.get(bits, "u1")).newbyteorder(order)

    def block(part):
        if bits == 12:
            return b"".join(twelve(row.reshape(-1)) for row in part)
        if bits < 8:
            return b"".join(packed(part.reshape(len(part), -1), bits))
        if predictor:
            part = np.diff(part.astype(np.int64), axis=1, prepend=0) % (1 << bits)
        return part.astype(dtype).tobytes()

    planes = [samples[:, :, i:i + 1] for i in range(count)] if planar else [samples]
    if tile:
        w, h = tile
        tags[322], tags[323] = (4, [w]), (4, [h])
        padded = [np.pad(p, ((0, -height % h), (0, -width % w), (0, 0)), "edge") for p in planes]
        parts = [p[y:y + h, x:x + w] for p in padded for y in range(0, height, h)
                 for x in range(0, width, w)]
    else:
        rows = rows or height
        tags[278] = (4, [rows])
        parts = [p[y:y + rows] for p in planes for y in range(0, height, rows)]
    tags.update(more or {})
    blocks = [zlib.compress(block(p)) if compression == 8 else block(p) for p in parts]
    return tiff_file(tags, blocks, order, tile is not None, big)


def twelve(values):
    out = b""
    for i in range(0, len(values), 2):
        a, b = int(values[i]), int(values[i + 1]) if i + 1 < len(values) else 0
        out += bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255])
    return out[:(len(values) * 12 + 7) // 8]


def tiff(rng, pic):
    def samples(mode):
        data = array(pic(mode))
        return data[:, :, None] if data.ndim == 2 else data

    def wide(mode, kind="u2", times=256):
        data = samples(mode).astype(np.int64) * times
        noise = np.random.RandomState(rng.randrange(1 << 30)).randint(0, times, data.shape)
        return (data + noise).astype(kind)

    for name, options in (
            ("lzw", {"compression": "tiff_lzw"}), ("deflate", {"compression": "tiff_adobe_deflate"}),
            ("packbits", {"compression": "packbits"}), ("raw", {}),
            ("lzma", {"compression": "lzma"}), ("zstd", {"compression": "zstd"}),
            ("webp", {"compression": "webp"}),
            ("jpeg", {"compression": "jpeg", "quality": 80})):
        yield f"rgb-{name}.tif", saved(pic("RGB"), "TIFF", **options)
        if name not in ("webp", "lzma", "zstd"):
            yield f"grey-{name}.tif", saved(pic("L"), "TIFF", **options)
    yield "ycbcr-jpeg.tif", saved(pic("RGB").convert("YCbCr"), "TIFF", compression="jpeg")
    yield "ycbcr-lzw.tif", saved(pic("RGB").convert("YCbCr"), "TIFF", compression="tiff_lzw")
    yield "cmyk.tif", saved(pic("CMYK"), "TIFF", compression="tiff_lzw")
    yield "cmyk-jpeg.tif", saved(pic("CMYK"), "TIFF", compression="jpeg")
    for name in ("tiff_ccitt", "group3", "group4", "tiff_lzw", "raw"):
        yield f"bilevel-{name}.tif", saved(pic("L").convert("1"), "TIFF", compression=name)
    yield "pages.tif", saved(pic("RGB"), "TIFF", save_all=True, append_images=[pic("L")])

    for value in range(1, 9):
        yield f"orientation-{value}.tif", tiff_of(samples("RGB"), 2, compression=8 if value % 2 else 1,
                                                  more={274: (3, [value])})
    for order in "<>":
        end = "little" if order == "<" else "big"
        for bits in (1, 2, 4, 8):
            pixels = samples("L") >> (8 - bits)
            yield f"grey-{bits}-{end}.tif", tiff_of(pixels, 1, bits, order, rows=4)
            yield f"white-zero-{bits}-{end}.tif", tiff_of(pixels, 0, bits, order, 8, rows=4)
            colors = [rng.randrange(65536) for _ in range(3 << bits)]
            yield f"palette-{bits}-{end}.tif", tiff_of(pixels, 3, bits, order, rows=5,
                                                       more={320: (3, colors)})
        yield f"grey-16-{end}.tif", tiff_of(wide("L", times=3), 1, 16, order)
        yield f"grey-16-deflate-{end}.tif", tiff_of(wide("L", times=3), 1, 16, order, 8)
        yield f"signed-16-{end}.tif", tiff_of(
            wide("L", "i4", 4) - 300, 1, 16, order, kind="i2", more={339: (3, [2])})
        yield f"signed-32-{end}.tif", tiff_of(
            wide("L", "i8", 4) - 300, 1, 32, order, kind="i4", more={339: (3, [2])})
        yield f"float-{end}.tif", tiff_of(wide("L", "f8", 2) / 1.7 - 20, 1, 32, order, kind="f4",
                                          more={339: (3, [3])})
        yield f"rgb-16-{end}.tif", tiff_of(wide("RGB"), 2, 16, order, rows=3)
        yield f"rgb-16-deflate-{end}.tif", tiff_of(wide("RGB"), 2, 16, order, 8, predictor=True)
        for kind in (0, 1, 2):
            yield f"rgba-{kind}-{end}.tif", tiff_of(samples("RGBA"), 2, 8, order,
                                                    more={338: (3, [kind])})
            yield f"rgba-16-{kind}-{end}.tif", tiff_of(wide("RGBA"), 2, 16, order, 8,
                                                       more={338: (3, [kind])})
    yield "grey-12.tif", tiff_of(wide("L", times=2), 1, 12)
    yield "white-zero-16.tif", tiff_of(wide("L", times=2), 0, 16)
    yield "unsigned-32.tif", tiff_of(wide("L", "u8", 3), 1, 32)
    yield "cmyk-16.tif", tiff_of(wide("CMYK"), 5, 16, compression=8)
    yield "cmyk-raw.tif", tiff_of(samples("CMYK"), 5, rows=6)
    yield "grey-alpha.tif", tiff_of(samples("LA"), 1, more={338: (3, [2])})
    yield "palette-alpha.tif", tiff_of(
        samples("LA"), 3, more={338: (3, [2]), 320: (3, [rng.randrange(65536) for _ in range(768)])})
    five = np.concatenate([samples("RGBA"), samples("RGBA")[:, :, :1]], axis=2)
    for kind in (0, 1, 2):
        yield f"rgb-5-{kind}.tif", tiff_of(five, 2, more={338: (3, [kind, 0])})
    yield "rgba-unnamed.tif", tiff_of(samples("RGBA"), 2)
    yield "fill-order.tif", tiff_of(samples("L") >> 7, 1, 1, more={266: (3, [2])})
    yield "rgb-fill-order.tif", tiff_of(samples("RGB"), 2, more={266: (3, [2])})
    yield "big.tif", tiff_of(samples("RGB"), 2, big=True)
    yield "planar.tif", tiff_of(samples("RGB"), 2, planar=True, rows=4)
    yield "planar-deflate.tif", tiff_of(samples("RGB"), 2, compression=8, planar=True, rows=4)
    yield "planar-16.tif", tiff_of(wide("RGB"), 2, 16, compression=8, planar=True)
    yield "planar-premultiplied.tif", tiff_of(samples("RGBA"), 2, compression=8, planar=True,
                                              more={338: (3, [1])})
    yield "planar-cmyk.tif", tiff_of(samples("CMYK"), 5, compression=8, planar=True)
    yield "tiles.tif", tiff_of(samples("RGB"), 2, tile=(16, 16))
    yield "tiles-deflate.tif", tiff_of(samples("RGB"), 2, compression=8, tile=(16, 16),
                                       predictor=True)
    yield "tiles-larger.tif", tiff_of(samples("L"), 1, compression=8, tile=(64, 32))
    yield "tiles-planar.tif", tiff_of(samples("RGB"), 2, compression=8, tile=(16, 16), planar=True)
    for across, down in ((2, 2), (2, 1), (1, 1)):
        width, height = pic("L").size
        blocks = -(-width // across) * -(-height // down)
        data = zlib.compress(rng.randbytes(blocks * (across * down + 2)))
        tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8] * 3), 259: (3, [8]),
                262: (3, [6]), 277: (3, [3]), 278: (4, [height]), 530: (3, [across, down])}
        yield f"ycbcr-{across}{down}.tif", tiff_file(tags, [data])
