"""The training loop: a bag-of-tokens warm start, then the whole encoder."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Callable

import torch
from torch.nn import functional as F

from .model import SectionModel, encode
from .sampling import Batch, Sampler, SectionSampler

TEMPERATURE = 0.05
WARM_START_SHARE = 0.3  # of the training time
# (share of the encoder's training time, layers in use from then on)
LAYERS_FROM = ((0.0, 1), (0.35, 2), (0.6, 4))
LR_EMBEDDINGS = 2e-3
LR_ENCODER = 8e-4
LR_REFINE = 4e-4  # going on from trained weights, all layers in use
SECTION_ROWS = 24  # classifier texts per step
BAG_SECTION_ROWS = 96  # the same for the bag of tokens
SECTION_WEIGHT = 1.0
# The classifier's copy of the encoder goes on alone for this share of the time.
SECTIONS_SHARE = 0.15
LR_SECTIONS = 3e-4
SECTIONS_BATCH = 64
LABEL_SMOOTHING = 0.05


def contrast(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Symmetric InfoNCE: row i of `a` belongs to row i of `b`."""
    scores = a @ b.t() / TEMPERATURE
    target = torch.arange(len(a))
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.t(), target)) / 2


def retrieval_loss(synopses: torch.Tensor, documents: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Synopses against descriptions, short queries against synopses and descriptions."""
    return contrast(synopses, documents) + 0.6 * contrast(queries, synopses) + 0.15 * contrast(queries, documents)


def section_loss(model: SectionModel, first: torch.Tensor, labels: list[int]) -> torch.Tensor:
    """Cross entropy of the rows that have a label, from their [CLS] states."""
    rows = [i for i, label in enumerate(labels) if label >= 0]
    target = torch.tensor([labels[i] for i in rows])
    return F.cross_entropy(model.logits(first[rows]), target, label_smoothing=LABEL_SMOOTHING)


def step_loss(model: SectionModel, batch: Batch, texts: list[list[int]], text_labels: list[int],
              encoder: Callable[[list[list[int]]], tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Retrieval and classification of a batch and of labelled texts."""
    count = len(batch.labels)
    pooled, first = encoder(batch.synopses + batch.documents + batch.queries + texts)
    loss = section_loss(model, first[count : 2 * count], batch.labels)
    loss = loss + section_loss(model, first[3 * count :], text_labels)
    return retrieval_loss(*pooled[: 3 * count].split(count)) + SECTION_WEIGHT * loss


def run_stage(
    model: SectionModel, step: Callable[[float], torch.Tensor], seconds: float, peak: float, name: str,
    every: float = 100.0, report: Callable[[], str] | None = None, save: Path | None = None,
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
        return step_loss(model, next(source), *sections.draw(BAG_SECTION_ROWS), model.bert.bag)

    model.bert.active = 1  # with the weights it starts from, the first layer computes the bag
    run_stage(model, bag, warm, LR_EMBEDDINGS, "bag of tokens", report=report)
    print(f"  passes over the sources: {bags.epoch:.1f}; {report()}", flush=True)
    batches = sampler.batches()

    def full(done: float) -> torch.Tensor:
        model.bert.active = max(layers for share, layers in LAYERS_FROM if share <= done)
        return step_loss(model, next(batches), *sections.draw(SECTION_ROWS), lambda rows: encode(model.bert, rows))

    run_stage(model, full, minutes * 60 - warm, LR_ENCODER, "encoder", report=report, save=save)
    model.bert.active = model.bert.shape.layers
    print(f"  passes over the sources: {sampler.epoch:.1f}", flush=True)


def refine(
    model: SectionModel, sampler: Sampler, sections: SectionSampler, minutes: float,
    report: Callable[[], str], save: Path,
) -> None:
    """Goes on from trained weights with all layers; batches hold similar packages."""
    with torch.no_grad():
        sampler.vectors = model.bert.bag(sampler.synopses())[0]
    batches = sampler.batches()

    def step(done: float) -> torch.Tensor:
        return step_loss(model, next(batches), *sections.draw(SECTION_ROWS), lambda rows: encode(model.bert, rows))

    run_stage(model, step, minutes * 60, LR_REFINE, "refine", report=report, save=save)
    print(f"  passes over the sources: {sampler.epoch:.1f}", flush=True)


def train_sections(
    model: SectionModel, sections: SectionSampler, minutes: float, report: Callable[[], str], save: Path
) -> None:
    """Trains on the section task alone."""

    def step(done: float) -> torch.Tensor:
        texts, labels = sections.draw(SECTIONS_BATCH)
        return section_loss(model, encode(model.bert, texts)[1], labels)

    run_stage(model, step, minutes * 60, LR_SECTIONS, "sections", report=report, save=save)
