"""Held-out quality of the stored weights."""

from __future__ import annotations

import numpy as np
import torch

from .model import Bert, SectionModel, encode
from .wordpiece import Tokenizer


def round_to_half(model: torch.nn.Module) -> None:
    """Rounds every parameter to F16, as it is stored."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().to(parameter.dtype))


# Ids per text, [CLS] and [SEP] included: retrieval model, section classifier.
TEXT_IDS = 64
SECTION_IDS = 128


def embed(bert: Bert, tokenizer: Tokenizer, texts: list[str], limit: int = TEXT_IDS) -> torch.Tensor:
    """Normalised embeddings of texts."""
    with torch.no_grad():
        rows = [tokenizer.encode(text, limit) for text in texts]
        return encode(bert, rows, 8192)[0]


def ranks(queries: torch.Tensor, documents: torch.Tensor) -> np.ndarray:
    """Rank (1 = best) of document i for query i."""
    scores = queries @ documents.t()
    return 1 + (scores > scores.diagonal()[:, None]).sum(1).numpy()


def summary(rank: np.ndarray) -> dict[str, float]:
    """Recall@1, recall@10 and the mean reciprocal rank."""
    return {
        "recall@1": float((rank <= 1).mean()),
        "recall@10": float((rank <= 10).mean()),
        "MRR": float((1 / rank).mean()),
    }


def shown(figures: dict[str, float]) -> str:
    """The figures on one line."""
    return ", ".join(f"{key} {value:.3f}" for key, value in figures.items())


def section_logits(model: SectionModel, tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Section logits of texts."""
    with torch.no_grad():
        rows = [tokenizer.encode(text, SECTION_IDS) for text in texts]
        return model.logits(encode(model.bert, rows, 8192)[1])


def accuracy(model: SectionModel, tokenizer: Tokenizer, rows: list[tuple[str, int]]) -> float:
    """Share of texts whose best section is the right one."""
    guess = section_logits(model, tokenizer, [text for text, _ in rows]).argmax(1)
    return (guess == torch.tensor([label for _, label in rows])).float().mean().item()
