"""Faces of the installed font packages: which ones hold A-Z and 0-9, their glyphs, their families."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFont

LABELS = [*"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
CANVAS = 44  # side of a stored rendering; the window of an image is its middle 32
CAP = 27  # height of a capital H in it, unless a glyph is too wide
SPAN = 32  # the most a glyph may take
DRAWN = 96  # pixels per em before scaling down
FACES_PER_FAMILY = 8
# Two families are one when some faces of theirs look nearly the same: |a - b| / |a| below this.
SAME_LOOK = 0.22
DIRECTORIES = ("/usr/share/fonts/truetype/", "/usr/share/fonts/opentype/", "/usr/share/fonts/X11/Type1/")
# Display faces that play with legibility (mazes, negatives, glyphs made of other glyphs): training only.
TRAINING_ONLY = ("/ttf-aenigma/", "/fonts-aenigma/", "/aenigma/")

# Families whose A-Z or 0-9 are other signs: Greek, Tamil, mathematics, dingbats, ornaments, keycaps.
EXCLUDED = {
    "Alfa-beta", "D050000L", "Ellhnikh", "Linux Biolinum Keyboard O", "Standard Symbols PS", "TAMu_Kadambri",
    "TAMu_Kalyani", "TAMu_Maduram", "UKIJ Imaret", "UKIJ Tughra", "cmex10", "cmsy10", "msam10", "msbm10", "stmary10", "wasy10",
}


@dataclass
class Face:
    """One style of one family; `glyphs` has shape [36, 44, 44], 255 is ink."""

    family: str
    style: str
    file: str
    glyphs: np.ndarray
    group: str = ""
    split: str = ""


def installed() -> list[tuple[str, int, str, str]]:
    """(file, index, family, style) of every scalable face that fontconfig lists, in a fixed order."""
    form = "%{file}|%{index}|%{family[0]}|%{style[0]}|%{scalable}\n"
    listed = subprocess.run(["fc-list", "--format", form], capture_output=True, text=True, check=True).stdout
    rows = set()
    for line in listed.splitlines():
        parts = line.split("|")
        if len(parts) == 5 and parts[4] == "True" and parts[0].startswith(DIRECTORIES) and int(parts[1]) < 65536:
            rows.add((parts[0], int(parts[1]), parts[2], parts[3]))
    return sorted(rows, key=lambda row: (row[2], row[3], row[0], row[1]))


def _mask(font: ImageFont.FreeTypeFont, char: str) -> np.ndarray:
    drawn = font.getmask(char, mode="L")
    width, height = drawn.size
    if not width or not height:
        return np.zeros((0, 0), np.uint8)
    a = np.asarray(drawn, dtype=np.uint8).reshape(height, width)
    ink = a > 32
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return a[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else np.zeros((0, 0), np.uint8)


def render(file: str, index: int) -> np.ndarray | None:
    """The 36 glyphs, or nothing when the face lacks one of them or repeats one glyph for many."""
    try:
        font = ImageFont.truetype(file, DRAWN, index=index, layout_engine=ImageFont.Layout.BASIC)
        masks = [_mask(font, char) for char in LABELS]
        absent = [_mask(font, char) for char in "\uffff\U000f1234"]
    except (OSError, ValueError, SystemError):
        return None
    if any(m.size < 60 or max(m.shape) < 12 for m in masks):
        return None
    keys = [(m.shape, m.tobytes()) for m in masks]
    if set(keys) & {(m.shape, m.tobytes()) for m in absent if m.size} or len(set(keys)) < 35:
        return None
    cap = masks[LABELS.index("H")].shape[0]
    return np.stack([_placed(m, cap) for m in masks])


def _placed(mask: np.ndarray, cap: int) -> np.ndarray:
    """The glyph, scaled so that a capital H is CAP high, in the middle of the canvas."""
    height, width = mask.shape
    factor = min(CAP / cap, SPAN / height, SPAN / width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.BOX if factor < 0.5 else 2))
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    top, left = (CANVAS - size[1]) // 2, (CANVAS - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas


def collect() -> list[Face]:
    """The faces of all families that are not excluded, grouped and split."""
    faces: list[Face] = []
    for file, index, family, style in installed():
        if family in EXCLUDED:
            continue
        glyphs = render(file, index)
        if glyphs is not None:
            name = "".join(c for c in family if c.isprintable())
            faces.append(Face(name, style, file, glyphs))
    faces = _spread(faces)
    _group(faces)
    assign_splits(faces)
    return faces


def assign_splits(faces: list[Face]) -> None:
    """Whole groups by hash; a group with a face that is for training only is for training."""
    only = {face.group for face in faces if any(part in face.file for part in TRAINING_ONLY)}
    for face in faces:
        face.split = "train" if face.group in only else _split(face.group)


def distance_to_nearest(faces: list[Face], others: list[Face]) -> np.ndarray:
    """For every face, |a - b| / min(|a|, |b|) to the most similar of `others`, [faces]."""
    a, b = _looks(faces), _looks(others)
    squares_a, squares_b = (a**2).sum(1)[:, None], (b**2).sum(1)[None]
    distances = np.maximum(squares_a + squares_b - 2 * a @ b.T, 0)
    return np.sqrt(distances / np.minimum(squares_a, squares_b)).min(1)


def _spread(faces: list[Face]) -> list[Face]:
    """At most FACES_PER_FAMILY of one family, evenly over its sorted styles; no face twice."""
    families: dict[str, dict[bytes, Face]] = {}
    for face in faces:
        families.setdefault(face.family, {}).setdefault(face.glyphs.tobytes(), face)
    kept: list[Face] = []
    for members in families.values():
        rows = list(members.values())
        count = min(len(rows), FACES_PER_FAMILY)
        kept += [rows[i * len(rows) // count] for i in range(count)]
    return kept


def _looks(faces: list[Face]) -> np.ndarray:
    """[faces, 36 * 11 * 11] renderings of a quarter of the resolution."""
    small = np.stack([f.glyphs for f in faces]).astype(np.float32)
    small = small.reshape(len(faces), 36, 11, 4, 11, 4).mean((3, 5))
    return small.reshape(len(faces), -1)


def _group(faces: list[Face]) -> None:
    """Joins families that share the look of a face (renamed copies, metric twins, several names of one)."""
    looks = _looks(faces)
    square = (looks**2).sum(1)
    parent = {face.family: face.family for face in faces}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for i in range(len(faces)):
        distance = square[i] + square - 2 * (looks @ looks[i])
        close = np.flatnonzero(distance < SAME_LOOK**2 * np.minimum(square[i], square))
        for j in close:
            a, b = root(faces[i].family), root(faces[j].family)
            parent[max(a, b)] = min(a, b)
    for face in faces:
        face.group = root(face.family)


def _split(group: str) -> str:
    """16 % of the groups are test, 8 % validation, by a hash of the group's name."""
    byte = hashlib.sha256(group.encode()).digest()[0]
    return "test" if byte < 41 else "valid" if byte < 61 else "train"
