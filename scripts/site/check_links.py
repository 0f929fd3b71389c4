#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Follows every link of a static site, and looks that no page loads anything from elsewhere.

    check_links.py FOLDER

A link to a page must find the file, one with #id an element of that id; scripts, styles and images must
be files of the site. Links to other sites are counted, not followed.
"""
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    ("script", "src"),
    ("img", "src"),
    ("iframe", "src"),
    ("source", "src"),
    ("object", "data"),
}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.ids.add(value)
            elif (tag, name) in LOADED or (tag == "link" and name == "href"):
                self.loads.append(value)
            elif tag == "a" and name == "href":
                self.links.append(value)


def main():
    folder = Path(sys.argv[1]).resolve()
    pages = {
        path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))
    }
    problems, links, others = [], 0, set()
    for path, page in pages.items():
        where = path.relative_to(folder)
        for address in page.links + page.loads:
            parts = urlsplit(address)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                others.add(address)
                if address in page.loads:
                    problems.append(f'{where}: loads "{address}", expected a file of the site')
                continue
            links += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                problems.append(f'{where}: link to "{address}", expected a file of the site')
            elif (
                parts.fragment
                and target in pages
                and unquote(parts.fragment) not in pages[target].ids
            ):
                problems.append(f'{where}: link to "{address}", expected an element of that id')
    for problem in problems:
        print(problem)
    print(
        f"{len(pages)} pages, {links} links inside, {len(others)} addresses outside, {len(problems)} problems."
    )
    return 1 if problems or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
