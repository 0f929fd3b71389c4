#!/usr/bin/python3
"""Answers, entities and labels at run time: does the tool say what an independent computation says?

    scripts/compare_answers.py [TOOL] [COUNT]
        default: build/release/tessera/tessera, 200 texts for each checkpoint and setting

Small random checkpoints with the tokenizers of ../shared/tokenizers. Tokens and offsets are the native
library's (tokenizers of npm, by tokenizing/offsets.mjs); windows, the encoder, in float64, and the rules, which
are those of the pipelines of Transformers 4.57, are written here. A line for each checkpoint and setting: texts,
spans, the largest difference of a score, how many texts differ, and the first of them in full. Exit status 1 if
a span differs, or a score by more than 1e-4. Needs numpy, node, npm and its registry; three minutes.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from answer_models import Kind, Model, make_model, softmax

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT / "../shared/tokenizers"
PACKAGE = "tokenizers@0.23.2"
TOLERANCE = 1e-4
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC", "I-A-B"]
ENTAILMENT = {
    "bert": ["contradiction", "neutral", "entailment"],
    "roberta": ["ENTAILMENT", "neutral", "contradiction"],
}
TOKENIZERS = {
    "bert-base-uncased": Kind("bert", 30522, 101, 100, True),
    "bert-base-cased": Kind("bert", 28996, 101, 100, True),
    "roberta-base": Kind("roberta", 50265, 0, 3, False),
}
ODD = (
    "café cafe\u0301 naïve nai\u0308ve Ångström İstanbul i\u0307stanbul ΟΔΟΣ οδος ΟΔΌΣ Straße STRASSE ﬁne FINE "
    "東京都 東京 中文 日本語テキスト 한국어 Москва ไทย नमस्ते 😀 👍🏽 👩\u200d👩\u200d👧 🇩🇪 𠀀𠀁 3.14 1,024 2024-03-17 "
    "50% don't U.S.A. e-mail (x) “quoted” — ... ?! [CLS] <s> [UNK] <unk> [SEP] [PAD] <pad> a\u200bb \u0301 ½ Ⅷ"
).split(" ") + ["\u00a0", "\n", "\t", " ", "\u3000", "y" * 101]
ASKED = "Who where When is was are the capital city's name café 東京 ?".split()
SHORT = ["x", "é", "😀", "中", "e\u0301", ".", " a", "a ", "word", "Word word WORD word"]
QUESTIONS = [
    {},
    {"top_k": 5},
    {"top_k": 5, "max_length": 64, "stride": 16},
    {"top_k": 3, "max_length": 64, "max_answer_length": 4, "null_answer": True},
    {"top_k": 20, "max_length": 48, "stride": 8, "max_answer_length": 2},
]
STRATEGIES = ["none", "simple", "first", "average", "max"]
ENTITIES = [{"entities": strategy} for strategy in STRATEGIES]
ENTITIES += [{"entities": strategy, "max_length": 64, "stride": 16} for strategy in STRATEGIES[1:]]
ENTITIES += [{"entities": "simple", "max_length": 24}, {"entities": "average", "max_length": 24, "stride": 11}]
ZERO_SHOT = [
    {"labels": "sport, politics,cooking,a long walk"},
    {"labels": "sport,politics,cooking", "hypothesis": "This text is about {}.", "multi_label": True},
    {"labels": "travel"},
    {"labels": "Sport,東京,café", "max_length": 24},
]


def make_text(rng: random.Random, words: list[str], pieces: int) -> str:
    """A few words again and again, in other cases, joined to others, between odd ones."""
    pool = rng.sample(words, 3 + pieces // 8)
    text = ""
    for _ in range(pieces):
        word = rng.choice(pool)
        piece = rng.choice([word, word, word, word.title(), word.upper(), word + rng.choice(pool), rng.choice(ODD)])
        text += piece + rng.choice(["", ",", ".", *[""] * 6]) + ("" if rng.random() < 0.06 else " ")
    return text if rng.random() < 0.1 else text.strip() or "x"


def make_texts(rng: random.Random, count: int) -> list[str]:
    vocabulary = (SHARED / "files/bert-base-uncased/vocab.txt").read_text(encoding="utf-8").split("\n")
    words = [w for w in vocabulary if w.isascii() and w.isalpha() and w.islower() and len(w) > 1]
    sizes = [(2, 12), (5, 40), (5, 40), (60, 150), (60, 150), (200, 450)]
    return (SHORT + [make_text(rng, words, rng.randint(*sizes[i % 6])) for i in range(count)])[:count]


def windows_of(encoding: dict, sequence: int, most: int, stride: int) -> list[dict]:
    """Windows of at most `most` tokens on one of two texts; each begins with the last `stride` of the one before."""
    places = [i for i, s in enumerate(encoding["sequences"]) if s == sequence]
    room = most - len(encoding["ids"]) + len(places)
    windows = []
    for first in range(0, max(len(places), 1), room - stride):
        left_out = {*places[:first], *places[first + room :]}
        windows.append({key: [v for i, v in enumerate(encoding[key]) if i not in left_out] for key in encoding})
        if first + room >= len(places):
            break
    return windows


def answers_of(context: str, windows: list[dict], model: Model, kind: Kind, setting: dict) -> list[tuple]:
    top_k, longest = setting.get("top_k", 1), setting.get("max_answer_length", 15)
    found: list[list] = []
    null = math.inf
    for window in windows:
        asked = [s == 1 or i == kind.cls for s, i in zip(window["sequences"], window["ids"])]
        start, end = (softmax(np.where(asked, column, -10000.0)) for column in model.logits(window).T)
        null = min(null, start[0] * end[0])
        start[0] = end[0] = 0.0
        scores = np.tril(np.triu(np.outer(start, end)), longest - 1)
        of_context = [i for i, s in enumerate(window["sequences"]) if s == 1]
        begins = {window["words"][i]: window["offsets"][i][0] for i in reversed(of_context)}
        ends = {window["words"][i]: window["offsets"][i][1] for i in of_context}
        # More than top_k, since spans within the same words become one.
        for place in np.argsort(-scores, axis=None, kind="stable")[: 2 * top_k + 10]:
            first, last = divmod(int(place), len(asked))
            if scores[first, last] <= 0:
                break
            begin, stop = begins.get(window["words"][first]), ends.get(window["words"][last])
            if begin is None or stop is None:
                begin, stop = window["offsets"][first][0], window["offsets"][last][1]
            text = context[begin:stop]
            same = next((answer for answer in found if answer[0].lower() == text.lower()), None)
            if same:
                same[3] += scores[first, last]
            else:
                found.append([text, begin, stop, scores[first, last]])
    if setting.get("null_answer"):
        found.append(["", 0, 0, null])
    return [tuple(answer) for answer in sorted(found, key=lambda answer: -answer[3])[:top_k]]


def words_of(text: str, window: dict, shares: np.ndarray, kind: Kind, strategy: str) -> list[tuple]:
    """Tokens, or the words that they make: label, begin, end, score."""
    words: list[list[int]] = []
    for i, (begin, end) in enumerate(window["offsets"]):
        if window["special"][i]:
            continue
        inside = begin > 0 and " " not in text[begin - 1 : begin + 1]
        if kind.marks_subwords:
            inside = len(window["tokens"][i]) != end - begin
        if strategy in ("none", "simple") or not words or not inside or window["ids"][i] == kind.unknown:
            words.append([])
        words[-1].append(i)
    found = []
    for word in words:
        of_word = shares[word[0]]
        if strategy == "average":
            of_word = shares[word].mean(0)
        elif strategy == "max":
            of_word = max(shares[word], key=np.max)
        begin, end = window["offsets"][word[0]][0], window["offsets"][word[-1]][1]
        found.append((TAGS[int(of_word.argmax())], begin, end, float(of_word.max())))
    return found


def tag_of(label: str) -> str:
    return label[2:] if label.startswith(("B-", "I-")) else label


def entities_of(text: str, windows: list[dict], model: Model, kind: Kind, setting: dict) -> list[tuple]:
    found = []
    for window in windows if "stride" in setting else windows[:1]:
        words = words_of(text, window, softmax(model.logits(window)), kind, setting["entities"])
        if setting["entities"] == "none":
            found += words
            continue
        groups: list[list[tuple]] = []
        for word in words:
            if not groups or word[0].startswith("B-") or tag_of(word[0]) != tag_of(groups[-1][-1][0]):
                groups.append([])
            groups[-1].append(word)
        for group in groups:
            score = float(np.mean([word[3] for word in group]))
            found.append((group[0][0].split("-", 1)[-1], group[0][1], group[-1][2], score))
    found = [span for span in found if span[0] != "O"]
    if len(windows) == 1 or "stride" not in setting:
        return found
    kept: list[tuple] = []
    for span in sorted(found, key=lambda span: span[1]):
        if not kept or not kept[-1][1] <= span[1] < kept[-1][2]:
            kept.append(span)
        elif (span[2] - span[1], span[3]) > (kept[-1][2] - kept[-1][1], kept[-1][3]):
            kept[-1] = span
    return kept


def labels_of(logits: np.ndarray, names: list[str], labels: list[str], setting: dict) -> list[tuple]:
    entails = next(i for i, label in enumerate(labels) if label.lower().startswith("entail"))
    if setting.get("multi_label") or len(names) == 1:
        shares = softmax(logits[:, [0 if entails else len(labels) - 1, entails]])[:, 1]
    else:
        shares = softmax(logits[:, entails])
    return sorted(zip(names, shares.tolist()), key=lambda pair: -pair[1])


class Bench:
    """The tool, and a folder for the native library, checkpoints and texts."""

    def __init__(self, tool: Path, work: Path) -> None:
        self.tool, self.work, self.failed = tool, work, False
        if not (SHARED / "files").is_dir() or not shutil.which("node") or not shutil.which("npm"):
            sys.exit(f"error: {SHARED}, which is not part of the project, or node or npm is missing")
        (work / "package.json").write_text("{}", encoding="utf-8")
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
        if subprocess.run(install, cwd=work, check=False).returncode != 0:
            sys.exit(f"error: npm could not install {PACKAGE}: is its registry reachable?")

    def encode(self, tokenizer: str, texts: list[tuple]) -> list[dict]:
        command = ["node", ROOT / "scripts/tokenizing/offsets.mjs", self.work, SHARED, self.work, tokenizer]
        done = subprocess.run(command, input=json.dumps(texts).encode(), stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def compare(self, command: str, folder: Path, records: list[dict], setting: dict, expected: list[list]) -> None:
        """Asks the tool the same; a line of how its spans differ in more than the score, which comes last."""
        file = self.work / "records.jsonl"
        lines = [json.dumps({"id": i, **record}, ensure_ascii=False) + "\n" for i, record in enumerate(records)]
        file.write_text("".join(lines), encoding="utf-8")
        options = []
        for name, value in setting.items():
            options += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        arguments = [self.tool, command, folder, file, *options, "--format", "jsonl"]
        done = subprocess.run(arguments, capture_output=True, encoding="utf-8", check=False)
        what = " ".join([folder.name, *options])
        if done.returncode != 0:
            print(f"{what}: exit status {done.returncode}, " + done.stderr.split("\n")[0])
        said = {line["id"]: line for line in map(json.loads, filter(None, done.stdout.split("\n")))}
        worst, differ, first = 0.0, 0, ""
        for i, (record, ours) in enumerate(zip(records, expected)):
            theirs = spans_of(said[i], list(record.values())[-1]) if i in said else [("no line", math.inf)]
            alike = [a[:-1] for a in ours] == [b[:-1] for b in theirs]
            d = max((abs(a[-1] - b[-1]) for a, b in zip(ours, theirs)), default=0.0) if alike else 0.0
            worst, differ = max(worst, d), differ + (not alike or d > TOLERANCE)
            if differ and not first:
                first = f"\n    {json.dumps(record)}\n    expected {ours}\n    tool     {theirs}"
        spans = sum(map(len, expected))
        print(f"{what}: {len(records)} texts, {spans} spans, largest difference {worst:.1e}, {differ} differ{first}")
        self.failed |= differ > 0 or spans == 0


def spans_of(line: dict, text: str) -> list[tuple]:
    """What the tool says of a text: label or answer, begin and end, score."""
    if "labels" in line:
        return [(label["label"], label["probability"]) for label in line["labels"]]
    spans = []
    for span in line["answers"] if "answers" in line else line["entities"]:
        said = span["answer"] if "answers" in line else span["text"]
        name = span.get("label", said) if said == text[span["begin"] : span["end"]] else f"{said} elsewhere"
        spans.append((name, span["begin"], span["end"], span["score"]))
    return spans


def compare_all(bench: Bench, tokenizer: str, seed: int, count: int) -> None:
    kind, rng = TOKENIZERS[tokenizer], random.Random(seed)
    texts = make_texts(rng, count)
    questions = [" ".join(rng.choices(ASKED, k=rng.randint(1, 8))) for _ in texts]
    files = bench.work / tokenizer / "ours"
    answers, entities, zero_shot = (bench.work / f"{tokenizer}-{what}" for what in ("answers", "entities", "labels"))

    encodings = bench.encode(tokenizer, list(zip(questions, texts)))
    records = [{"question": q, "context": t} for q, t in zip(questions, texts)]
    model = make_model(answers, files, kind, "QuestionAnswering", ["start", "end"])
    for setting in QUESTIONS:
        most = setting.get("max_length", 384)
        windows = [windows_of(e, 1, most, setting.get("stride", min(most // 2, 128))) for e in encodings]
        expected = [answers_of(t, w, model, kind, setting) for t, w in zip(texts, windows)]
        bench.compare("answer", answers, records, setting, expected)

    encodings = bench.encode(tokenizer, [(text,) for text in texts])
    records = [{"text": text} for text in texts]
    model = make_model(entities, files, kind, "TokenClassification", TAGS)
    for setting in ENTITIES:
        windows = [windows_of(e, 0, setting.get("max_length", 512), setting.get("stride", 0)) for e in encodings]
        expected = [entities_of(t, w, model, kind, setting) for t, w in zip(texts, windows)]
        bench.compare("classify", entities, records, setting, expected)

    model = make_model(zero_shot, files, kind, "SequenceClassification", ENTAILMENT[kind.family])
    for setting in ZERO_SHOT:
        names = [name.strip() for name in setting["labels"].split(",")]
        template = setting.get("hypothesis", "This example is {}.")
        encodings = bench.encode(tokenizer, [(t, template.replace("{}", name)) for t in texts for name in names])
        windows = [windows_of(e, 0, setting.get("max_length", 512), 0)[0] for e in encodings]
        logits = np.array([model.logits(window) for window in windows]).reshape(count, len(names), -1)
        expected = [labels_of(rows, names, ENTAILMENT[kind.family], setting) for rows in logits]
        bench.compare("classify", zero_shot, records, setting, expected)


def main() -> int:
    tool = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release/tessera/tessera").resolve()
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(tool, Path(work))
        for seed, tokenizer in enumerate(TOKENIZERS):
            compare_all(bench, tokenizer, seed, int(sys.argv[2]) if len(sys.argv) > 2 else 200)
    return int(bench.failed)


if __name__ == "__main__":
    sys.exit(main())
