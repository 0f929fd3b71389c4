#!/usr/bin/python3
"""Trains the ternary copies of the demo text models and writes them under models/demo.

    /usr/bin/python3 scripts/train_demo_ternary.py text --state text.pt
    /usr/bin/python3 scripts/train_demo_ternary.py text-sections --state sections.pt
    /usr/bin/python3 scripts/train_demo_ternary.py measure

Each of the first two starts from the shipped weights of models/demo/text or text-sections, trains
with ternary linears and s8 inputs in the forward pass (demo_text/ternary.py) against the full model's
hidden states and answers, and writes models/demo/text-ternary or text-sections-ternary. The third reads
the written directories, measures them beside the full models and writes the figures and the
reference values (metrics.json, expected-ternary.json).

Data, split, texts and evaluation are those of train_demo_text.py, whose head says what it needs.
--resume writes what an interrupted run has in its --state.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable

ROOT = Path(__file__).resolve().parent.parent
TASKS = ("text", "text-sections")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=(*TASKS, "measure"))
    parser.add_argument("--out", type=Path, default=ROOT / "models/demo", help="where the models are")
    parser.add_argument("--minutes", type=float, default=40, help="training time (wall clock)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lists", type=Path, help="keep apt's state here (default: a temporary directory)")
    parser.add_argument("--state", type=Path, help="keep the weights being trained in this file")
    parser.add_argument("--resume", action="store_true", help="skip training, take the weights of --state")
    return parser.parse_args()


ARGUMENTS = parse_arguments()
# Before torch loads the BLAS, as in train_demo_text.py. Blocks that are given back to the
# kernel after each operation cost more page faults than arithmetic.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(ARGUMENTS.threads)
if "avx512f" in Path("/proc/cpuinfo").read_text():
    os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
if "MALLOC_MMAP_THRESHOLD_" not in os.environ:
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MALLOC})

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import ternary_reference  # noqa: E402
from demo_text import archive, evaluate, export, sampling, ternary, ternary_files, train  # noqa: E402
from demo_text.model import SectionModel, Shape  # noqa: E402
from demo_text.wordpiece import Tokenizer, basic_tokens  # noqa: E402

BATCH = 48  # packages per step of the retrieval task
SECTIONS_BATCH = 64  # texts per step of the section task
LR_LINEARS = 1e-3  # weights have to travel across a threshold to change
LR_OTHERS = 4e-4
TASK_WEIGHT = 0.2  # of the loss against labels, beside the full model's answers
REPORT_SECONDS = 120.0
# Reference values: linears recorded number by number, and texts over which float32 is compared with float64.
RECORDED = tuple(f"encoder.layer.0.{name}" for name in ("attention.self.query", "intermediate.dense", "output.dense"))
FLOAT32_TEXTS = 200


def load_full(folder: Path, labels: int) -> SectionModel:
    """The shipped full-precision model; the text model gets an unused classifier."""
    stored = export.read_safetensors(folder / "model.safetensors")
    model = SectionModel(Shape(len(stored_vocabulary(folder))), labels)
    if any(name.startswith("bert.") for name in stored):
        model.load_state_dict(stored)
    else:
        model.bert.load_state_dict(stored)
    return model


def stored_vocabulary(folder: Path) -> list[str]:
    """The entries of a directory's vocab.txt."""
    return (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1]


def product_type() -> torch.dtype:
    """bf16 where the processor multiplies it: twice as fast, and what is multiplied is exact in it."""
    return torch.bfloat16 if "avx512_bf16" in Path("/proc/cpuinfo").read_text() else torch.float32


def divergence(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of our distribution over each row's entries from the full model's."""
    return F.kl_div(ours.log_softmax(1), theirs.log_softmax(1), log_target=True, reduction="batchmean")


def similarity_loss(a: torch.Tensor, b: torch.Tensor, full_a: torch.Tensor, full_b: torch.Tensor) -> torch.Tensor:
    """How differently the two models rank the batch, in both directions (`train.contrast`)."""
    ours, theirs = a @ b.t() / train.TEMPERATURE, full_a @ full_b.t() / train.TEMPERATURE
    return (divergence(ours, theirs) + divergence(ours.t(), theirs.t())) / 2


def retrieval_step(model: SectionModel, teacher: ternary.Teacher, batch: sampling.Batch) -> torch.Tensor:
    """Hidden states and similarities of the full model, and train_demo_text.py's loss."""
    both = ternary.encode_both(model.bert, teacher, batch.synopses + batch.documents + batch.queries,
                               ternary.quantised(model.bert, product_type()))
    s, d, q = both.pooled.split(len(batch.labels))
    full_s, full_d, full_q = both.full_pooled.split(len(batch.labels))
    alike = (similarity_loss(s, d, full_s, full_d) + 0.6 * similarity_loss(q, s, full_q, full_s)
             + 0.15 * similarity_loss(q, d, full_q, full_d))
    return both.distance + alike + TASK_WEIGHT * train.retrieval_loss(s, d, q)


def section_step(model: SectionModel, full: SectionModel, teacher: ternary.Teacher,
                 texts: list[list[int]], labels: list[int]) -> torch.Tensor:
    """Hidden states and logits of the full model, and the labels."""
    both = ternary.encode_both(model.bert, teacher, texts, ternary.quantised(model.bert, product_type()))
    logits = model.logits(both.first)
    with torch.no_grad():
        truth = full.logits(both.full_first)
    task = F.cross_entropy(logits, torch.tensor(labels), label_smoothing=train.LABEL_SMOOTHING)
    return both.distance + divergence(logits, truth) + TASK_WEIGHT * task


def fit(model: SectionModel, step: Callable[[], torch.Tensor], minutes: float, report: Callable[[], str],
        state: Path | None) -> None:
    """Adam with warm-up and linear decay over a span of wall-clock time."""
    linears = {f"bert.encoder.layer.{i}.{name}.weight" for i in range(model.bert.shape.layers)
               for name in ternary.LINEARS}
    groups = [{"params": [p for n, p in model.named_parameters() if (n in linears) == inside], "peak": peak}
              for inside, peak in ((True, LR_LINEARS), (False, LR_OTHERS))]
    optimiser = torch.optim.Adam(groups, lr=LR_LINEARS, betas=(0.9, 0.98))
    begin = last = time.monotonic()
    steps, smooth = 0, 0.0
    while (done := (time.monotonic() - begin) / (minutes * 60)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * max(1e-3, min(done / 0.03, 1 - done))
        loss = step()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        steps += 1
        smooth = loss.item() if steps == 1 else 0.97 * smooth + 0.03 * loss.item()
        if time.monotonic() - last > REPORT_SECONDS:
            last = time.monotonic()
            if state:
                torch.save(model.state_dict(), state)
            print(f"  {done:4.0%} step {steps} loss {smooth:.4f} {report()}", flush=True)
    print(f"  {steps} steps in {time.monotonic() - begin:.0f} s ({time.process_time():.0f} s of a core),"
          f" loss {smooth:.4f} {report()}", flush=True)


def train_one(arguments: argparse.Namespace) -> SectionModel:
    """The ternary model of a task, as float weights behind ternary ones."""
    torch.manual_seed(arguments.seed)
    packages = archive.gather(arguments.lists)
    labels = archive.section_labels(packages)
    full, model = (load_full(arguments.out / arguments.what, len(labels)) for _ in range(2))
    if arguments.resume:
        model.load_state_dict(torch.load(arguments.state))
        return model
    tokenizer = Tokenizer(stored_vocabulary(arguments.out / arguments.what))
    teacher = ternary.Teacher(full.bert, product_type())
    if arguments.what == "text":
        examples = sampling.prepare([p for p in packages if p.split == "train"], labels)
        sampler = sampling.Sampler(examples, tokenizer, BATCH, arguments.seed + 1)
        with torch.no_grad():
            sampler.vectors = full.bert.bag(sampler.synopses())[0]
        batches = sampler.batches()
        valid = [p for p in archive.one_per_source(packages) if p.split == "valid"]
        texts = [[tokenizer.encode(t, evaluate.TEXT_IDS) for t in side]
                 for side in ([p.synopsis for p in valid], [p.description for p in valid])]

        def step() -> torch.Tensor:
            return retrieval_step(model, teacher, next(batches))

        def report() -> str:
            layers = ternary.quantised(model.bert)
            sides = [ternary.encode_ternary(model.bert, side, layers)[0] for side in texts]
            return f"valid: {evaluate.shown(evaluate.summary(evaluate.ranks(*sides)))}"
    else:
        rows = archive.labelled(packages, labels, "train")
        sections = sampling.SectionSampler([(basic_tokens(t), y) for t, y in rows], tokenizer, arguments.seed + 2)
        valid_rows = archive.labelled(packages, labels, "valid")
        ids = [tokenizer.encode(text, evaluate.SECTION_IDS) for text, _ in valid_rows]
        truth = torch.tensor([label for _, label in valid_rows])

        def step() -> torch.Tensor:
            return section_step(model, full, teacher, *sections.draw(SECTIONS_BATCH))

        def report() -> str:
            first = ternary.encode_ternary(model.bert, ids, ternary.quantised(model.bert))[1]
            return f"valid: accuracy {(model.logits(first).argmax(1) == truth).float().mean():.3f}"

    print(f"  before: {report()}", flush=True)
    fit(model, step, arguments.minutes, report, arguments.state)
    if arguments.state:
        torch.save(model.state_dict(), arguments.state)
    return model


def paired(full: np.ndarray, ours: np.ndarray) -> dict[str, Any]:
    """Shares of right answers of both models, and how often only one of them is right."""
    return {
        "full": float(full.mean()),
        "ternary": float(ours.mean()),
        "only full": int((full & ~ours).sum()),
        "only ternary": int((ours & ~full).sum()),
    }


def compare_ranks(full: np.ndarray, ours: np.ndarray, untrained: np.ndarray) -> dict[str, Any]:
    """Retrieval figures of the three models."""
    return {
        "candidates": len(full),
        "recall@1": paired(full <= 1, ours <= 1),
        "recall@10": paired(full <= 10, ours <= 10),
        "MRR": {"full": float((1 / full).mean()), "ternary": float((1 / ours).mean())},
        "ranks that differ": int((full != ours).sum()),
        "rounded without training": evaluate.summary(untrained),
    }


def measure_text(out: Path, packages: list[archive.Package], labels: list[str]) -> dict[str, Any]:
    """Retrieval on the test split, as train_demo_text.py measures it."""
    full = load_full(out / "text", len(labels))
    model, layers = ternary_files.read_model(out / "text-ternary", len(labels))
    tokenizer = Tokenizer(stored_vocabulary(out / "text"))
    held_out = [p for p in packages if p.split == "test"]
    sides = [[tokenizer.encode(t, evaluate.TEXT_IDS) for t in side]
             for side in ([p.synopsis for p in held_out], [p.description for p in held_out])]
    embedded = {
        "full": [evaluate.embed(full.bert, tokenizer, [p.synopsis for p in held_out]),
                 evaluate.embed(full.bert, tokenizer, [p.description for p in held_out])],
        "ternary": [ternary.encode_ternary(model.bert, side, layers)[0] for side in sides],
        "untrained": [ternary.encode_ternary(full.bert, side, ternary.quantised(full.bert))[0] for side in sides],
    }
    place = {p.name: i for i, p in enumerate(held_out)}
    figures: dict[str, Any] = {}
    for name, chosen in (("one package per source", archive.one_per_source(held_out)), ("all packages", held_out)):
        rows = [place[p.name] for p in chosen]
        ranks = [evaluate.ranks(a[rows], b[rows]) for a, b in embedded.values()]
        figures[f"retrieval, {name}"] = compare_ranks(*ranks)
    cosines = torch.cat([(a * b).sum(1) for a, b in zip(embedded["full"], embedded["ternary"])])
    figures["cosine of full and ternary embeddings"] = {
        "mean": cosines.mean().item(), "least": cosines.min().item(), "texts": len(cosines)}
    return figures


def measure_sections(out: Path, packages: list[archive.Package], labels: list[str]) -> dict[str, Any]:
    """Sections on the test split, as train_demo_text.py measures them."""
    full = load_full(out / "text-sections", len(labels))
    model, layers = ternary_files.read_model(out / "text-sections-ternary", len(labels))
    tokenizer = Tokenizer(stored_vocabulary(out / "text-sections"))
    rows = archive.labelled(packages, labels, "test")
    truth = torch.tensor([label for _, label in rows])
    ids = [tokenizer.encode(text, evaluate.SECTION_IDS) for text, _ in rows]
    with torch.no_grad():
        answers = [
            evaluate.section_logits(full, tokenizer, [text for text, _ in rows]).argmax(1),
            model.logits(ternary.encode_ternary(model.bert, ids, layers)[1]).argmax(1),
            full.logits(ternary.encode_ternary(full.bert, ids, ternary.quantised(full.bert))[1]).argmax(1),
        ]
    right = [(answer == truth).numpy() for answer in answers]
    return {"sections": {
        "test": len(rows),
        "accuracy": paired(right[0], right[1]),
        "answers that differ": int((answers[0] != answers[1]).sum()),
        "rounded without training": float(right[2].mean()),
    }}


def sizes(out: Path) -> dict[str, Any]:
    """Bytes of the weights beside four times the parameters of the full models."""
    result = {}
    for name in TASKS:
        stored = export.read_safetensors(out / name / "model.safetensors")
        fp32 = 4 * sum(tensor.numel() for tensor in stored.values())
        ours = (out / f"{name}-ternary" / "model.safetensors").stat().st_size
        result[f"{name}-ternary"] = {"bytes": ours, "full model in fp32": fp32, "ratio": ours / fp32}
    return result


def write_expected(out: Path) -> None:
    """Reference values for the texts of expected.json, by ternary_reference.py."""
    known = json.loads((out / "expected.json").read_text(encoding="utf-8"))
    result: dict[str, Any] = {}
    for name in TASKS:
        folder = out / f"{name}-ternary"
        exact, single = (ternary_reference.Model(folder, dtype) for dtype in (np.float64, np.float32))
        texts = [entry["text"] for entry in known[name]]
        if name == "text":
            lines = (out / "data/synopses.tsv").read_text(encoding="utf-8").splitlines()
            more = [line.split("\t")[2] for line in lines]
        else:
            lines = (out / "data/sections-test.tsv").read_text(encoding="utf-8").splitlines()
            more = [line.split("\t")[1] for line in lines]
        more = more[:: len(more) // FLOAT32_TEXTS][:FLOAT32_TEXTS]
        ids = [exact.tokenizer.encode(text, exact.limit) for text in more]
        apart = [float(np.abs(exact.answer(row) - single.answer(row)).max()) for row in ids]
        recorded = RECORDED if name == "text" else ()
        result[f"{name}-ternary"] = {
            "texts": [ternary_reference.record(exact, text) for text in texts],
            "linears": [ternary_reference.linear_record(exact, texts[0], at, 1) for at in recorded],
            "float32": {"texts": len(more), "greatest difference": max(apart), "median": float(np.median(apart))},
        }
    compact = json.dumps(result, ensure_ascii=False, separators=(",", ":"))  # a line for each list of numbers
    compact = compact.replace("},{", "},\n{").replace('],"', '],\n"')
    (out / "expected-ternary.json").write_text(compact + "\n", encoding="utf-8")


def measure(arguments: argparse.Namespace) -> None:
    """Writes the figures and the reference values."""
    packages = archive.gather(arguments.lists)
    labels = archive.section_labels(packages)
    write_expected(arguments.out)
    figures = {
        **measure_text(arguments.out, packages, labels),
        **measure_sections(arguments.out, packages, labels),
        "size": sizes(arguments.out),
    }
    path = arguments.out / "metrics.json"
    export.write_json(path, {**json.loads(path.read_text()), "ternary": figures})
    print(json.dumps(figures, indent=2))


def main() -> None:
    """Trains and writes one model, or measures both."""
    arguments = ARGUMENTS
    torch.set_num_threads(arguments.threads)
    if arguments.what == "measure":
        measure(arguments)
        return
    model = train_one(arguments)
    ternary_files.write_model(arguments.out / f"{arguments.what}-ternary", arguments.out / arguments.what, model)


if __name__ == "__main__":
    sys.exit(main())
