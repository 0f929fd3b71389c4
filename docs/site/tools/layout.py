# SPDX-License-Identifier: Apache-2.0
"""Pieces of reStructuredText that the pages of the references are made of."""
import comments

WIDE = 72  # columns of a declaration that stays on one line


def heading(text, line):
    return [text, line * max(len(text), 3), ""]


def code(text, language):
    return [f".. code-block:: {language}", ""] + ["   " + line for line in text.split("\n")] + [""]


def entry(name):
    """The heading of a declaration, which {api}`name` leads to."""
    return [f".. api:: {name}", "", ".. rst-class:: api", ""] + heading(name, "-")


def wrap(declaration):
    """A declaration on one line; a longer one with a line for each parameter."""
    if len(declaration) <= WIDE:
        return declaration
    # The parameters are those of the last bracket that is open at the outermost level.
    begin = parameters_at(declaration)
    if begin is None:
        return declaration
    depth, pieces, at, end = 0, [], begin, len(declaration)
    for i in range(begin, len(declaration)):
        letter = declaration[i]
        if letter in "([{<":
            depth += 1
        elif letter in ")]}>" and depth > 0:
            depth -= 1
        elif letter == ")":
            end = i
            break
        elif letter == "," and depth == 0:
            pieces.append(declaration[at : i + 1].strip())
            at = i + 1
    pieces.append(declaration[at:end].strip())
    return (
        "\n".join([declaration[:begin]] + ["    " + piece for piece in pieces]) + declaration[end:]
    )


def parameters_at(declaration):
    """Where the parameters begin: behind the bracket that the declaration's last bracket closes."""
    stack, opened = [], None
    for i, letter in enumerate(declaration):
        if letter == "(":
            stack.append(i)
        elif letter == ")":
            begin = stack.pop()
            if not stack:
                opened = begin
    return None if opened is None else opened + 1


def definitions(pairs, known):
    """A list of terms (code, or a role such as :api:`x`) with their texts."""
    out = [".. rst-class:: members", ""]
    for term, text in pairs:
        out += [
            term if term.startswith(":") else f"``{term}``",
            "   " + (comments.inline(text, known)),
            "",
        ]
    return out
