"""A small ViT in plain torch, with the parameter names of transformers' ViTForImageClassification."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from .faces import LABELS


@dataclass(frozen=True)
class Shape:
    """The sizes of the encoder."""

    hidden: int = 192
    layers: int = 4
    heads: int = 4
    intermediate: int = 768
    patch: int = 8
    image: int = 32
    eps: float = 1e-12


class _SelfAttention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.hidden, shape.hidden)
        self.key = nn.Linear(shape.hidden, shape.hidden)
        self.value = nn.Linear(shape.hidden, shape.hidden)

    def _heads(self, x: torch.Tensor, parts: tuple[nn.Linear, ...]) -> torch.Tensor:
        """The linears of `parts` in one product, [parts, n, heads, length, hidden / heads]."""
        rows, length, hidden = x.shape
        y = F.linear(x, torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        return y.view(rows, length, len(parts), self.heads, hidden // self.heads).permute(2, 0, 3, 1, 4)

    def forward(self, x: torch.Tensor, first: int) -> torch.Tensor:
        """Attention of the first `first` tokens over all."""
        rows, length, hidden = x.shape
        if first < length:
            query = self._heads(x[:, :first], (self.query,))[0]
            key, value = self._heads(x, (self.key, self.value))
        else:
            query, key, value = self._heads(x, (self.query, self.key, self.value))
        scores = (query * (hidden // self.heads) ** -0.5) @ key.transpose(-1, -2)
        return (torch.softmax(scores, -1) @ value).transpose(1, 2).reshape(rows, first, hidden)


class _Dense(nn.Module):
    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, out)


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = _SelfAttention(shape)
        self.output = _Dense(shape.hidden, shape.hidden)


class _Layer(nn.Module):
    """Pre-norm: x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = _Attention(shape)
        self.intermediate = _Dense(shape.hidden, shape.intermediate)
        self.output = _Dense(shape.intermediate, shape.hidden)
        self.layernorm_before = nn.LayerNorm(shape.hidden, eps=shape.eps)
        self.layernorm_after = nn.LayerNorm(shape.hidden, eps=shape.eps)

    def forward(self, x: torch.Tensor, first: int) -> torch.Tensor:
        """The states of the first `first` tokens."""
        y = self.attention.attention(self.layernorm_before(x), first)
        x = x[:, :first] + self.attention.output.dense(y)
        return x + self.output.dense(F.gelu(self.intermediate.dense(self.layernorm_after(x))))


class _Projection(nn.Module):
    """The patch embedding of a grey image; `export` spreads it over three equal channels."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.projection = nn.Conv2d(1, shape.hidden, shape.patch, shape.patch)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        count, side, patch = len(images), images.shape[1], self.projection.kernel_size[0]
        cut = images.view(count, side // patch, patch, side // patch, patch).permute(0, 1, 3, 2, 4)
        return F.linear(cut.reshape(count, -1, patch * patch), self.projection.weight.flatten(1), self.projection.bias)


class _Embeddings(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        grid = shape.image // shape.patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.hidden))
        self.position_embeddings = nn.Parameter(_positions(grid, shape.hidden))
        self.patch_embeddings = _Projection(shape)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embeddings(images)
        return torch.cat([self.cls_token.expand(len(images), -1, -1), patches], 1) + self.position_embeddings


class _Encoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))


class _Vit(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embeddings = _Embeddings(shape)
        self.encoder = _Encoder(shape)
        self.layernorm = nn.LayerNorm(shape.hidden, eps=shape.eps)


class GlyphModel(nn.Module):
    """ViTForImageClassification without dropout; logits [n, 36] of grey pixel values [n, 32, 32]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.vit = _Vit(shape)
        self.classifier = nn.Linear(shape.hidden, len(LABELS))
        self.apply(_initialise)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.vit.embeddings(images)
        layers = self.vit.encoder.layer
        for layer in layers:  # only [CLS] is read of the last one
            x = layer(x, 1 if layer is layers[-1] else x.shape[1])
        return self.classifier(self.vit.layernorm(x[:, 0]))


def _positions(grid: int, hidden: int) -> torch.Tensor:
    """Sines and cosines of row and column to start from, [1, 1 + grid * grid, hidden]; zero for [CLS]."""
    quarter = hidden // 4
    rate = 1 / 100 ** (torch.arange(quarter) / quarter)
    y, x = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    angles = [place.reshape(-1, 1) * rate for place in (x, y)]
    table = torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], 1)
    return torch.cat([torch.zeros(1, hidden), table])[None] * 0.5


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.trunc_normal_(module.weight, std=0.02 if isinstance(module, nn.Linear) else 0.06)
        nn.init.zeros_(module.bias)
