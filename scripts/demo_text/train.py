"""The training loop: a bag-of-tokens warm start, then the whole encoder."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Callable

import torch
from torch.nn import functional as F

from .model import SectionModel, encode, mean_pool, pad
from .sampling import Batch, Sampler, SectionSampler

TEMPERATURE = 0.05
WARM_START_SHARE = 0.3  # of the training time
# (share of the encoder's training time, layers in use from then on)
LAYERS_FROM = ((0.0, 1), (0.3, 2), (0.5, 4))
LR_EMBEDDINGS = 2e-3
LR_ENCODER = 8e-4
SECTION_ROWS = 32  # classifier texts per step
BAG_SECTION_ROWS = 96  # the same for the bag of tokens
SECTION_WEIGHT = 0.5
LABEL_SMOOTHING = 0.05


def contrast(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE: row i of `a` belongs to row i of `b`."""
    scores = a @ b.t() / TEMPERATURE
    target = torch.arange(len(a))
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.t(), target)) / 2


def retrieval_loss(synopses: torch.Tensor, documents: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Synopses against descriptions, short queries against synopses."""
    return contrast(synopses, documents) + 0.5 * contrast(queries, synopses)


def section_loss(model: SectionModel, first: torch.Tensor, labels: list[int]) -> torch.Tensor:
    """Cross entropy of the rows that have a label, from their [CLS] states."""
    rows = [i for i, label in enumerate(labels) if label >= 0]
    target = torch.tensor([labels[i] for i in rows])
    return F.cross_entropy(model.logits(first[rows]), target, label_smoothing=LABEL_SMOOTHING)


def bag_step(model: SectionModel, batch: Batch, sections: SectionSampler) -> torch.Tensor:
    """The loss of the encoder's starting point, a bag of tokens: no layer used."""
    texts, text_labels = sections.draw(BAG_SECTION_ROWS)
    pooled, firsts = [], []
    for rows in (batch.synopses, batch.documents, batch.queries, texts):
        ids, mask = pad(rows)
        hidden = model.bert.bag(ids, mask)
        pooled.append(mean_pool(hidden, mask))
        firsts.append(hidden[:, 0])
    loss = section_loss(model, firsts[1], batch.labels) + section_loss(model, firsts[3], text_labels)
    return retrieval_loss(*pooled[:3]) + SECTION_WEIGHT * loss


def full_step(model: SectionModel, batch: Batch, sections: SectionSampler) -> torch.Tensor:
    """Retrieval and classification through the encoder."""
    texts, text_labels = sections.draw(SECTION_ROWS)
    count = len(batch.labels)
    pooled, first = encode(model.bert, batch.synopses + batch.documents + batch.queries + texts)
    loss = section_loss(model, first[count : 2 * count], batch.labels)
    loss = loss + section_loss(model, first[3 * count :], text_labels)
    return retrieval_loss(*pooled[: 3 * count].split(count)) + SECTION_WEIGHT * loss


def run_stage(
    model: SectionModel, step: Callable[[float], torch.Tensor], seconds: float, peak: float, name: str,
    every: float = 150.0, report: Callable[[], str] | None = None, save: Path | None = None,
) -> None:
    """AdamW with warm-up and linear decay over a span of wall-clock time."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), eps=1e-8)
    begin = last = time.monotonic()
    steps, smooth = 0, float("nan")
    while (done := (time.monotonic() - begin) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = peak * max(1e-3, min(done / 0.03, 1 - done))
        loss = step(done)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        steps += 1
        smooth = loss.item() if math.isnan(smooth) else 0.95 * smooth + 0.05 * loss.item()
        if time.monotonic() - last > every:
            last = time.monotonic()
            if save:
                torch.save(model.state_dict(), save)
            extra = report() if report else ""
            print(f"  {name}: {done:4.0%} step {steps} loss {smooth:.3f} {extra}", flush=True)
    print(f"  {name}: {steps} steps in {time.monotonic() - begin:.0f} s, loss {smooth:.3f}", flush=True)


def train(
    model: SectionModel, bags: Sampler, sampler: Sampler, sections: SectionSampler, minutes: float,
    report: Callable[[], str], save: Path,
) -> None:
    """Trains for `minutes` of wall-clock time."""
    warm = minutes * 60 * WARM_START_SHARE
    source = bags.batches()

    def bag(done: float) -> torch.Tensor:
        return bag_step(model, next(source), sections)

    model.bert.active = 1  # with the weights it starts from, the first layer computes the bag
    run_stage(model, bag, warm, LR_EMBEDDINGS, "bag of tokens", report=report)
    print(f"  passes over the sources: {bags.epoch:.1f}; {report()}", flush=True)
    batches = sampler.batches()

    def full(done: float) -> torch.Tensor:
        model.bert.active = max(layers for share, layers in LAYERS_FROM if share <= done)
        return full_step(model, next(batches), sections)

    run_stage(model, full, minutes * 60 - warm, LR_ENCODER, "encoder", report=report, save=save)
    model.bert.active = model.bert.shape.layers
    print(f"  passes over the sources: {sampler.epoch:.1f}", flush=True)
