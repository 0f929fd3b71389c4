# SPDX-License-Identifier: Apache-2.0
"""Reads tessera.h: its sections, and each declaration with its comment."""
import re
from dataclasses import dataclass, field

SECTION = re.compile(r"^// ---- (.*?) -+$")


@dataclass
class Entry:
    """A declaration. kind: function, struct, enum, callback or handle."""

    kind: str
    name: str
    text: str  # the declaration, without TESSERA_API
    comment: list = field(default_factory=list)  # its lines, without "///"
    members: list = field(default_factory=list)  # pairs (declaration, comment) of a struct or enum
    initialiser: str = ""  # TESSERA_..._INIT


def head_comment(text):
    """The lines of the comment at the top, without the licence and "//"."""
    lines = []
    for line in text.splitlines()[1:]:
        if not line.startswith("//"):
            break
        lines.append(line[2:].removeprefix(" "))
    return lines


def members_of(body, end):
    """Pairs (declaration, comment) of what is between the braces; `end` is what a declaration ends with."""
    found, code, before = [], "", []
    for line in body.splitlines():
        line = line.strip()
        if line.startswith("///<"):  # goes on with the comment of the one before
            found[-1][1] += " " + line[4:].strip()
            continue
        if line.startswith("///"):
            before.append(line[3:].strip())
            continue
        declaration, _, comment = line.partition("///<")
        code = (code + " " + declaration.strip()).strip()
        if code.endswith(end) or (comment and code):
            found.append([code.rstrip(end), " ".join(before + [comment.strip()]).strip()])
            code, before = "", []
        elif comment:
            found[-1][1] += " " + comment.strip()
    if code:
        found.append([code, ""])
    return [tuple(pair) for pair in found]


def parse(text):
    """[(section title, [Entry])] of the header, in its order."""
    sections, comment, lines = [], [], iter(text.splitlines())
    for line in lines:
        section = SECTION.match(line)
        if section:
            sections.append((section.group(1), []))
            comment = []
        elif line.startswith("///"):
            comment.append(line[3:].removeprefix(" "))
        elif line.startswith("#define TESSERA_") and line.split()[1].endswith("_INIT"):
            entries = [e for e in sections[-1][1] if e.kind == "struct"]
            entries[-1].initialiser = line.split()[1]
            while line.endswith("\\"):
                line = next(lines)
        elif line.startswith(("TESSERA_API", "typedef")) and sections:
            declaration = line
            while not is_complete(declaration):
                declaration += "\n" + next(lines)
            sections[-1][1].append(entry_of(declaration, comment))
            comment = []
        elif not line.strip():
            comment = []
    return sections


def is_complete(declaration):
    code = re.sub(r"///.*", "", declaration).rstrip()
    return code.endswith(";") and code.count("{") == code.count("}")


def entry_of(declaration, comment):
    block = re.match(r"typedef (enum|struct) (\w+) \{\n(.*)\n\} \w+;$", declaration, re.S)
    if block:
        kind, name, body = block.groups()
        return Entry(kind, name, "", comment, members_of(body, "," if kind == "enum" else ";"))
    plain = re.sub(r"\s+", " ", declaration.removeprefix("TESSERA_API ")).replace("( ", "(")
    handle = re.match(r"typedef struct (\w+) \w+;$", plain)
    if handle:
        return Entry("handle", handle.group(1), plain, comment)
    callback = re.match(r"typedef .*?\(\*(\w+)\)\(", plain)
    if callback:
        return Entry("callback", callback.group(1), plain, comment)
    function = re.search(r"(\w+)\(", plain)
    if function:
        return Entry("function", function.group(1), plain, comment)
    raise SystemExit(
        f'tessera.h: cannot read "{declaration}", expected a function, struct, enum or callback'
    )
