# SPDX-License-Identifier: Apache-2.0
"""Reads tessera.hpp: its classes with their public members, and its functions, with their comments."""
import re
from dataclasses import dataclass, field


@dataclass
class Item:
    """kind: class, function or variable (of a class)."""

    kind: str
    name: str
    text: str  # the declaration without its body
    comment: list = field(default_factory=list)  # its lines
    items: list = field(default_factory=list)  # the public members of a class


def skip_braces(text, at):
    """The place behind the bracket that closes the one at `at`; strings and comments are no brackets."""
    depth = 0
    pattern = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|[{}]')
    for match in pattern.finditer(text, at):
        if match.group() == "{":
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if depth == 0:
                return match.end()
    raise SystemExit(f'tessera.hpp: no closing bracket for "{text[at:at + 60]}"')


def end_of_declaration(text, at):
    """The place of the first ";" or "{" that is outside of parentheses."""
    depth = 0
    while True:
        letter = text[at]
        if text.startswith("//", at):
            at = text.index("\n", at)
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter in ";{" and depth == 0:
            return at
        at += 1


def parse(text, is_public=True):
    """The items of a namespace or class body; what is private, or in namespace detail, is left out."""
    items, comment, at = [], [], 0
    while True:
        blank = re.compile(r"[ \t]*\n?").match(text, at)
        if blank.end() > at:
            if text[at : blank.end()].strip(" \t") == "\n" and text[:at].endswith("\n"):
                comment = []  # an empty line: the comment was of nothing
            at = blank.end()
            continue
        if at >= len(text):
            return items
        line = text[at : (text + "\n").index("\n", at)]
        if line.startswith("///<") and items:
            items[-1].comment.append(line[4:].strip())
            at += len(line)
        elif line.startswith("//"):
            if line.startswith("///"):
                comment.append(line[3:].removeprefix(" "))
            at += len(line)
        elif line.startswith("#"):
            while line.endswith("\\"):
                at += len(line) + 1
                line = text[at : text.index("\n", at)]
            at += len(line)
        elif re.match(r"(public|private|protected):", line):
            is_public = line.startswith("public")
            at += len(line)
        elif line.startswith(("}", ";")):
            at += 1
        else:
            item, at = read_item(text, at, comment)
            comment = []
            if item is not None and is_public:
                items.append(item)


def read_item(text, begin, comment):
    """The declaration at `begin`, or None for one that is not shown, and the place behind it."""
    end = end_of_declaration(text, begin)
    declaration = re.sub(r"\s+", " ", text[begin:end]).strip()
    has_body = text[end] == "{"
    after = skip_braces(text, end) if has_body else end + 1
    scope = re.match(
        r"(?:template <.*?> )?(class|struct) (\w+)(?: : (?:public )?[\w:]+)?$", declaration
    )
    if declaration.startswith(
        ("namespace detail", "static_assert", "static const", "template", "friend")
    ):
        return None, after
    if re.match(r"(inline )?namespace", declaration):
        inner = parse(text[end + 1 : after - 1])
        return Item("namespace", "", declaration, comment, inner), after
    if scope and has_body:
        kind, name = scope.groups()
        return (
            Item(
                "class",
                name,
                declaration,
                comment,
                parse(text[end + 1 : after - 1], kind == "struct"),
            ),
            after,
        )
    is_function = "(" in declaration and "=" not in declaration.split("(")[0]
    if not is_function:
        if has_body:  # an initialiser in braces
            after = text.index(";", after) + 1
        rest = text[after : text.index("\n", after)].strip()
        trailing = re.match(r"///?<? ?(.*)", rest)
        lines = comment + ([trailing.group(1)] if trailing else [])
        name = re.search(r"(\w+)(?: ?=.*)?$", declaration)
        return Item("variable", name.group(1), re.sub(r" =$", "", declaration), lines), after + (
            text[after:].index("\n") if trailing else 0
        )
    declaration = re.sub(r"\) : .*$", ")", declaration)  # a constructor's initialisers
    declaration = declaration.removeprefix("inline ")
    name = re.search(r"([~\w]+)\(", declaration).group(1)
    return Item("function", name, declaration, comment), after


def flat(items):
    """Items with those of the namespaces in their place."""
    for item in items:
        if item.kind == "namespace":
            yield from flat(item.items)
        else:
            yield item
