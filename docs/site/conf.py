# SPDX-License-Identifier: Apache-2.0
"""Configuration of the documentation site; scripts/build_site.sh puts the sources together and runs it."""
import os
import re
import sys
import types
from pathlib import Path

from docutils import nodes

ROOT = Path(os.environ["TESSERA_ROOT"])
sys.path[:0] = [str(ROOT / "tessera" / "python"), str(ROOT / "docs" / "site" / "tools")]

import python_docs  # noqa: E402  (docs/site/tools)

project = "Tessera"
author = "The Tessera authors"
copyright = author  # pylint: disable=redefined-builtin
version = release = re.search(
    r"project\(.*?VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(), re.S
).group(1)

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
root_doc = "index"
nitpicky = (
    True  # {api}`name` without an entry is an error; types of other packages are not looked for
)
nitpick_ignore_regex = [("py:.*", ".*")]
suppress_warnings = ["myst.header"]  # tables that benches write begin below a title

smartquotes = False  # --option stays what it is

html_theme = "furo"
html_title = "Tessera"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": False}
html_last_updated_fmt = None  # the same sources give the same pages

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
add_module_names = False


def labelled_docstring(app, what, name, obj, options, lines):
    del app, what, name, obj, options
    lines[:] = python_docs.to_rst(lines)


def stand_in_for_haystack():
    """What tessera.adapters.haystack imports, so that its docstrings can be read: decorators that do nothing."""

    def component(cls):
        return cls

    component.output_types = lambda **_: lambda method: method
    module = types.ModuleType("haystack")
    module.component, module.Document = component, type("Document", (), {})
    sys.modules["haystack"] = module


def public_signature(app, what, name, obj, options, signature, returns):
    """Arguments that begin with _ are the package's own."""
    del app, what, name, obj, options
    return (
        (re.sub(r", _\w+(: [^=,]+)?( = [^,)]+)?(?=[,)])", "", signature), returns)
        if signature
        else None
    )


def repair_theme(app, error):
    """What Debian's build of Furo lost: one script of its two halves, and dark colours where the system is dark."""
    if error is not None:
        return
    static = Path(app.outdir) / "_static"
    first, second = static / "scripts" / "gumshoe-patched.js", static / "scripts" / "furo.js"
    line = 'import Gumshoe from "./gumshoe-patched.js";'
    if first.exists() and line in second.read_text():  # a script that is no module cannot import
        second.write_text(first.read_text() + second.read_text().replace(line, ""))
        first.unlink()
    sheet = static / "styles" / "furo.css"
    text = sheet.read_text()
    dark = re.search(r'body\[data-theme="dark"\] \{(.*?)\}', text, re.S)
    if dark and "prefers-color-scheme" not in text:
        rule = f'@media (prefers-color-scheme: dark) {{ body:not([data-theme="light"]) {{{dark.group(1)}}} }}'
        sheet.write_text(f"{text}\n@media not print {{ {rule} }}\n")


def setup(app):
    stand_in_for_haystack()
    # A name of the C or C++ interface: {api}`tessera_encode_texts` in a guide leads to its entry.
    app.add_crossref_type("api", "api", ref_nodeclass=nodes.literal, objname="declaration")
    app.connect("autodoc-process-docstring", labelled_docstring)
    app.connect("autodoc-process-signature", public_signature)
    app.connect("build-finished", repair_theme)
