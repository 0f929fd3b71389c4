#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts the sources of the documentation site together.

    stage.py ROOT FOLDER TOOL

FOLDER gets docs/site, the references made from tessera.h, tessera.hpp and the help of TOOL (the program
`tessera`), and below tree/ the repository's own pages, each at its path, so that their links hold. What
they link to and is no page becomes one: a source file as text, a folder as a list.
"""
import json
import re
import shutil
import sys
from pathlib import Path

import c_pages
import cli_pages
import cpp_pages

# Pages of the tree that the site has; those below docs/ are in its menu (index.md).
PAGES = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "examples/README.md",
    "kernels/README.md",
    "runtime/README.md",
    "models/README.md",
    "models/demo/README.md",
    "third_party/README.md",
    "packaging/README.md",
    "scripts/README.md",
    "bench/results/*.md",
]
IN_MENU = re.compile(r"docs/|CHANGELOG|CONTRIBUTING|examples/|third_party/")
LINK = re.compile(r"(?<=\]\()([^)#\s]+)((?:#[^)\s]*)?)(?=\))")
IMAGES = (".svg", ".png")
LANGUAGES = {
    ".c": "c",
    ".h": "c",
    ".hpp": "cpp",
    ".cpp": "cpp",
    ".py": "python",
    ".sh": "bash",
    ".json": "json",
}


class Tree:
    """Copies pages of the repository, and follows their links."""

    def __init__(self, root, folder):
        self.root, self.folder = root, folder
        self.pages = sorted({path for pattern in PAGES for path in root.glob(pattern)})
        self.waiting = []  # files and folders that a page links to
        self.done = set()

    def write(self):
        for page in self.pages:
            self.page(page)
        while self.waiting:
            self.other(self.waiting.pop())

    def put(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def page(self, path):
        name = path.relative_to(self.root)
        text = "".join(
            part if part.startswith("```") else self.links(part, path)
            for part in re.split(
                r"(^```.*?^```[^\n]*$)", path.read_text(encoding="utf-8"), flags=re.M | re.S
            )
        )
        if not re.search(r"^# ", text, re.M):
            text = f"# {name}\n\n{text}"
        matter = "" if IN_MENU.match(str(name)) else "---\norphan: true\n---\n\n"
        self.put(name, matter + text)

    def links(self, text, page):
        return LINK.sub(lambda match: self.link(match.group(1), match.group(2), page), text)

    def link(self, address, anchor, page):
        if re.match(r"[a-z]+:", address):
            return address + anchor
        target = (page.parent / address).resolve()
        if not target.is_relative_to(self.root) or not target.exists():
            raise SystemExit(
                f'{page.relative_to(self.root)}: link to "{address}", expected a file of the repository'
            )
        if target in self.pages:
            return address + anchor
        if target.is_relative_to(
            self.root / "docs" / "site"
        ):  # a page of the site, at the top of FOLDER
            up = "../" * len(page.relative_to(self.root).parts)  # tree/ is one more
            return up + str(target.relative_to(self.root / "docs" / "site")) + anchor
        self.waiting.append(target)
        if target.suffix in IMAGES or target.suffix == ".html":
            return address
        return address.rstrip("/") + (".index.md" if target.is_dir() else ".file.md")

    def other(self, path):
        if path in self.done:
            return
        self.done.add(path)
        name = path.relative_to(self.root)
        if path.suffix in IMAGES or path.suffix == ".html":
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self.folder / name)
            return
        head = f"---\norphan: true\nnosearch: true\n---\n\n# {name}\n\n"
        if path.is_dir():
            names = sorted(child.name + ("/" if child.is_dir() else "") for child in path.iterdir())
            self.put(f"{name}.index.md", head + "".join(f"- `{child}`\n" for child in names))
            return
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            self.put(
                f"{name}.file.md", "---\norphan: true\n---\n\n" + notebook_page(json.loads(text))
            )
            return
        fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 3)
        self.put(
            f"{name}.file.md", f"{head}{fence}{LANGUAGES.get(path.suffix, 'text')}\n{text}{fence}\n"
        )


def notebook_page(notebook):
    """A notebook as a page: its texts, its code, and what each cell showed."""
    blocks = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        blocks.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", [])})
            if "text/html" in data:
                html = "".join(data["text/html"]).replace("<table", '<table class="docutils"')
                blocks.append(f'```{{raw}} html\n<div class="table-wrapper">{html}</div>\n```')
            else:
                blocks.append(f"```text\n{''.join(data['text/plain'])}\n```")
    return "\n\n".join(blocks) + "\n"


def main():
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    root, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        root / "docs" / "site", folder, ignore=shutil.ignore_patterns("tools", "__pycache__")
    )
    shutil.copytree(
        root / "examples", folder / "examples", ignore=shutil.ignore_patterns("*.md", "__pycache__")
    )
    Tree(root, folder / "tree").write()
    known = c_pages.write(root / "tessera" / "tessera.h", folder / "reference" / "c")
    cpp_pages.write(root / "tessera" / "tessera.hpp", known, folder / "reference" / "cpp")
    cli_pages.write(sys.argv[3], folder / "reference" / "cli")


if __name__ == "__main__":
    main()
