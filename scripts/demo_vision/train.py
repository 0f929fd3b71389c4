"""The training loop: drawn images, AdamW, a mean of the weights; goes on from its state file."""

from __future__ import annotations

import copy
import math
import time
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from torch.nn import functional as F

from .augment import draw, normalised
from .faces import LABELS, TRAINING_ONLY, Face
from .model import GlyphModel

BATCH = 64
PEAK = 1e-3
WARM_UP = 0.04  # of the time
WEIGHT_DECAY = 0.05
SMOOTHING = 0.05
EASY = 0.2  # of the time: inversion and movement grow to their full strength
AVERAGE = 0.999  # of the averaged weights, kept at every step
DISPLAY_SHARE = 0.3  # of the training images, from TRAINING_ONLY packages


class Source:
    """Draws training images: faces by 1 / sqrt(size of their group), classes evenly."""

    def __init__(self, faces: list[Face], seed: int) -> None:
        self.glyphs = torch.from_numpy(np.stack([f.glyphs for f in faces]))
        self.weights = torch.from_numpy(face_weights(faces))
        self.generator = torch.Generator().manual_seed(seed)

    def batch(self, count: int, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(pixel values [count, 32, 32], labels [count])."""
        face = torch.multinomial(self.weights, count, replacement=True, generator=self.generator)
        label = torch.randint(len(LABELS), (count,), generator=self.generator)
        return normalised(draw(self.glyphs[face, label], self.generator, True, strength)), label


def face_weights(faces: list[Face]) -> np.ndarray:
    """The chance of every face."""
    sizes: dict[str, int] = {}
    for face in faces:
        sizes[face.group] = sizes.get(face.group, 0) + 1
    weights = np.array([1 / math.sqrt(sizes[f.group]) for f in faces])
    display = np.array([any(part in f.file for part in TRAINING_ONLY) for f in faces])
    for chosen, share in ((display, DISPLAY_SHARE), (~display, 1 - DISPLAY_SHARE)):
        if chosen.any():
            weights[chosen] *= share / weights[chosen].sum()
    return weights


def train(
    model: GlyphModel, source: Source, minutes: float, wall: float, report: Callable[[GlyphModel], str],
    state: Path | None,
) -> GlyphModel:
    """Trains for `minutes` of processor time, or `wall` minutes by the clock; returns the averaged model."""
    average = copy.deepcopy(model)
    decayed = [p for p in model.parameters() if p.ndim > 1 and p.shape[0] > 1]
    others = [p for p in model.parameters() if not (p.ndim > 1 and p.shape[0] > 1)]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.99))
    spent, waited, steps, smooth = 0.0, 0.0, 0, math.nan
    if state and state.exists():
        kept = torch.load(state)
        model.load_state_dict(kept["model"])
        average.load_state_dict(kept["average"])
        optimiser.load_state_dict(kept["optimiser"])
        source.generator.set_state(kept["generator"])
        spent, waited, steps, smooth = kept["spent"], kept["waited"], kept["steps"], kept["loss"]
        print(f"  goes on after {spent:.0f} s, {steps} steps", flush=True)
    begin, saved, shown, clock = time.process_time() - spent, spent, spent, time.time() - waited

    def progress() -> float:
        return max((time.process_time() - begin) / minutes, (time.time() - clock) / wall) / 60

    while (done := progress()) < 1:
        for group in optimiser.param_groups:
            group["lr"] = PEAK * min(done / WARM_UP, 0.5 * (1 + math.cos(math.pi * done)) + 1e-3)
        images, labels = source.batch(BATCH, min(1.0, done / EASY))
        loss = F.cross_entropy(model(images), labels, label_smoothing=SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        steps += 1
        keep = min(AVERAGE, steps / (steps + 10))
        with torch.no_grad():
            for mean, new in zip(average.parameters(), model.parameters()):
                mean.lerp_(new, 1 - keep)
        smooth = loss.item() if math.isnan(smooth) else 0.98 * smooth + 0.02 * loss.item()
        spent = time.process_time() - begin
        if spent - shown > min(240.0, 6 * minutes):
            shown = spent
            print(f"  {done:4.0%} step {steps}, {spent:.0f} s, loss {smooth:.3f}; {report(average)}", flush=True)
        if state and spent - saved > 90:
            saved = spent
            torch.save({"model": model.state_dict(), "average": average.state_dict(), "spent": spent, "loss": smooth,
                        "optimiser": optimiser.state_dict(), "steps": steps, "waited": time.time() - clock,
                        "generator": source.generator.get_state()}, state.with_suffix(".new"))
            state.with_suffix(".new").replace(state)
    print(f"  {steps} steps of {BATCH} images, {spent:.0f} s, loss {smooth:.3f}; {report(average)}", flush=True)
    return average
