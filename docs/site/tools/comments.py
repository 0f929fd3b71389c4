# SPDX-License-Identifier: Apache-2.0
"""The layout that comments of the headers and docstrings of the Python package have, as reStructuredText.

    A first sentence, and more of them.

    A further paragraph.
    Shapes    scores (queries, k): a label, two blanks or more, its text;
              lines that go on are indented
    Errors    INVALID_ARGUMENT
"""
import re

LABEL = re.compile(r"^([A-Z][A-Za-z0-9]*(?:, [A-Z0-9]+)*) {2,}(\S.*)$")
STATUSES = ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "CORRUPT_FILE", "UNSUPPORTED_MODEL", "OUT_OF_MEMORY",
            "IO_ERROR", "CANCELLED", "INTERNAL")
WORD = re.compile(r"`([^`]+)`|(?<![\w.])([A-Za-z]\w*(?:(?:::|[./])\w+)*(?:\(\))?)(?!\w)")
# Words that are code: names with underscores, calls, names of files.
CODE = re.compile(r"[a-z0-9]_[a-z0-9]|^[A-Z0-9]+_[A-Z0-9_]+$|\(\)$|\w\.(?:json|jsonl|txt|bin|npy|npz|safetensors|hpp?|md|so|pt)$")


def split(lines):
    """A comment's paragraphs, each a string, and its labelled parts, pairs of strings.

    Lines that are indented below a paragraph keep their breaks ("\\n" in the string).
    """
    paragraphs, parts, current = [], [], None
    for line in lines:
        label = LABEL.match(line)
        if not line.strip():
            current = None
        elif label:
            parts.append([label.group(1), label.group(2)])
            current = parts[-1]
        elif line.startswith("  ") and isinstance(current, list):
            current[1] += " " + line.strip()
        elif isinstance(current, int) and not line.startswith("  "):
            paragraphs[current] += " " + line.strip()
        elif line.startswith("  ") and isinstance(current, int):
            paragraphs[current] += "\n" + line.rstrip()
        else:
            paragraphs.append(line.rstrip() if line.startswith("  ") else line.strip())
            current = len(paragraphs) - 1
    return paragraphs, [tuple(part) for part in parts]


def escape(text):
    """Plain text: what reStructuredText would read as markup is none."""
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def inline(text, known):
    """Text with its names as code: those in `known` ({name: target}) lead to their entry."""
    # "\ " at the beginning: "(S) written" would be the item S of a list.
    out, at = ["\\ "], 0
    for match in WORD.finditer(text):
        quoted, word = match.groups()
        name = (quoted or word).removesuffix("()")
        target = known.get(name) or (known.get("TESSERA_" + name) if name in STATUSES else None)
        if not (quoted or target or CODE.search(word)):
            continue
        out.append(escape(text[at:match.start()]))
        shown = quoted or word
        # "\ " ends the markup where a letter or a bracket follows.
        out.append(rf"\ :api:`{shown} <{target}>`\ " if target else rf"\ ``{shown}``\ ")
        at = match.end()
    out.append(escape(text[at:]))
    return "".join(out)


def python_inline(text):
    """Text of a docstring: `name` is code, the rest is plain."""
    pieces = re.split(r"(``[^`]+``|`[^`]+`)", text)
    return r"\ " + "".join(rf"\ ``{piece.strip('`')}``\ " if piece.startswith("`") else escape(piece) for piece in pieces)


def preformatted(paragraph):
    """Whether a paragraph is a drawing, code or a doctest, whose lines stay as they are."""
    return paragraph.startswith((">>>", "  "))


def to_rst(lines, known, is_python=False):
    """Lines of reStructuredText for a comment (`lines` without their marks)."""
    say = python_inline if is_python else lambda text: inline(text, known)
    if is_python:
        doctests, lines = take_doctests(lines)
    else:
        doctests = []
    paragraphs, parts = split(lines)
    out = []
    for paragraph in paragraphs:
        head, _, rest = paragraph.partition("\n")
        if preformatted(head):
            out += [".. code-block:: text", ""] + ["   " + line for line in paragraph.split("\n")] + [""]
            continue
        out += [say(head), ""]
        if rest:
            out += [".. code-block:: text", ""] + ["   " + line for line in rest.split("\n")] + [""]
    if parts:
        out += [".. rst-class:: parts", ""]
        for label, text in parts:
            out += [f":{label}: {say(text)}"]
        out += [""]
    for doctest in doctests:
        out += [".. code-block:: pycon", ""] + ["   " + line for line in doctest] + [""]
    return out


def take_doctests(lines):
    """The doctests of a docstring, each a list of lines, and the lines without them and "Example"."""
    doctests, rest, inside = [], [], None
    for line in lines:
        text = re.sub(r"^Examples? {2,}(?=>>>)", "", line).strip()
        if text.startswith(">>>"):
            if inside is None:
                inside = []
                doctests.append(inside)
            inside.append(text)
        elif inside is not None and text:
            inside.append(text)
        elif re.fullmatch(r"Examples?:?", text):
            continue
        else:
            inside = None
            rest.append(line)
    return doctests, rest
