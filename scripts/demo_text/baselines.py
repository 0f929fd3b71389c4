"""What the model has to beat: a hashed-words linear classifier and BM25 search."""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter, defaultdict

import numpy as np
import torch
from torch import nn

HASH_BITS = 18


def words(text: str) -> list[str]:
    """Lower-case runs of letters and digits."""
    return re.findall(r"[a-z0-9]+", text.lower())


def _hashed(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """EmbeddingBag input: distinct word hashes, offsets, weights of unit L2 norm."""
    ids: list[int] = []
    offsets: list[int] = []
    weights: list[float] = []
    for text in texts:
        bag = {zlib.crc32(w.encode()) & ((1 << HASH_BITS) - 1) for w in words(text)} or {0}
        offsets.append(len(ids))
        ids.extend(sorted(bag))
        weights.extend([1 / math.sqrt(len(bag))] * len(bag))
    return torch.tensor(ids), torch.tensor(offsets), torch.tensor(weights)


def linear_accuracy(
    train: list[tuple[str, int]], test: list[tuple[str, int]], classes: int, epochs: int = 16, seed: int = 0
) -> float:
    """Test accuracy of softmax regression over hashed words, trained to convergence."""
    torch.manual_seed(seed)
    bag = nn.EmbeddingBag(1 << HASH_BITS, classes, mode="sum", sparse=True)
    nn.init.zeros_(bag.weight)
    optimiser = torch.optim.SparseAdam(bag.parameters(), lr=0.02)
    order = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = 0.02 * (1 - epoch / epochs)
        for chunk in torch.randperm(len(train), generator=order).split(256):
            rows = [train[i] for i in chunk.tolist()]
            loss = nn.functional.cross_entropy(
                bag(*_hashed([t for t, _ in rows])), torch.tensor([y for _, y in rows])
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        guess = bag(*_hashed([t for t, _ in test])).argmax(1)
    return (guess == torch.tensor([y for _, y in test])).float().mean().item()



def bm25_ranks(queries: list[str], documents: list[str], k1: float = 1.2, b: float = 0.75) -> np.ndarray:
    """Rank (1 = best) of document i for query i, with BM25 over whole words."""
    bags = [Counter(words(d)) for d in documents]
    lengths = np.array([sum(bag.values()) for bag in bags], dtype=np.float64)
    norm = k1 * (1 - b + b * lengths / lengths.mean())
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, bag in enumerate(bags):
        for word, count in bag.items():
            found[word].append((index, count))
    postings: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for word, entries in found.items():
        at, count = np.array(entries).T
        idf = math.log(1 + (len(documents) - len(at) + 0.5) / (len(at) + 0.5))
        postings[word] = at, idf * count * (k1 + 1) / (count + norm[at])
    ranks = np.empty(len(queries), dtype=np.int64)
    for i, query in enumerate(queries):
        scores = np.zeros(len(documents))
        for word in words(query):
            if word in postings:
                at, part = postings[word]
                scores[at] += part
        ranks[i] = 1 + (scores > scores[i]).sum() + (np.flatnonzero(scores == scores[i]) < i).sum()
    return ranks
