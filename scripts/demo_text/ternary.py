"""A BERT whose linears have ternary weights and whose inputs to them are s8, for training and for measuring.

The scheme (models/demo/README.md, "Ternary: Layout"):

    linears        W[n,k] = a[n] t[n,k],  t in {-1, 0, 1}, one step a per output channel
    their inputs   x[m,k] ~ s[m] q[m,k],  s[m] = max_k |x[m,k]| / 127, q an integer from -127 to 127
    words          E[v,h] = e[v] c[v,h],  the same with one step per row, at rest

Training keeps float weights behind the ternary ones and passes gradients
through the rounding unchanged (the straight-through estimator).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from .model import Bert, encode, mean_pool, pad

# A weight counts as zero below this share of the mean magnitude of its channel (Li et al. 2016,
# Ternary Weight Networks, section 2.2: 0.7 for normal, 0.75 for Laplacian weights).
ZERO_BELOW = 0.7
LINEARS = (
    "attention.self.query", "attention.self.key", "attention.self.value",
    "attention.output.dense", "intermediate.dense", "output.dense",
)


def ternary(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(t (N,K), a (N,1)): the step is the mean magnitude of what is not zero, the best one for this t."""
    size = weight.abs()
    kept = size > ZERO_BELOW * size.mean(1, keepdim=True)
    step = (size * kept).sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp(min=1)
    return weight.sign() * kept, step


def to_s8(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(q, s (...,1)): integers from -127 to 127, a step for each row; a row of zeros gives zeros."""
    most = x.abs().amax(-1, keepdim=True)
    usable = most > 127 / torch.finfo(x.dtype).max  # below, 127 / most is infinite
    inverse = torch.where(usable, 127 / most, torch.zeros_like(most))
    return (x * inverse).round(), most / 127


class _Rounded(torch.autograd.Function):
    """Rows as s8 holds them; the gradient passes unchanged."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        q, step = to_s8(x)
        return q * step

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient


class _Linear(torch.autograd.Function):
    """y[m,n] = s[m] a[n] sum_k q[m,k] t[n,k], and the gradients of a linear with s q and a t as its operands.

    q and t are exact in bf16, so only the sums are rounded there; in f32 they are exact, below 2**24.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor,  # type: ignore[override]
                t: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        q, s = to_s8(x)
        q = q.to(t.dtype)
        ctx.save_for_backward(q, s, t, a)
        return F.linear(q, t).float().mul_(s).mul_(a)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:  # type: ignore[override]
        q, s, t, a = ctx.saved_tensors
        to_x = ((gradient * a).to(t.dtype) @ t).float()
        rows = (gradient * s).flatten(0, -2).to(t.dtype)
        return to_x, (rows.t() @ q.flatten(0, -2)).float(), None, None


class Weight(NamedTuple):
    """A linear, quantised once per training step."""

    weight: torch.Tensor  # (N,K), what is trained
    t: torch.Tensor  # (N,K), -1, 0, 1
    a: torch.Tensor  # (N)
    bias: torch.Tensor  # (N)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return _Linear.apply(x, self.weight, self.t, self.a) + self.bias


class Layer(NamedTuple):
    """The linears of a layer; query, key and value are one."""

    qkv: Weight  # (3H,H)
    output: Weight  # (H,H)
    up: Weight  # (I,H)
    down: Weight  # (H,I)


def quantised(bert: Bert, dtype: torch.dtype = torch.float32) -> list[Layer]:
    """The linears of all layers; `dtype` is what their products are computed in."""
    result = []
    for layer in bert.encoder.layer:
        modules = [layer.get_submodule(name) for name in LINEARS]
        pairs = [(torch.cat([m.weight for m in modules[:3]]), torch.cat([m.bias for m in modules[:3]])),
                 *((m.weight, m.bias) for m in modules[3:])]
        linears = []
        for weight, bias in pairs:
            t, a = ternary(weight.detach())
            linears.append(Weight(weight, t.to(dtype), a[:, 0], bias))
        result.append(Layer(*linears))
    return result


def attention_bias(mask: torch.Tensor) -> torch.Tensor:
    """What is added to the scores: nothing at real tokens."""
    return torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)[:, None, None, :]


def mixed(qkv: torch.Tensor, heads: int, bias: torch.Tensor) -> torch.Tensor:
    """Attention of (rows, length, 3 hidden)."""
    rows, length, width = qkv.shape
    hidden = width // 3
    q, k, v = qkv.view(rows, length, 3, heads, hidden // heads).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(-1, -2) / math.sqrt(hidden // heads) + bias
    return (torch.softmax(scores, dim=-1) @ v).transpose(1, 2).reshape(rows, length, hidden)


def hidden_states(bert: Bert, ids: torch.Tensor, mask: torch.Tensor, layers: list[Layer]) -> list[torch.Tensor]:
    """The states after the embeddings and after each layer, as `Bert.forward` with quantised linears."""
    parts = bert.embeddings
    places = parts.position_embeddings.weight[: ids.shape[1]] + parts.token_type_embeddings.weight[0]
    x = parts.LayerNorm(_Rounded.apply(F.embedding(ids, parts.word_embeddings.weight)) + places)
    bias = attention_bias(mask)
    states = [x]
    for module, layer in zip(bert.encoder.layer, layers):
        y = mixed(layer.qkv(x), bert.shape.heads, bias)
        x = module.attention.output.LayerNorm(layer.output(y) + x)
        x = module.output.LayerNorm(layer.down(F.gelu(layer.up(x))) + x)
        states.append(x)
    return states


class Teacher:
    """The full model; its linears are computed in `dtype`."""

    def __init__(self, bert: Bert, dtype: torch.dtype) -> None:
        self.bert = bert
        self.layers = []
        for layer in bert.encoder.layer:
            modules = [layer.get_submodule(name) for name in LINEARS]
            pairs = [(torch.cat([m.weight for m in modules[:3]]), torch.cat([m.bias for m in modules[:3]])),
                     *((m.weight, m.bias) for m in modules[3:])]
            self.layers.append([(w.detach().to(dtype), b.detach()) for w, b in pairs])

    @torch.no_grad()
    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        """The states after the embeddings and after each layer."""

        def linear(x: torch.Tensor, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            return F.linear(x.to(pair[0].dtype), pair[0]).float() + pair[1]

        x = self.bert.embeddings(ids)
        bias = attention_bias(mask)
        states = [x]
        for module, (qkv, output, up, down) in zip(self.bert.encoder.layer, self.layers):
            y = mixed(linear(x, qkv), self.bert.shape.heads, bias)
            x = module.attention.output.LayerNorm(linear(y, output) + x)
            x = module.output.LayerNorm(linear(F.gelu(linear(x, up)), down) + x)
            states.append(x)
        return states


class Encoded(NamedTuple):
    """What a batch of rows gives, of the ternary model and of the full one."""

    pooled: torch.Tensor
    first: torch.Tensor
    full_pooled: torch.Tensor
    full_first: torch.Tensor
    distance: torch.Tensor  # mean over layers: squared error of the states by the full model's variance


def encode_both(bert: Bert, teacher: Teacher, rows: list[list[int]], layers: list[Layer],
                chunk_tokens: int = 2048) -> Encoded:
    """Encodes rows of ids with both models; rows of similar length share a padded chunk (`model.encode`)."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    parts: list[list[torch.Tensor]] = [[], [], [], []]
    error = torch.zeros(())
    tokens, start = 0, 0
    while start < len(order):
        end = start + max(1, chunk_tokens // len(rows[order[start]]))
        ids, mask = pad([rows[i] for i in order[start:end]])
        truth = teacher.states(ids, mask)
        states = hidden_states(bert, ids, mask, layers)
        for ours, theirs in zip(states[1:], truth[1:]):
            a, b = ours[mask], theirs[mask]
            error = error + (a - b).square().sum() / b.var()
        tokens += int(mask.sum())
        for part, value in zip(parts, (mean_pool(states[-1], mask), states[-1][:, 0],
                                       mean_pool(truth[-1], mask), truth[-1][:, 0])):
            part.append(value)
        start = end
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    width = bert.shape.hidden * bert.shape.layers
    return Encoded(*(torch.cat(part)[back] for part in parts), error / (tokens * width))


def encode_ternary(bert: Bert, rows: list[list[int]], layers: list[Layer],
                   chunk_tokens: int = 8192) -> tuple[torch.Tensor, torch.Tensor]:
    """(normalised embeddings, [CLS] states) of rows of ids, in order."""
    with torch.no_grad():
        return encode(lambda ids, mask: hidden_states(bert, ids, mask, layers)[-1], rows, chunk_tokens)
