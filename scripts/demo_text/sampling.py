"""Turns packages into words and draws training batches of token ids from them."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Iterator

import torch

from .archive import Package
from .wordpiece import Tokenizer, basic_tokens, wrap

# Ids per text while training: descriptions, queries, classifier texts.
DOCUMENT_IDS = (16, 56)
QUERY_IDS = 24
SECTION_IDS = (64, 64, 64, 128)  # one of these at random
# Every word of a classifier text or a synopsis is left out with this chance, half of the time.
SECTION_WORD_DROPOUT = 0.2
SYNOPSIS_WORD_DROPOUT = 0.1
# Every word of a query turns into another form of it, or one that people use instead.
INFLECTION_RATE = 0.15
SYNONYM_RATE = 0.2
# Words in more than this share of the packages say nothing in a query.
COMMON_SHARE = 0.08
SYNONYMS = """
email mail e-mail|photo image picture|photos images pictures|terminal console shell
video movie film|music audio song|songs music tracks|edit modify change|view show display
find search|convert transform|download fetch retrieve|folder directory|folders directories|program application app
delete remove|website web site|picture photo|fast quick|simple easy|remote network|monitor watch|start launch run
disk drive|kids children|learn teach|internet web|text plain|document file|documents files|pdf document
""".strip().replace("\n", "|")


@dataclass(frozen=True)
class Example:
    """A package as words."""

    section: str
    synopsis: list[str]
    sentences: list[list[str]]  # of the long description
    tags: list[list[str]]
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


def prepare(packages: list[Package], labels: list[str]) -> dict[str, list[Example]]:
    """Examples by source package."""
    index = {name: i for i, name in enumerate(labels)}
    result: dict[str, list[Example]] = defaultdict(list)
    for p in packages:
        result[p.source].append(Example(
            p.section,
            basic_tokens(p.synopsis),
            [basic_tokens(s) for s in sentences(p.description)],
            [basic_tokens(t) for t in p.tags],
            index.get(p.section, -1),
        ))
    return result


def similar_order(vectors: torch.Tensor, rng: random.Random, leaf: int = 16) -> list[int]:
    """The rows in an order that puts similar ones next to each other.

    Splits at the median along the line between two random rows, recursively.
    """
    done: list[int] = []
    stack = [torch.arange(len(vectors))]
    while stack:
        part = stack.pop()
        if len(part) <= leaf:
            done.extend(part.tolist())
            continue
        a, b = rng.sample(range(len(part)), 2)
        order = (vectors[part] @ (vectors[part[a]] - vectors[part[b]])).argsort()
        stack.extend((part[order[: len(part) // 2]], part[order[len(part) // 2 :]]))
    return done


class Wording:
    """Other words for a word: its inflections, and a few synonyms."""

    def __init__(self, examples: dict[str, list[Example]]) -> None:
        single = [group[0] for _, group in sorted(examples.items())]
        counts = Counter(w for e in single for w in {*e.synopsis, *(w for s in e.sentences for w in s)})
        self.common = {w for w, n in counts.items() if n > COMMON_SHARE * len(single)}
        self.families: dict[str, list[str]] = defaultdict(list)
        for word, n in sorted(counts.items()):
            if n > 2 and word.isalpha():
                self.families[self._stem(word)].append(word)
        self.synonyms: dict[str, list[str]] = defaultdict(list)
        for group in SYNONYMS.split("|"):
            for word in group.split():
                self.synonyms[word].extend(other for other in group.split() if other != word)

    @staticmethod
    def _stem(word: str) -> str:
        if len(word) < 4:
            return word
        return re.sub(r"(?<=...)(?:ings?|ers?|ors?|ed|es|s|e)$", "", word)

    def content(self, word: str) -> bool:
        """Whether the word tells something."""
        return len(word) > 1 and word not in self.common and not word.isdigit()

    def vary(self, words: list[str], rng: random.Random) -> list[str]:
        """The words, some of them replaced."""
        result = []
        for word in words:
            choices = [word]
            if word in self.synonyms and rng.random() < SYNONYM_RATE:
                choices = self.synonyms[word]
            elif rng.random() < INFLECTION_RATE:
                choices = self.families.get(self._stem(word), choices)
            result.append(rng.choice(choices))
        return result


class Sampler:
    """Draws batches with at most one package of a source.

    Half of each batch comes from one section, which makes harder negatives;
    once `vectors` has a row for each source (sorted), from the most similar ones.
    """

    def __init__(self, examples: dict[str, list[Example]], tokenizer: Tokenizer, batch: int, seed: int) -> None:
        self.examples = examples
        self.tokenizer = tokenizer
        self.wording = Wording(examples)
        self.batch = batch
        self.random = random.Random(seed)
        self.vectors: torch.Tensor | None = None
        self.epoch = 0.0

    def batches(self) -> Iterator[Batch]:
        """Batches for ever; every source comes up once per pass."""
        while True:
            groups = self._groups()
            for i, group in enumerate(groups):
                yield self._draw(group)
                self.epoch += 1 / len(groups)

    def synopses(self) -> list[list[int]]:
        """The synopsis of one package of each source, sources sorted."""
        return [wrap(self._ids(self.examples[s][0].synopsis), QUERY_IDS) for s in sorted(self.examples)]

    def _groups(self) -> list[list[str]]:
        sources = sorted(self.examples)
        place = {source: i for i, source in enumerate(sources)}
        self.random.shuffle(sources)
        middle, half = len(sources) // 2, self.batch // 2
        similar = sources[:middle]
        if self.vectors is None:
            similar.sort(key=lambda source: self.examples[source][0].section)
        else:
            rows = self.vectors[torch.tensor([place[source] for source in similar])]
            similar = [similar[i] for i in similar_order(rows, self.random)]
        blocks = [similar[i : i + half] for i in range(0, len(similar), half)]
        self.random.shuffle(blocks)
        mixed = sources[middle:]
        groups = [block + mixed[i * half : (i + 1) * half] for i, block in enumerate(blocks)]
        return [group for group in groups if len(group) > self.batch // 2]

    def _draw(self, group: list[str]) -> Batch:
        chosen = [self.random.choice(self.examples[source]) for source in group]
        return Batch(
            [wrap(self._ids(drop(e.synopsis, SYNOPSIS_WORD_DROPOUT, self.random)), QUERY_IDS) for e in chosen],
            [wrap(self._document(e), DOCUMENT_IDS[1]) for e in chosen],
            [wrap(self._ids(self.wording.vary(self._query(e), self.random)), QUERY_IDS) for e in chosen],
            [e.label for e in chosen],
        )

    def _ids(self, words: list[str]) -> list[int]:
        return [i for word in words for i in self.tokenizer.word(word)]

    def _document(self, example: Example) -> list[int]:
        start = 0
        if self.random.random() < 0.25:
            start = self.random.randrange(len(example.sentences))
        limit = self.random.randint(*DOCUMENT_IDS) - 2
        ids: list[int] = []
        for sentence in example.sentences[start:]:
            if len(ids) < limit:
                ids.extend(self._ids(sentence))
        return ids[:limit] if len(ids) > 3 else self._ids(example.sentences[0])[:limit]

    def _query(self, example: Example) -> list[str]:
        """A few words somebody looking for the package might type."""
        kind = self.random.random()
        if kind < 0.15 and example.tags:
            tags = self.random.sample(example.tags, min(len(example.tags), self.random.randint(1, 3)))
            return [word for tag in tags for word in tag]
        if kind < 0.55:
            near = [w for w in example.synopsis if self.wording.content(w)]
            far = [w for s in example.sentences[:4] for w in s if self.wording.content(w)]
            pool = list(dict.fromkeys(near + self.random.sample(far, min(len(far), max(3, len(near))))))
            if len(pool) > 1:
                return self.random.sample(pool, min(len(pool), self.random.randint(2, 5)))
        words = example.synopsis if kind < 0.75 else self.random.choice(example.sentences)
        count = self.random.randint(2, 8)
        start = self.random.randrange(max(1, len(words) - count + 1))
        span = words[start : start + count]
        return [w for w in span if w.isalnum()] or span


def drop(words: list[str], rate: float, rng: random.Random) -> list[str]:
    """Leaves words out at random, half of the time."""
    if rng.random() < 0.5:
        return words
    return [w for w in words if rng.random() >= rate] or words


class SectionSampler:
    """Draws labelled classifier texts, every text once per pass."""

    def __init__(self, rows: list[tuple[list[str], int]], tokenizer: Tokenizer, seed: int) -> None:
        self.rows = rows
        self.tokenizer = tokenizer
        self.random = random.Random(seed)
        self.queue: list[tuple[list[str], int]] = []

    def draw(self, count: int) -> tuple[list[list[int]], list[int]]:
        """(texts with [CLS] and [SEP], labels)."""
        if len(self.queue) < count:
            self.queue = self.random.sample(self.rows, len(self.rows))
        part, self.queue = self.queue[:count], self.queue[count:]
        texts = []
        for words, _ in part:
            kept = drop(words, SECTION_WORD_DROPOUT, self.random)
            texts.append(wrap([i for w in kept for i in self.tokenizer.word(w)], self.random.choice(SECTION_IDS)))
        return texts, [label for _, label in part]
