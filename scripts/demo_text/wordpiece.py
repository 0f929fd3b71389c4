"""An uncased WordPiece vocabulary: training it, and tokenising exactly as BERT does."""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections import Counter, defaultdict
from typing import Iterable

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, MASK = range(5)
MAX_WORD_CHARS = 100


def _is_punctuation(char: str) -> bool:
    code = ord(char)
    if 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126:
        return True
    return unicodedata.category(char).startswith("P")


def _is_cjk(code: int) -> bool:
    ranges = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
              (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
    return any(low <= code <= high for low, high in ranges)


def _clean(text: str) -> str:
    out: list[str] = []
    for char in text:
        if char in "\t\n\r" or unicodedata.category(char) == "Zs":
            out.append(" ")
        elif char == "\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co"):
            continue
        elif _is_cjk(ord(char)):
            out.append(f" {char} ")
        else:
            out.append(char)
    return "".join(out)


def basic_tokens(text: str) -> list[str]:
    """Words and single punctuation marks of the cleaned, unaccented, lower-case text."""
    if text.isascii() and text.isprintable():  # the same, quickly
        return re.findall(r"[a-z0-9]+|[^\sa-z0-9]", text.lower())
    text = unicodedata.normalize("NFD", _clean(text))
    text = "".join(c.lower() for c in text if unicodedata.category(c) != "Mn")
    result: list[str] = []
    for word in text.split():
        start = 0
        for i, char in enumerate(word):
            if _is_punctuation(char):
                result.extend(part for part in (word[start:i], char) if part)
                start = i + 1
        if start < len(word):
            result.append(word[start:])
    return result


def train_vocabulary(texts: Iterable[str], size: int, min_char_count: int = 20) -> list[str]:
    """`size` entries: specials, characters, then the most frequent merges."""
    counts = Counter(word for text in texts for word in basic_tokens(text))
    chars: Counter[str] = Counter()
    for word, n in counts.items():
        for char in word:
            chars[char] += n
    alphabet = sorted(c for c, n in chars.items() if n >= min_char_count)
    known = set(alphabet)
    vocabulary = SPECIALS + alphabet + [f"##{c}" for c in alphabet if not _is_punctuation(c)]
    usable = [(w, n) for w, n in sorted(counts.items()) if n > 1 and set(w) <= known and len(w) < 30]
    pieces = [[w[0]] + [f"##{c}" for c in w[1:]] for w, _ in usable]
    freq = [n for _, n in usable]
    pairs: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[int]] = defaultdict(set)
    for i, word in enumerate(pieces):
        for pair in zip(word, word[1:]):
            pairs[pair] += freq[i]
            where[pair].add(i)
    heap = [(-n, pair) for pair, n in pairs.items()]
    heapq.heapify(heap)
    seen = set(vocabulary)
    while len(vocabulary) < size and heap:
        n, pair = heapq.heappop(heap)
        if -n != pairs[pair]:
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        merged = pair[0] + pair[1].removeprefix("##")
        if merged not in seen:
            seen.add(merged)
            vocabulary.append(merged)
        for key in _merge(pair, merged, pieces, freq, pairs, where):
            heapq.heappush(heap, (-pairs[key], key))
    return vocabulary


def _merge(pair: tuple[str, str], merged: str, pieces: list[list[str]], freq: list[int],
           pairs: Counter[tuple[str, str]], where: dict[tuple[str, str], set[int]]) -> set[tuple[str, str]]:
    """Replaces `pair` in every word that has it; returns the pairs that appeared."""
    fresh: set[tuple[str, str]] = set()
    for i in where.pop(pair):
        old = pieces[i]
        new: list[str] = []
        j = 0
        while j < len(old):
            if j + 1 < len(old) and (old[j], old[j + 1]) == pair:
                new.append(merged)
                j += 2
            else:
                new.append(old[j])
                j += 1
        for key in zip(old, old[1:]):
            pairs[key] -= freq[i]
        for key in zip(new, new[1:]):
            pairs[key] += freq[i]
            where[key].add(i)
            if merged in key:
                fresh.add(key)
        pieces[i] = new
    pairs[pair] = 0
    return fresh


class Tokenizer:
    """Greedy longest-match WordPiece over a vocabulary."""

    def __init__(self, vocabulary: list[str]) -> None:
        self.vocabulary = vocabulary
        self.ids = {token: i for i, token in enumerate(vocabulary)}
        self._cache: dict[str, list[int]] = {}

    def word(self, word: str) -> list[int]:
        """The ids of one word."""
        if word not in self._cache:
            self._cache[word] = self._split(word)
        return self._cache[word]

    def _split(self, word: str) -> list[int]:
        if len(word) > MAX_WORD_CHARS:
            return [UNK]
        result: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            end = len(word)
            while end > start and prefix + word[start:end] not in self.ids:
                end -= 1
            if end == start:
                return [UNK]
            result.append(self.ids[prefix + word[start:end]])
            start = end
        return result

    def content(self, text: str) -> list[int]:
        """The ids of a text without [CLS] and [SEP]."""
        return [i for word in basic_tokens(text) for i in self.word(word)]

    def encode(self, text: str, max_length: int) -> list[int]:
        """[CLS] text [SEP], cut to `max_length` ids."""
        return wrap(self.content(text), max_length)


def wrap(ids: list[int], max_length: int) -> list[int]:
    """Adds [CLS] and [SEP] around at most `max_length` - 2 ids."""
    return [CLS, *ids[: max_length - 2], SEP]
