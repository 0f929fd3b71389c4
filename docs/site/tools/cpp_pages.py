# SPDX-License-Identifier: Apache-2.0
"""Writes the C++ reference, a page, from tessera.hpp."""
import c_header
import comments
import cpp_header
import layout


def function_groups(items):
    """Pairs (comment, declarations): overloads without a comment of their own belong to the one before."""
    groups, last = [], None
    for item in items:
        if item.kind != "function":
            continue
        if last is None or item.comment or (last.name != item.name and groups[-1][0]):
            groups.append((item.comment, []))
        groups[-1][1].append(item.text)
        last = item
    return groups


def class_head(item, known):
    """The class with its fields: in its declaration if none has a comment, else with what they mean."""
    fields = [field for field in item.items if field.kind == "variable"]
    said = comments.to_rst(item.comment, known)
    if any(field.comment for field in fields):
        pairs = [(field.text, " ".join(field.comment)) for field in fields]
        return layout.code(item.text, "cpp") + said + layout.definitions(pairs, known)
    if fields:
        body = "\n".join(f"  {field.text};" for field in fields)
        return layout.code(f"{item.text} {{\n{body}\n}}", "cpp") + said
    return layout.code(item.text, "cpp") + said


def functions(items, known):
    out = []
    for comment, declarations in function_groups(items):
        out += layout.code("\n".join(layout.wrap(text) for text in declarations), "cpp")
        if comment:
            out += [".. container:: said", ""]
            out += ["   " + line if line else "" for line in comments.to_rst(comment, known)]
    return out


def write(header, known, folder):
    text = header.read_text(encoding="utf-8")
    items = list(cpp_header.flat(cpp_header.parse(text)))
    known = dict(known)
    for item in items:
        known["tessera::" + item.name] = "tessera::" + item.name
    page = layout.heading("C++ reference", "=")
    page += ["``#include <tessera/tessera.hpp>``, C++20. Made from the header's own comments.", ""]
    page += comments.to_rst(c_header.head_comment(text), known)
    for name in dict.fromkeys(item.name for item in items):
        page += layout.entry("tessera::" + name)
        same = [item for item in items if item.name == name]  # overloads stand together
        for item in same:
            if item.kind == "class":
                page += class_head(item, known) + functions(item.items, known)
        page += functions(same, known)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.rst").write_text("\n".join(page), encoding="utf-8")
    return known
