#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the cells of a notebook, without Jupyter, and compares what they show with what is stored.

    run_notebook.py FILE.ipynb             a line for each cell, "right" or "wrong"
    run_notebook.py --write FILE.ipynb     stores what they show

A cell shows what it prints, and its last expression, as text and, where that has _repr_html_(), as HTML.
Of a cell with the tag "varies" (times of this machine) it is compared only whether there is HTML.
"""
import ast
import contextlib
import io
import json
import sys
from pathlib import Path


def run(source, names):
    """What a cell shows: {"printed": str, "text": str, "html": str or None}."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, html, text = io.StringIO(), None, ""
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)  # pylint: disable=exec-used
        if last is not None:
            value = eval(
                compile(ast.Expression(last.value), "cell", "eval"), names
            )  # pylint: disable=eval-used
            if value is not None:
                text = repr(value)
                html = value._repr_html_() if hasattr(value, "_repr_html_") else None
    return {"printed": printed.getvalue(), "text": text, "html": html}


def stored(cell):
    shown = {"printed": "", "text": "", "html": None}
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            shown["printed"] += "".join(output["text"])
        else:
            shown["text"] += "".join(output["data"].get("text/plain", []))
            shown["html"] = output["data"].get("text/html")
    return shown


def outputs_of(shown):
    outputs = []
    if shown["printed"]:
        lines = shown["printed"].splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if shown["text"]:
        data = {"text/plain": shown["text"].splitlines(keepends=True)}
        if shown["html"] is not None:
            data["text/html"] = shown["html"].splitlines(keepends=True)
        outputs.append(
            {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data}
        )
    return outputs


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    if len(arguments) != 1:
        raise SystemExit(__doc__)
    path = Path(arguments[0])
    notebook = json.loads(path.read_text(encoding="utf-8"))
    names, wrong = {"__name__": "__main__"}, 0
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        source = "".join(cell["source"])
        shown = run(source, names)
        if "--write" in sys.argv:
            cell["outputs"] = outputs_of(shown)
            continue
        expected = stored(cell)
        varies = "varies" in cell["metadata"].get("tags", [])
        same = (shown["html"] is None) == (expected["html"] is None) and (
            varies or all(shown[key] == expected[key] for key in ("printed", "text"))
        )
        print(
            f"{'right' if same else 'wrong'}  {path.name} cell {number}: {source.splitlines()[0]}"
        )
        if not same:
            wrong += 1
            print(f"       shown:  {shown['printed'] + shown['text']!r}")
            print(f"       stored: {expected['printed'] + expected['text']!r}")
    if "--write" in sys.argv:
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
