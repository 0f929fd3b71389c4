#!/usr/bin/python3
"""Trains the demo text checkpoint from scratch and writes it under models/demo.

One command does everything:

    /usr/bin/python3 scripts/train_demo_text.py --out models/demo

It fetches the package lists of the Debian release this machine runs (a private
apt state directory; the system's lists stay as they are), splits the packages
by source package, trains a WordPiece vocabulary and a small BERT for retrieval
(synopsis and long description of one package belong together) and for telling
a package's section, evaluates the weights as they are stored, next to simple
baselines, and writes the published directory layouts.

Needs Debian's python3-torch and python3-numpy, and a fast BLAS:

    apt-get install python3-torch python3-numpy libopenblas0-pthread

Without the last of these torch computes with the reference BLAS, about 25
times more slowly. Without root, unpack the package (`apt-get download
libopenblas0-pthread && dpkg -x libopenblas0-pthread_*.deb DIR`) and put its
usr/lib/x86_64-linux-gnu/openblas-pthread on LD_LIBRARY_PATH.

`--init FILE` goes on from the weights of an earlier run (its --state file) with
all layers, instead of starting from scratch.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="directory to write, e.g. models/demo")
    parser.add_argument("--minutes", type=float, default=50, help="training time (wall clock)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=128, help="packages per training step")
    parser.add_argument("--vocabulary", type=int, default=8000, help="entries of the WordPiece vocabulary")
    parser.add_argument("--lists", type=Path, help="keep apt's state here (default: a temporary directory)")
    parser.add_argument("--state", type=Path, help="keep the weights being trained in this file")
    parser.add_argument("--reuse", type=Path, help="take this vocab.txt instead of training a vocabulary")
    parser.add_argument("--init", type=Path, help="go on training from these weights (an earlier run's --state)")
    parser.add_argument("--resume", action="store_true", help="skip training, take the weights of --state")
    parser.add_argument("--small", action="store_true", help="smoke test: few packages, seconds of training")
    return parser.parse_args()


ARGUMENTS = parse_arguments()
# Before numpy and torch load the BLAS: its threads, and a kernel that old
# OpenBLAS versions do not pick by themselves on recent processors.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(ARGUMENTS.threads)
if "avx512f" in Path("/proc/cpuinfo").read_text():
    os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")

import torch  # noqa: E402

from demo_text import archive, baselines, evaluate, export, sampling, train  # noqa: E402
from demo_text.archive import Package, labelled  # noqa: E402
from demo_text.model import SectionModel, Shape  # noqa: E402
from demo_text.wordpiece import Tokenizer, basic_tokens, train_vocabulary  # noqa: E402

BAG_BATCH = 512
QUERIES = (
    "edit photos", "play music from the command line", "web server", "learn the alphabet",
    "chess game", "read email in the terminal", "convert video files", "draw diagrams",
    "download web pages", "password manager", "monitor cpu and memory usage", "spreadsheet",
    "compress files", "astronomy", "text editor for programmers", "backup to a remote machine",
)
# Packages many people know; the sample of synopses has them whatever their split.
KNOWN = """
abiword anki ardour audacity bash blender bzip2 calibre cheese chess chromium cmake cmus cron
cups curl darktable dia digikam docker.io dosbox emacs evince evolution ffmpeg file filezilla
firefox-esr flightgear fontforge freecad freeciv frozen-bubble gcompris-qt gcc gdb geany gedit
gimp git glances gnome-terminal gnucash gnuchess gnumeric gnupg gnuplot gparted gpg graphviz
grep gthumb gzip handbrake hedgewars htop hugin imagemagick inkscape irssi jq k3b kate kdenlive
keepassxc kicad kodi konsole krita less libreoffice-calc libreoffice-writer lilypond links lynx
lyx make man-db mariadb-server maxima mc moc mpd mpg123 mpv mutt nano neovim nethack-console
nginx nmap obs-studio octave okular openssh-client openssh-server openttd openvpn pandoc
pdfgrep pidgin podman postgresql putty python3 qemu-system-x86 qgis quodlibet r-base rclone
rhythmbox rsync ruby samba scribus screen shotwell signing-party simple-scan sqlite3 stellarium
strace sudo supertux supertuxkart synaptic syncthing tar tcpdump texlive thunderbird timidity
tmux transmission-gtk tuxpaint tuxmath tuxtype unzip valgrind vim virtualbox vlc weechat wesnoth
wget wireshark xournalpp xterm youtube-dl yt-dlp zathura zip zsh apache2 lighttpd haproxy squid
bind9 dnsmasq postfix exim4 dovecot-core mumble hexchat sonic-pi lmms hydrogen musescore3 sox
ghostscript pdftk-java qpdf poppler-utils tesseract-ocr gocr aspell hunspell dict bc units
cowsay fortune-mod sl figlet nudoku gnome-sudoku gnome-mines gnome-chess aisleriot kpat xboard
stockfish fish ripgrep fd-find bat fzf tree ncdu iotop iftop nethogs smartmontools testdisk
borgbackup restic rdiff-backup duplicity deja-dup timeshift clamav fail2ban ufw nftables
wireguard tor aircrack-ng john hashcat meld diffutils patch subversion mercurial ledger hledger
homebank celestia kalgebra geogebra marble gpsbabel josm pspp rawtherapee mypaint pinta
imagej openscad librecad povray gtypist klavaro ktouch childsplay goldendict
""".split()


def warn_slow_blas() -> None:
    """Says so when the BLAS that torch loaded is not a fast one."""
    loaded = Path("/proc/self/maps").read_text()
    if not any(name in loaded for name in ("openblas", "mkl_", "blis")):
        print(
            "warning: the reference BLAS is in use; training will be about 25 times slower than with\n"
            "OpenBLAS (apt-get install libopenblas0-pthread)", file=sys.stderr, flush=True,
        )


def gather(arguments: argparse.Namespace) -> list[Package]:
    """All usable packages of the release (a tenth of the sources with --small)."""
    packages = archive.gather(arguments.lists)
    if arguments.small:
        packages = [p for p in packages if hash_byte(p.source) < 26]
    return packages


def hash_byte(name: str) -> int:
    """A fixed number from 0 to 255."""
    return zlib.crc32(name.encode()) & 255


def vocabulary_of(packages: list[Package], size: int) -> list[str]:
    """A vocabulary from the training packages' texts."""
    single = [p for p in archive.one_per_source(packages) if p.split == "train"]
    return train_vocabulary((f"{p.synopsis}\n{p.description}" for p in single), size)


def read_vocabulary(path: Path) -> list[str]:
    """The entries of a vocab.txt."""
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def train_models(
    arguments: argparse.Namespace, packages: list[Package], labels: list[str], tokenizer: Tokenizer
) -> tuple[SectionModel, SectionModel]:
    """Trains the joint model, then a copy of it for the section task alone.

    With --resume whatever --state has already is loaded instead.
    """
    torch.manual_seed(arguments.seed)
    model = SectionModel(Shape(len(tokenizer.vocabulary)), len(labels))
    state = arguments.state or Path(tempfile.mkdtemp()) / "state.pt"
    sections_state = state.with_suffix(".sections.pt")
    rows = [(basic_tokens(text), y) for text, y in labelled(packages, labels, "train")]
    valid_rows = labelled(packages, labels, "valid")
    joint_minutes = arguments.minutes * (1 - train.SECTIONS_SHARE)
    if arguments.resume:
        model.load_state_dict(torch.load(state))
    else:
        train_joint(arguments, model, packages, labels, tokenizer, rows, joint_minutes, state)
        torch.save(model.state_dict(), state)
    sections = copy.deepcopy(model)
    if arguments.resume and sections_state.exists():
        sections.load_state_dict(torch.load(sections_state))
        return model, sections

    def report() -> str:
        return f"valid: accuracy {evaluate.accuracy(sections, tokenizer, valid_rows):.3f}"

    sampler = sampling.SectionSampler(rows, tokenizer, arguments.seed + 2)
    print(f"  joint model: {report()}", flush=True)
    train.train_sections(sections, sampler, arguments.minutes - joint_minutes, report, sections_state)
    print(f"  sections: {report()}", flush=True)
    torch.save(sections.state_dict(), sections_state)
    return model, sections


def train_joint(
    arguments: argparse.Namespace, model: SectionModel, packages: list[Package], labels: list[str],
    tokenizer: Tokenizer, rows: list[tuple[list[str], int]], minutes: float, state: Path,
) -> None:
    """Retrieval and sections together."""
    examples = sampling.prepare([p for p in packages if p.split == "train"], labels)
    valid = [p for p in archive.one_per_source(packages) if p.split == "valid"][::3]
    valid_rows = labelled(packages, labels, "valid")[::2]

    def report() -> str:
        found = evaluate.summary(retrieval_ranks(model, tokenizer, valid))
        return f"valid: {evaluate.shown(found)}, accuracy {evaluate.accuracy(model, tokenizer, valid_rows):.3f}"

    seed = arguments.seed
    sampler = sampling.Sampler(examples, tokenizer, arguments.batch, seed + 1)
    section_sampler = sampling.SectionSampler(rows, tokenizer, seed)
    if arguments.init:
        model.load_state_dict(torch.load(arguments.init))
        print(f"  weights to go on from: {report()}", flush=True)
        train.refine(model, sampler, section_sampler, minutes, report, state)
        return
    bags = sampling.Sampler(examples, tokenizer, BAG_BATCH, seed)
    train.train(model, bags, sampler, section_sampler, minutes, report, state)


def retrieval_ranks(model: SectionModel, tokenizer: Tokenizer, packages: list[Package]) -> Any:
    """Ranks of the packages' descriptions for their synopses."""
    return evaluate.ranks(*embed_pairs(model, tokenizer, packages))


def embed_pairs(model: SectionModel, tokenizer: Tokenizer, packages: list[Package]) -> tuple[Any, Any]:
    """Embeddings of the packages' synopses and long descriptions."""
    queries = evaluate.embed(model.bert, tokenizer, [p.synopsis for p in packages])
    return queries, evaluate.embed(model.bert, tokenizer, [p.description for p in packages])


def measure(
    model: SectionModel, sections: SectionModel, tokenizer: Tokenizer, packages: list[Package], labels: list[str]
) -> dict[str, Any]:
    """The figures of the model card, on the test split."""
    figures: dict[str, Any] = {}
    held_out = [p for p in packages if p.split == "test"]
    queries, documents = embed_pairs(model, tokenizer, held_out)
    place = {p.name: i for i, p in enumerate(held_out)}
    for name, chosen in (("one package per source", archive.one_per_source(held_out)), ("all packages", held_out)):
        rows = [place[p.name] for p in chosen]
        bm25 = baselines.bm25_ranks([p.synopsis for p in chosen], [p.description for p in chosen])
        figures[f"retrieval, {name}"] = {
            "candidates": len(chosen),
            "model": evaluate.summary(evaluate.ranks(queries[rows], documents[rows])),
            "BM25": evaluate.summary(bm25),
        }
    task = {split: labelled(packages, labels, split) for split in ("train", "valid", "test")}
    figures["sections"] = {
        "train": len(task["train"]),
        "validation": len(task["valid"]),
        "test": len(task["test"]),
        "model accuracy": evaluate.accuracy(sections, tokenizer, task["test"]),
        "hashed words, linear": baselines.linear_accuracy(
            task["train"] + task["valid"], task["test"], len(labels)
        ),
    }
    return figures


def show_queries(model: SectionModel, tokenizer: Tokenizer, sample: list[Package]) -> None:
    """Prints the five best synopses of the sample for some queries."""
    index = evaluate.embed(model.bert, tokenizer, [p.synopsis for p in sample])
    for query in QUERIES:
        scores = index @ evaluate.embed(model.bert, tokenizer, [query])[0]
        print(f"query: {query}")
        for i in scores.topk(5).indices.tolist():
            print(f"    {scores[i]:.3f}  {sample[i].name}: {sample[i].synopsis}")


def write_all(
    out: Path, model: SectionModel, sections: SectionModel, tokenizer: Tokenizer, packages: list[Package],
    labels: list[str],
) -> list[Package]:
    """Writes both model directories, the data and the reference values; returns the sample."""
    export.write_text_model(out / "text", model.bert, tokenizer.vocabulary)
    export.write_section_model(out / "text-sections", sections, labels, tokenizer.vocabulary)
    sample = export.choose_sample(packages, KNOWN)
    export.write_rows(out / "data/synopses.tsv", [(p.name, p.section, p.synopsis) for p in sample])
    test = labelled(packages, labels, "test")
    export.write_rows(out / "data/sections-test.tsv", [(labels[y], text) for text, y in test])
    texts = [*QUERIES[:4], "", "Caf\u00e9 na\u00efve \u2014 C++/Qt5 \u6f22\u5b57", *(p.synopsis for p in sample[::1500])]
    longer = [text for text, _ in test[:: max(1, len(test) // 8)]][:8]
    expected = export.expected_values(model.bert, sections, tokenizer, texts, longer)
    export.write_json(out / "expected.json", expected, 0)
    return sample


def main() -> None:
    """Fetches, trains, evaluates, writes."""
    arguments = ARGUMENTS
    if arguments.small:
        arguments.minutes, arguments.vocabulary = min(arguments.minutes, 0.4), min(arguments.vocabulary, 3000)
    torch.set_num_threads(arguments.threads)
    warn_slow_blas()
    begin = time.monotonic()
    packages = gather(arguments)
    labels = archive.section_labels(packages)
    print(f"{len(packages)} packages, {len({p.source for p in packages})} sources; sections: {' '.join(labels)}")
    vocabulary = read_vocabulary(arguments.reuse) if arguments.reuse else vocabulary_of(packages, arguments.vocabulary)
    tokenizer = Tokenizer(vocabulary)
    print(f"vocabulary of {len(tokenizer.vocabulary)} after {time.monotonic() - begin:.0f} s", flush=True)
    model, sections = train_models(arguments, packages, labels, tokenizer)
    evaluate.round_to_half(model)
    evaluate.round_to_half(sections)
    sample = write_all(arguments.out, model, sections, tokenizer, packages, labels)
    show_queries(model, tokenizer, sample)
    figures = measure(model, sections, tokenizer, packages, labels)
    path = arguments.out / "metrics.json"  # the vision model's figures stay
    known = json.loads(path.read_text()) if path.exists() else {}
    export.write_json(path, {**known, **figures})
    for name, values in figures.items():
        print(name, values)
    print(f"done after {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
