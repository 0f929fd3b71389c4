# SPDX-License-Identifier: Apache-2.0
"""Writes the C reference: a page for each section of tessera.h, and one that lists them."""
import re

import c_header
import comments
import layout


def page_name(title):
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def known_names(sections):
    """{name: entry that it leads to}, for functions, types and the values of enumerations."""
    known = {}
    for _, entries in sections:
        for entry in entries:
            known[entry.name] = entry.name
            if entry.initialiser:
                known[entry.initialiser] = entry.name
            if entry.kind == "enum":
                known.update({member.split()[0]: entry.name for member, _ in entry.members})
    return known


def entry_page(entry, known):
    out = layout.entry(entry.name)
    if entry.text:
        out += layout.code(layout.wrap(entry.text), "c")
    out += comments.to_rst(entry.comment, known)
    if entry.kind == "struct":
        out += layout.definitions(entry.members, known)
        if entry.initialiser:
            out += [f"Begin with ``{entry.name} x = {entry.initialiser};``", ""]
    if entry.kind == "enum":
        # The last value only fixes the width of the type.
        values = [pair for pair in entry.members if "0x7fffffff" not in pair[0]]
        out += layout.definitions(values, known)
    return out


def first_sentence(entry):
    paragraphs, _ = comments.split(entry.comment)
    text = paragraphs[0].split("\n")[0] if paragraphs else ""
    return re.split(r"(?<=[.;])\s", text)[0].rstrip(".;")


def write(header, folder):
    """Returns the names that guides and the C++ reference may lead to."""
    text = header.read_text(encoding="utf-8")
    sections = c_header.parse(text)
    known = known_names(sections)
    index = layout.heading("C reference", "=")
    index += [
        "``#include <tessera/tessera.h>``; link with ``pkg-config --libs tessera``, or CMake's "
        "``tessera::tessera``. Made from the header's own comments.",
        "",
    ]
    head = c_header.head_comment(text)
    rules = head.index("Rules that hold for every function")
    diagram = [line.strip() for line in head[:rules] if "▶" in line]
    index += layout.code("\n".join(diagram), "text")
    index += layout.heading("Rules that hold for every function", "-")
    index += comments.to_rst([line.removeprefix("  ") for line in head[rules + 1 :]], known)
    for title, entries in sections:
        index += layout.heading(title, "-")
        index += layout.definitions(
            [(f":api:`{entry.name}`", first_sentence(entry)) for entry in entries], known
        )
    index += (
        [".. toctree::", "   :hidden:", ""]
        + [f"   {page_name(title)}" for title, _ in sections]
        + [""]
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.rst").write_text("\n".join(index), encoding="utf-8")
    for title, entries in sections:
        page = layout.heading(title, "=")
        for entry in entries:
            page += entry_page(entry, known)
        (folder / (page_name(title) + ".rst")).write_text("\n".join(page), encoding="utf-8")
    return known
