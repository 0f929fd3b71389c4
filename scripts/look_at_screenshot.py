#!/usr/bin/env python3
"""Looks at a screenshot of a report: is something drawn, in the theme that was asked for?

    look_at_screenshot.py light|dark FILE.png

Fails unless the background (the commonest colour) is light or dark as asked, at least 2 % of the
pixels differ from it, at least three of the plots' hues occur, and nothing is drawn in the last
columns (a page wider than its window would be cut off there).
"""

import collections
import colorsys
import sys

from PIL import Image


def hues(colours):
    """Tenths of the colour circle in which saturated colours lie."""
    found = set()
    for (red, green, blue), count in colours.items():
        hue, lightness, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
        if count >= 20 and saturation > 0.4 and 0.15 < lightness < 0.85:
            found.add(int(10 * hue))
    return found


def main(theme, path):
    image = Image.open(path).convert("RGB")
    width, height = image.size
    colours = collections.Counter(image.getdata())
    background, count = colours.most_common(1)[0]
    problems = []
    is_light = sum(background) > 3 * 128
    if is_light != (theme == "light"):
        problems.append(f"the background is {background}, expected a {theme} one")
    drawn = 1 - count / (width * height)
    if drawn < 0.02:
        problems.append(f"{100 * drawn:.2f} % of the pixels are drawn on, expected at least 2 %")
    if len(hues(colours)) < 3:
        problems.append(f"{len(hues(colours))} hues, expected at least 3")
    edge = image.crop((width - 3, 0, width, height))
    if set(edge.getdata()) != {background}:
        problems.append("something is drawn at the right edge, expected a margin")
    for problem in problems:
        print(f"error: {path}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
