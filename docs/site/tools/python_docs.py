# SPDX-License-Identifier: Apache-2.0
"""Docstrings of the Python package as reStructuredText. They have the layout of the headers' comments
(comments.py); a row whose name is an argument's says what that is, and Example has doctests."""
import re

import comments
import tessera

ROW = re.compile(r"^([A-Za-z_][\w-]*(?:\(\))?(?:, \w+(?:\(\))?)*) {2,}(\S.*)$")
# Classes that are names and no words of a sentence.
NAMES = {name for name in tessera.__all__ if re.search(r"[a-z][A-Z]", name)} | {
    "Encoder",
    "Reranker",
    "Session",
}
WORD = re.compile(r"``[^`]+``|`[^`]+`|\"\w+_\w+\"|(?<![\w.])[A-Za-z_]\w*(?:\.\w+)*(?:\(\))?")


def say(text):
    """Plain text with its names as code; classes lead to their entry."""
    out, at = [r"\ "], 0
    for match in WORD.finditer(text):
        word = match.group()
        if word in NAMES:
            shown = rf"\ :py:obj:`~tessera.{word}`\ "
        elif word[0] in '`"' or word.endswith("()") or re.search(r"\w_\w", word):
            shown = rf"\ ``{word.strip('`')}``\ "
        else:
            continue
        out += [comments.escape(text[at : match.start()]), shown]
        at = match.end()
    return "".join(out) + comments.escape(text[at:])


def take_doctests(lines):
    """The doctests of a docstring, each a list of lines; and the other lines, without "Example"."""
    doctests, rest, inside = [], [], None
    for line in lines:
        text = re.sub(r"^Examples? {2,}(?=>>>)", "", line).strip()
        if text.startswith(">>>") and inside is None:
            inside = []
            doctests.append(inside)
        if inside is not None and text:
            inside.append(line[4:] if line.startswith("    ") else text)
        elif not re.fullmatch(r"Examples?:?", text):
            inside = None
            rest.append(line)
    return doctests, rest


def to_rst(lines):
    doctests, rest = take_doctests(lines)
    paragraphs, rows = comments.split(rest, ROW)
    out = comments.paragraphs_to_rst(paragraphs, say, "python")
    arguments = [row for row in rows if not row[0][0].isupper()]
    if arguments:
        out += [".. rst-class:: members", ""]
        for name, text in arguments:
            out += [f"``{name}``", "   " + say(text), ""]
    out += comments.parts_to_rst([row for row in rows if row[0][0].isupper()], say)
    for doctest in doctests:
        out += comments.preformatted("\n".join(doctest), "pycon")
    return out
