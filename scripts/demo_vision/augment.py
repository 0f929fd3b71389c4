"""Random images of 32 x 32 from stored renderings: the distribution of training and test."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from .faces import CANVAS

SIDE = 32
TURN = math.radians(18)  # rotation, either way
SCALE = (0.72, 1.08)
ASPECT = 0.15  # of the ratio of width to height, either way
SHEAR = 0.22
SHIFT = 3.0  # pixels, either way
CONTRAST = 0.3  # least difference of ink and paper, of 1; either may be the lighter
BLUR = 1.1  # largest standard deviation in pixels; half of the images have none
NOISE = 0.10  # largest standard deviation of a pixel, of 1
# Training only: bends of up to about this many pixels, and strokes a pixel thicker or thinner.
BEND = 1.2
STROKE = 0.12


def _uniform(generator: torch.Generator, count: int, low: float, high: float) -> torch.Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _window(generator: torch.Generator, count: int, bend: bool, strength: float) -> torch.Tensor:
    """Sampling grid [count, 32, 32, 2]: output pixels back to the canvas, in grid_sample's units."""
    turn = _uniform(generator, count, -TURN, TURN) * strength
    scale = torch.exp(_uniform(generator, count, math.log(SCALE[0]), math.log(SCALE[1])))
    aspect = torch.exp(_uniform(generator, count, -ASPECT, ASPECT) / 2)
    shear = _uniform(generator, count, -SHEAR, SHEAR) * strength
    cos, sin = torch.cos(turn), torch.sin(turn)
    # canvas = S^-1 K R^-1 (pixel - shift), with S = scale * diag(aspect, 1/aspect), K a shear
    rotation = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    one, zero = torch.ones(count), torch.zeros(count)
    sheared = torch.stack([torch.stack([one, shear], 1), torch.stack([zero, one], 1)], 1)
    stretch = torch.stack([1 / (scale * aspect), aspect / scale], 1)
    matrix = stretch[:, :, None] * (sheared @ rotation)
    centred = torch.arange(SIDE, dtype=torch.float32) - (SIDE - 1) / 2
    pixels = torch.stack(torch.meshgrid(centred, centred, indexing="xy"), -1).reshape(1, -1, 2)
    shift = torch.stack([_uniform(generator, count, -SHIFT, SHIFT) * strength for _ in range(2)], 1)
    points = (pixels - shift[:, None, :]) @ matrix.transpose(1, 2)
    points = points.reshape(count, SIDE, SIDE, 2)
    if bend:
        coarse = torch.randn(count, 2, 5, 5, generator=generator) * (BEND * strength / 2)
        points = points + F.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return points / (CANVAS / 2)


def _blurred(generator: torch.Generator, images: torch.Tensor) -> torch.Tensor:
    """Gaussian blur, 5 taps a side, of half of the images."""
    count = len(images)
    deviation = _uniform(generator, count, 0.3, BLUR)
    taps = torch.exp(-0.5 * (torch.arange(-2.0, 3.0) / deviation[:, None]) ** 2)
    sharp = torch.tensor([0.0, 0, 1, 0, 0])
    taps = torch.where((torch.rand(count, generator=generator) < 0.5)[:, None], taps / taps.sum(1, keepdim=True), sharp)
    padded = F.pad(images[:, None], (2, 2, 2, 2), mode="replicate")[:, 0]
    rows = sum(taps[:, i, None, None] * padded[:, i : i + SIDE] for i in range(5))
    return sum(taps[:, i, None, None] * rows[:, :, i : i + SIDE] for i in range(5))


def _strokes(generator: torch.Generator, canvas: torch.Tensor) -> torch.Tensor:
    """Thickens a share of STROKE of the glyphs by a pixel, thins as many."""
    choice = torch.rand(len(canvas), generator=generator)
    thick, thin = choice < STROKE, choice > 1 - STROKE
    canvas = canvas.clone()
    canvas[thick] = F.max_pool2d(canvas[thick], 3, 1, 1)
    thinner = -F.max_pool2d(-canvas[thin], 2, 1, 1)[:, :, :CANVAS, :CANVAS]
    canvas[thin] = torch.maximum(thinner, 0.5 * canvas[thin])
    return canvas


def draw(glyphs: torch.Tensor, generator: torch.Generator, training: bool, strength: float = 1.0) -> torch.Tensor:
    """Images [n, 32, 32] of 8 bits from renderings [n, 44, 44] of 8 bits.

    Below a strength of 1 images move and bend less, and fewer of them are inverted.
    """
    count = len(glyphs)
    canvas = glyphs.float()[:, None] / 255
    if training:
        canvas = _strokes(generator, canvas)
    ink = F.grid_sample(canvas, _window(generator, count, training, strength), padding_mode="zeros", align_corners=False)[:, 0]
    ink = _blurred(generator, ink)
    difference = _uniform(generator, count, CONTRAST, 1)
    low = torch.rand(count, generator=generator) * (1 - difference)
    inverted = torch.rand(count, generator=generator) < 0.5 * strength
    paper = torch.where(inverted, low + difference, low)
    images = paper[:, None, None] + torch.where(inverted, -difference, difference)[:, None, None] * ink
    noise = torch.randn(images.shape, generator=generator) * _uniform(generator, count, 0, NOISE)[:, None, None]
    return ((images + noise).clamp(0, 1) * 255).round().to(torch.uint8)


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Pixel values as the image processor makes them: (x / 255 - 0.5) / 0.5, shape [n, 32, 32]."""
    return (images.float() / 255 - 0.5) / 0.5
