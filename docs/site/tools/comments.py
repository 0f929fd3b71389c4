# SPDX-License-Identifier: Apache-2.0
"""The layout that comments of the headers have, as reStructuredText; python_docs.py has docstrings.

    A first sentence, and more of them.

    A further paragraph.
    Shapes    scores (queries, k): a label, two blanks or more, its text;
              lines that go on are indented
    Errors    INVALID_ARGUMENT
"""
import re

LABEL = re.compile(r"^([A-Z][A-Za-z0-9]*(?:, [A-Z0-9]+)*) {2,}(\S.*)$")
STATUSES = (
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "CORRUPT_FILE",
    "UNSUPPORTED_MODEL",
    "OUT_OF_MEMORY",
    "IO_ERROR",
    "CANCELLED",
    "INTERNAL",
)
WORD = re.compile(
    r"`([^`]+)`|(\"\w+_\w+\")|(?<![\w.])([A-Za-z]\w*(?:(?:::|[./])\w+)*(?:\(\))?)(?!\w)"
)
# Words that are code: names with underscores, calls, names of files.
CODE = re.compile(
    r"[a-z0-9]_[a-z0-9]|^[A-Z0-9]+_[A-Z0-9_]+$|\(\)$|"
    r"\w\.(?:json|jsonl|txt|bin|npy|npz|safetensors|hpp?|md|so|pt)$"
)


def split(lines, label_of=LABEL):
    """A comment's paragraphs, each a string, and its labelled parts, pairs of strings.

    Lines that are indented below a paragraph keep their breaks ("\\n" in the string).
    """
    paragraphs, parts, current = [], [], None
    for line in lines:
        label = label_of.match(line)
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
        quoted, text_word, word = match.groups()
        quoted = quoted or text_word
        name = (quoted or word).removesuffix("()")
        target = known.get(name) or (known.get("TESSERA_" + name) if name in STATUSES else None)
        if not (quoted or target or CODE.search(word)):
            continue
        out.append(escape(text[at : match.start()]))
        shown = quoted or word
        # "\ " ends the markup where a letter or a bracket follows.
        out.append(rf"\ :api:`{shown} <{target}>`\ " if target else rf"\ ``{shown}``\ ")
        at = match.end()
    out.append(escape(text[at:]))
    return "".join(out)


def preformatted(text, language):
    return [f".. code-block:: {language}", ""] + ["   " + line for line in text.split("\n")] + [""]


def paragraphs_to_rst(paragraphs, say, language):
    """Each paragraph by `say`; lines that are indented stay as they are."""
    out = []
    for paragraph in paragraphs:
        head, _, rest = paragraph.partition("\n")
        if head.startswith("  "):
            out += preformatted(paragraph, language)
            continue
        out += [say(head), ""]
        if rest:
            out += preformatted(rest, language)
    return out


def parts_to_rst(parts, say):
    if not parts:
        return []
    return [".. rst-class:: parts", ""] + [f":{label}: {say(text)}" for label, text in parts] + [""]


def to_rst(lines, known):
    """Lines of reStructuredText for a comment (`lines` without their marks)."""
    paragraphs, parts = split(lines)

    def say(text):
        return inline(text, known)

    return paragraphs_to_rst(paragraphs, say, "cpp") + parts_to_rst(parts, say)
