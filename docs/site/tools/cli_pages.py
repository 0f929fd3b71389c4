# SPDX-License-Identifier: Apache-2.0
"""Writes the reference of the command line from what `tessera COMMAND --help` prints."""
import re
import subprocess

import comments
import layout


def help_of(tool, *command):
    return subprocess.run(
        [tool, *command, "--help"], check=True, capture_output=True, text=True
    ).stdout


def read_terms(lines):
    """Pairs (option, text) of a block of CLI11: the option from column 2 on, the text from column 30."""
    found = []
    for line in lines:
        name, text = line[:30].strip(), line[30:].strip()
        if (
            len(line) > 30 and line[2] != " " and line[29] != " "
        ):  # the option is longer than its column
            name, text = line.strip(), ""
        if name:
            found.append([name, text])
        elif found:
            found[-1][1] = (found[-1][1] + " " + text).strip()
    return [tidy(name, text) for name, text in found]


def tidy(name, text):
    """What CLI11 says in the option's column, said behind its text."""
    name, _, excluded = name.partition(" Excludes: ")
    name, _, needed = name.partition(" Needs: ")
    if needed:
        text += f". Only with {', '.join(needed.split())}"
    if excluded:
        text += f". Not with {', '.join(excluded.split())}"
    if name.endswith(" REQUIRED"):
        name, text = name.removesuffix(" REQUIRED"), text + " (required)"
    return name, text


def blocks_of(text):
    """Splits at empty lines, and before "Examples:"."""
    block = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("Examples"):
            if block:
                yield block
            block = [line] if line.strip() else []
        else:
            block.append(line)
    if block:
        yield block


def render(text):
    """The body of a page; the first line of `text`, the title's, is left out."""
    out = []
    for number, block in enumerate(blocks_of(text)):
        if number == 0:
            out += [comments.escape(block[0]), ""]
            out += layout.code(re.sub(r"^Usage: *", "", block[1]), "text")
        elif block[0] in ("Positionals:", "Options:", "Subcommands:"):
            out += layout.heading({"Positionals:": "Arguments"}.get(block[0], block[0][:-1]), "-")
            terms = read_terms(block[1:])
            if block[0] == "Subcommands:":
                terms = [(f":doc:`{term} <{term}>`", t) for term, t in terms]
            out += layout.definitions(terms, {})
        elif block[0].startswith("Examples"):
            out += layout.heading("Examples", "-") + layout.code(
                "\n".join(l.strip() for l in block[1:]), "sh"
            )
        else:
            out += prose(block)
    return out


def prose(block):
    """Sentences, and a list where indented lines follow a colon."""
    out, paragraph, is_list = [], [], False
    for line in block:
        if line.startswith("  ") and (is_list or (paragraph and paragraph[-1].endswith(":"))):
            if not is_list:
                out += [comments.inline(" ".join(paragraph), {}), ""]
            paragraph, is_list = [], True
            out.append(f"* {comments.inline(line.strip(), {})}")
        else:
            if is_list:
                out.append("")
            paragraph.append(line.strip())
            is_list = False
    return out + ["", comments.inline(" ".join(paragraph), {}), ""]


def write(tool, folder):
    folder.mkdir(parents=True, exist_ok=True)
    top = help_of(tool)
    commands = re.findall(
        r"^  (\w+) {3,}", top[top.index("Subcommands:") : top.index("`tessera help")], re.M
    )
    index = layout.heading("Command line", "=") + render(top)
    index += [".. toctree::", "   :hidden:", ""] + [f"   {name}" for name in commands] + [""]
    (folder / "index.rst").write_text("\n".join(index), encoding="utf-8")
    for name in commands:
        page = layout.heading(f"tessera {name}", "=") + render(help_of(tool, name))
        (folder / f"{name}.rst").write_text("\n".join(page), encoding="utf-8")
