"""Quality on families that were not trained on, and the linear baseline next to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from .augment import draw, normalised
from .faces import LABELS, Face, distance_to_nearest
from .model import GlyphModel
from .train import Source

BASELINE_STEPS = 1500
BASELINE_BATCH = 256
DISTANCES = (0.0, 0.3, 0.4, 0.5, 9.0)


def test_images(faces: list[Face], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One drawn image of every glyph of every face, 8 bits [36 * faces, 32, 32], and the labels."""
    generator = torch.Generator().manual_seed(seed)
    glyphs = torch.from_numpy(np.concatenate([f.glyphs for f in faces]))
    return draw(glyphs, generator, training=False), torch.arange(len(LABELS)).repeat(len(faces))


def answers(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The best class of every 8-bit image."""
    with torch.no_grad():
        return torch.cat([model(normalised(part)).argmax(1) for part in images.split(256)])


def accuracy(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of right answers."""
    return (answers(model, images) == labels).float().mean().item()


class _Linear(torch.nn.Module):
    """Multinomial logistic regression on the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(32 * 32, len(LABELS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.dense(images.flatten(1))


def linear_baseline(source: Source, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Accuracy of a linear classifier of raw pixels, trained on the same drawn images as the model."""
    torch.manual_seed(7)
    model = _Linear()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(BASELINE_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * (1 - step / BASELINE_STEPS)
        batch, target = source.batch(BASELINE_BATCH, 1.0)
        loss = F.cross_entropy(model(batch), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return accuracy(model, images, labels)


def confusions(got: torch.Tensor, labels: torch.Tensor, most: int = 12) -> list[dict[str, Any]]:
    """The most frequent mistakes."""
    table = torch.zeros(len(LABELS), len(LABELS), dtype=torch.long)
    table.index_put_((labels, got), torch.ones(len(got), dtype=torch.long), accumulate=True)
    table.fill_diagonal_(0)
    order = table.flatten().argsort(descending=True)[:most].tolist()
    pairs = [divmod(at, len(LABELS)) for at in order]
    return [{"glyph": LABELS[a], "answer": LABELS[b], "images": int(table[a, b])} for a, b in pairs]


def by_distance(faces: list[Face], trained: list[Face], right: np.ndarray) -> list[dict[str, Any]]:
    """Accuracy of test faces by how much the most similar training face differs from them."""
    distance = distance_to_nearest(faces, trained)
    rows = []
    for low, high in zip(DISTANCES, DISTANCES[1:]):
        chosen = (distance >= low) & (distance < high)
        if chosen.any():
            rows.append({"from": low, "to": high, "faces": int(chosen.sum()), "accuracy": float(right[chosen].mean())})
    return rows


def measure(
    model: GlyphModel, source: Source, faces: list[Face], trained: list[Face], seed: int
) -> dict[str, Any]:
    """The figures of the model card; `faces` are those of the test groups."""
    images, labels = test_images(faces, seed)
    got = answers(model, images)
    right = (got == labels).float().view(len(faces), -1).mean(1)
    groups: dict[str, list[float]] = {}
    for face, share in zip(faces, right.tolist()):
        groups.setdefault(face.group, []).append(share)
    means = {name: float(np.mean(shares)) for name, shares in groups.items()}
    per_class = (got == labels).float().view(len(faces), -1).mean(0).tolist()
    return {
        "test families": len({f.family for f in faces}),
        "test groups of look-alike families": len(groups),
        "test faces": len(faces),
        "test images": len(images),
        "model accuracy, mean over groups": float(np.mean(list(means.values()))),
        "model accuracy, mean over images": right.mean().item(),
        "raw pixels, linear, mean over images": linear_baseline(source, images, labels),
        "accuracy by distance to the nearest training face": by_distance(faces, trained, right.numpy()),
        "accuracy by class": dict(zip(LABELS, (round(x, 4) for x in per_class))),
        "worst groups": dict(sorted(((k, round(v, 4)) for k, v in means.items()), key=lambda kv: kv[1])[:6]),
        "most frequent mistakes": confusions(got, labels),
    }
