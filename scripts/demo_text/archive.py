"""Debian's package descriptions: fetching the lists, parsing them, splitting them.

The lists come from the apt sources this machine already has.  Container images
often switch the translated descriptions off, so they are fetched into a private
apt state directory with Acquire::Languages set; the system's own lists are not
touched.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

# How many sections the classifier knows: the most frequent ones, counting one
# package of each source package.
NUM_SECTIONS = 16
# Sections that say nothing about what a package is for.
SKIPPED_SECTIONS = {"oldlibs", "metapackages", "debug", "tasks", "localization"}
# Facets of debtags that describe a purpose; their words serve as extra training queries.
TAG_FACETS = set(
    "use works-with works-with-format game sound web network field science biology hardware protocol "
    "mail admin security office junior accessibility culture filetransfer devel".split()
)
# Parts per thousand of the source packages in the test and validation splits.
TEST_PERMILLE = 105
VALID_PERMILLE = 20
# The classifier (and its baseline) see at most this many characters.
SECTION_TEXT_CHARS = 400


@dataclass(frozen=True)
class Package:
    """One binary package."""

    name: str
    source: str
    section: str
    synopsis: str
    description: str  # the long description, paragraphs separated by newlines
    tags: tuple[str, ...]  # words of its debtags, one string per tag
    split: str  # "train", "valid" or "test", decided by the source package

    @property
    def text(self) -> str:
        """What the section classifier reads; never the package's name."""
        return section_text(self.synopsis, self.description)


def section_text(synopsis: str, description: str, limit: int = SECTION_TEXT_CHARS) -> str:
    """Synopsis and long description on one line, cut at a word boundary."""
    text = " ".join(f"{synopsis}. {description}".split())
    if len(text) <= limit:
        return text
    return text[: text.rfind(" ", 0, limit + 1)]


def split_of(source: str) -> str:
    """The split a source package belongs to: a fixed hash of its name."""
    digest = hashlib.sha256(b"tessera demo text\n" + source.encode()).digest()
    bucket = int.from_bytes(digest[:8], "big") % 1000
    if bucket < TEST_PERMILLE:
        return "test"
    return "valid" if bucket < TEST_PERMILLE + VALID_PERMILLE else "train"


def _apt_options(state: Path) -> list[str]:
    for sub in ("lists/partial", "cache/archives/partial"):
        (state / sub).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::Cache": state / "cache",
        "Acquire::Languages": "en",
    }
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def _release_codename() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=", 1)[1].strip('"')
    raise RuntimeError("no VERSION_CODENAME in /etc/os-release")


def fetch_lists(state: Path) -> tuple[str, str]:
    """The text of the main component's Packages and Translation-en lists."""
    options = _apt_options(state)
    subprocess.run(["apt-get", "update", "-q", *options], check=True, stdout=subprocess.DEVNULL)
    found: dict[str, str] = {}
    fmt = "$(IDENTIFIER)|$(CODENAME)|$(COMPONENT)|$(FILENAME)"
    targets = subprocess.run(
        ["apt-get", "indextargets", *options, "--format", fmt],
        check=True, capture_output=True, text=True,
    ).stdout
    for line in targets.splitlines():
        kind, codename, component, path = line.split("|", 3)
        if codename == _release_codename() and component == "main":
            found[kind] = subprocess.run(
                ["/usr/lib/apt/apt-helper", "cat-file", path], check=True, capture_output=True
            ).stdout.decode("utf-8")
    return found["Packages"], found["Translations"]


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """The fields of each paragraph of a Debian control file."""
    for block in text.split("\n\n"):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line[:1] in (" ", "\t"):
                fields[key] += "\n" + line
            elif ":" in line:
                key, value = line.split(":", 1)
                fields[key] = value.strip()
        if fields:
            yield fields


def clean_description(field: str) -> tuple[str, str]:
    """(synopsis, long description) of a Description-en field."""
    synopsis, _, rest = field.partition("\n")
    lines = ["\n" if line.strip() == "." else line.strip() for line in rest.splitlines()]
    paragraphs = " ".join(lines).split("\n")
    return " ".join(synopsis.split()), "\n".join(" ".join(p.split()) for p in paragraphs if p.strip())


def tag_words(field: str) -> tuple[str, ...]:
    """Debtags that tell what a package is for, as words: "use::editing" gives "editing"."""
    tags = [tag.strip() for tag in field.split(",")]
    pairs = [tag.split("::", 1) for tag in tags if "::" in tag]
    return tuple(re.sub(r"[-:+]+", " ", v) for facet, v in pairs if facet in TAG_FACETS and v != "TODO")


def parse_packages(packages: str, translations: str) -> list[Package]:
    """All usable packages, sorted by name."""
    descriptions = {s["Description-md5"]: s["Description-en"] for s in stanzas(translations)}
    result: dict[str, Package] = {}
    for fields in stanzas(packages):
        name = fields["Package"]
        synopsis, text = clean_description(descriptions.get(fields.get("Description-md5", ""), ""))
        section = fields.get("Section", "").split("/")[-1]
        empty = re.search(r"transitional|dummy package|empty package", synopsis + " " + text, re.I)
        if name.endswith(("-dbg", "-dbgsym")) or section in SKIPPED_SECTIONS or empty:
            continue
        if len(synopsis) < 8 or len(text) < 40:
            continue
        source = fields.get("Source", name).split(" ")[0]
        tags = tag_words(fields.get("Tag", ""))
        result[name] = Package(name, source, section, synopsis, text, tags, split_of(source))
    return sorted(result.values(), key=lambda p: p.name)


def one_per_source(packages: list[Package]) -> list[Package]:
    """One package of each source: the one named like it, else the shortest name."""
    best: dict[str, Package] = {}
    for package in packages:
        rank = (package.name != package.source, len(package.name), package.name)
        old = best.get(package.source)
        if old is None or rank < (old.name != old.source, len(old.name), old.name):
            best[package.source] = package
    return sorted(best.values(), key=lambda p: p.name)


def section_labels(packages: list[Package]) -> list[str]:
    """The sixteen most frequent sections, alphabetically."""
    counts = Counter(p.section for p in one_per_source(packages))
    return sorted(name for name, _ in counts.most_common(NUM_SECTIONS))


def gather(lists: Path | None) -> list[Package]:
    """All usable packages of the release this machine runs; apt's state stays in `lists` if given."""
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)  # apt downloads as its own user
        return parse_packages(*fetch_lists((lists or Path(scratch)).resolve()))


def labelled(packages: list[Package], labels: list[str], split: str) -> list[tuple[str, int]]:
    """(text, label) of the section task: one package of each source, sixteen sections."""
    index = {name: i for i, name in enumerate(labels)}
    single = [p for p in one_per_source(packages) if p.section in index]
    return [(p.text, index[p.section]) for p in single if p.split == split]
