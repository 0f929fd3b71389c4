"""BERT in plain torch, with the parameter names of transformers' BertModel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """The sizes of the encoder."""

    vocab_size: int
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    intermediate: int = 1024
    positions: int = 128
    types: int = 2
    eps: float = 1e-12


class _Embeddings(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.vocab_size, shape.hidden)
        self.position_embeddings = nn.Embedding(shape.positions, shape.hidden)
        self.token_type_embeddings = nn.Embedding(shape.types, shape.hidden)
        self.LayerNorm = nn.LayerNorm(shape.hidden, eps=shape.eps)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        places = self.position_embeddings.weight[: ids.shape[1]] + self.token_type_embeddings.weight[0]
        return self.LayerNorm(self.word_embeddings(ids) + places)


class _SelfAttention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.hidden, shape.hidden)
        self.key = nn.Linear(shape.hidden, shape.hidden)
        self.value = nn.Linear(shape.hidden, shape.hidden)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        rows, length, hidden = x.shape
        parts = (self.query, self.key, self.value)
        qkv = F.linear(x, torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        qkv = qkv.view(rows, length, 3, self.heads, hidden // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0], qkv[1], qkv[2]
        scores = query @ key.transpose(-1, -2) / math.sqrt(hidden // self.heads) + bias
        mixed = torch.softmax(scores, dim=-1) @ value
        return mixed.transpose(1, 2).reshape(rows, length, hidden)


class _Output(nn.Module):
    """A dense layer, the residual and the LayerNorm after it."""

    def __init__(self, width: int, shape: Shape) -> None:
        super().__init__()
        self.dense = nn.Linear(width, shape.hidden)
        self.LayerNorm = nn.LayerNorm(shape.hidden, eps=shape.eps)

    def forward(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return self.LayerNorm(self.dense(x) + residual)


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self = _SelfAttention(shape)
        self.output = _Output(shape.hidden, shape)


class _Intermediate(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.hidden, shape.intermediate)


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = _Attention(shape)
        self.intermediate = _Intermediate(shape)
        self.output = _Output(shape.intermediate, shape)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        x = self.attention.output(self.attention.self(x, bias), x)
        return self.output(F.gelu(self.intermediate.dense(x)), x)


class _Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))


class _Pooler(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.hidden, shape.hidden)


class Bert(nn.Module):
    """BertModel without dropout: post-norm, exact (erf) GELU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embeddings = _Embeddings(shape)
        self.encoder = _Encoder(shape)
        self.pooler = _Pooler(shape)
        self.active = shape.layers  # layers in use; fewer only while training starts

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The last hidden states; `mask` is true at real tokens."""
        x = self.embeddings(ids)
        low = torch.finfo(x.dtype).min
        bias = torch.zeros(mask.shape, dtype=x.dtype).masked_fill(~mask, low)[:, None, None, :]
        for layer in self.encoder.layer[: self.active]:
            x = layer(x, bias)
        return x

    def bag(self, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """(embeddings, [CLS] states) as `encode` gives them from the initial weights, nearly.

        Every token counts as its normalised input embedding, positions left out.
        """
        parts = self.embeddings
        table = parts.LayerNorm(parts.word_embeddings.weight + parts.token_type_embeddings.weight[0])
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.tensor([i for row in rows for i in row])
        weights = (1 / lengths.to(table.dtype)).repeat_interleave(lengths)
        starts = lengths.cumsum(0) - lengths
        mean = F.embedding_bag(ids, table, starts, mode="sum", per_sample_weights=weights)
        first = self.encoder.layer[0].attention.output.LayerNorm(mean + table[rows[0][0]])
        return F.normalize(mean, dim=-1), first


class SectionModel(nn.Module):
    """BertForSequenceClassification: `bert` plus a linear classifier on the pooler."""

    def __init__(self, shape: Shape, labels: int) -> None:
        super().__init__()
        self.bert = Bert(shape)
        self.classifier = nn.Linear(shape.hidden, labels)
        self.apply(_initialise)
        self._start_as_bag()

    def _start_as_bag(self) -> None:
        """Makes the first attention add the mean of its input, every other branch nothing.

        The encoder then starts as a bag of tokens, which is cheap to train
        (`Bert.bag`), and goes on from there without a break.
        """
        with torch.no_grad():
            for layer in self.bert.encoder.layer:
                layer.attention.output.dense.weight.zero_()
                layer.output.dense.weight.zero_()
            self.bert.embeddings.position_embeddings.weight.mul_(0.1)
            first = self.bert.encoder.layer[0].attention
            nn.init.eye_(first.self.value.weight)
            nn.init.eye_(first.output.dense.weight)

    def logits(self, first: torch.Tensor) -> torch.Tensor:
        """Section logits from the hidden state of [CLS]."""
        return self.classifier(torch.tanh(self.bert.pooler.dense(first)))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over real tokens, then L2 normalisation."""
    weight = mask.to(hidden.dtype).unsqueeze(-1)
    return F.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1)


def pad(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, mask) of rows padded with 0 to the longest."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    return ids, mask


def encode(
    bert: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], rows: list[list[int]], chunk_tokens: int = 2048
) -> tuple[torch.Tensor, torch.Tensor]:
    """(normalised mean-pooled embeddings, [CLS] states) of token-id rows, in order.

    Rows of similar length share a padded chunk, so little work is wasted.
    """
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    pooled: list[torch.Tensor] = []
    firsts: list[torch.Tensor] = []
    start = 0
    while start < len(order):
        end = start + max(1, chunk_tokens // len(rows[order[start]]))
        ids, mask = pad([rows[i] for i in order[start:end]])
        hidden = bert(ids, mask)
        pooled.append(mean_pool(hidden, mask))
        firsts.append(hidden[:, 0])
        start = end
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return torch.cat(pooled)[back], torch.cat(firsts)[back]
