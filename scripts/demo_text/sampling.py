"""Turns packages into token ids and draws training batches from them."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Iterator

from .archive import Package
from .wordpiece import Tokenizer, wrap

# Ids per text while training: descriptions, queries, classifier texts.
DOCUMENT_IDS = (16, 56)
QUERY_IDS = 24
SECTION_IDS = (64, 64, 64, 128)  # one of these at random


@dataclass(frozen=True)
class Example:
    """A package as token ids, without [CLS] and [SEP]."""

    section: str
    synopsis: list[int]
    sentences: list[list[int]]  # of the long description
    tags: list[list[int]]
    label: int  # section label, -1 for none


@dataclass(frozen=True)
class Batch:
    """Row i of `synopses`, `documents` and `queries` belongs to one package."""

    synopses: list[list[int]]
    documents: list[list[int]]
    queries: list[list[int]]
    labels: list[int]


def sentences(description: str) -> list[str]:
    """A description's sentences and list items."""
    parts = re.split(r"\n|(?<=[.!?:;]) +| [*-] +", description[:1500])
    return [part for part in parts if len(part) > 2] or [description[:1500]]


def prepare(packages: list[Package], labels: list[str], tokenizer: Tokenizer) -> dict[str, list[Example]]:
    """Examples by source package."""
    index = {name: i for i, name in enumerate(labels)}
    result: dict[str, list[Example]] = defaultdict(list)
    for p in packages:
        result[p.source].append(Example(
            p.section,
            tokenizer.content(p.synopsis),
            [tokenizer.content(s) for s in sentences(p.description)],
            [tokenizer.content(t) for t in p.tags],
            index.get(p.section, -1),
        ))
    return result


class Sampler:
    """Draws batches with at most one package of a source.

    Half of each batch comes from one section, which makes harder negatives.
    """

    def __init__(self, examples: dict[str, list[Example]], tokenizer: Tokenizer, batch: int, seed: int) -> None:
        self.examples = examples
        self.batch = batch
        self.random = random.Random(seed)
        self.starts = [not token.startswith("##") for token in tokenizer.vocabulary]
        self.epoch = 0.0

    def batches(self) -> Iterator[Batch]:
        """Batches for ever; every source comes up once per pass."""
        while True:
            groups = self._groups()
            for i, group in enumerate(groups):
                yield self._draw(group)
                self.epoch += 1 / len(groups)

    def _groups(self) -> list[list[str]]:
        sources = sorted(self.examples)
        self.random.shuffle(sources)
        middle, half = len(sources) // 2, self.batch // 2
        by_section: dict[str, list[str]] = defaultdict(list)
        for source in sources[:middle]:
            by_section[self.examples[source][0].section].append(source)
        similar = [s for name in sorted(by_section) for s in by_section[name]]
        blocks = [similar[i : i + half] for i in range(0, len(similar), half)]
        self.random.shuffle(blocks)
        mixed = sources[middle:]
        groups = [block + mixed[i * half : (i + 1) * half] for i, block in enumerate(blocks)]
        return [group for group in groups if len(group) > self.batch // 2]

    def _draw(self, group: list[str]) -> Batch:
        chosen = [self.random.choice(self.examples[source]) for source in group]
        return Batch(
            [wrap(self._thin(e.synopsis, 0.1), QUERY_IDS) for e in chosen],
            [wrap(self._document(e), DOCUMENT_IDS[1]) for e in chosen],
            [wrap(self._query(e), QUERY_IDS) for e in chosen],
            [e.label for e in chosen],
        )

    def _words(self, ids: list[int]) -> list[list[int]]:
        words: list[list[int]] = []
        for i in ids:
            if self.starts[i] or not words:
                words.append([])
            words[-1].append(i)
        return words

    def _thin(self, ids: list[int], rate: float) -> list[int]:
        """Drops words at random, half of the time."""
        if self.random.random() < 0.5:
            return ids
        kept = [w for w in self._words(ids) if self.random.random() >= rate]
        return [i for w in kept for i in w] or ids

    def _document(self, example: Example) -> list[int]:
        start = 0
        if self.random.random() < 0.25:
            start = self.random.randrange(len(example.sentences))
        limit = self.random.randint(*DOCUMENT_IDS) - 2
        ids = [i for sentence in example.sentences[start:] for i in sentence][:limit]
        return ids if len(ids) > 3 else example.sentences[0][:limit]

    def _query(self, example: Example) -> list[int]:
        """A few words somebody looking for the package might type."""
        kind = self.random.random()
        if kind < 0.2 and example.tags:
            tags = self.random.sample(example.tags, min(len(example.tags), self.random.randint(1, 3)))
            return [i for tag in tags for i in tag]
        source = example.synopsis if kind < 0.5 else self.random.choice(example.sentences)
        words = self._words(source)
        count = self.random.randint(2, 10)
        start = self.random.randrange(max(1, len(words) - count + 1))
        return [i for word in words[start : start + count] for i in word]


class SectionSampler:
    """Draws labelled classifier texts, every text once per pass."""

    def __init__(self, rows: list[tuple[list[int], int]], seed: int) -> None:
        self.rows = rows
        self.random = random.Random(seed)
        self.queue: list[tuple[list[int], int]] = []

    def draw(self, count: int) -> tuple[list[list[int]], list[int]]:
        """(texts with [CLS] and [SEP], labels)."""
        if len(self.queue) < count:
            self.queue = self.random.sample(self.rows, len(self.rows))
        part, self.queue = self.queue[:count], self.queue[count:]
        limits = [self.random.choice(SECTION_IDS) for _ in part]
        return [wrap(ids, n) for (ids, _), n in zip(part, limits)], [label for _, label in part]
