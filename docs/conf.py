"""Sphinx configuration: ``sphinx-build -n -W docs OUT`` has to pass, without network."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util.nodes import make_refnode

sys.path.insert(0, str(Path(__file__).parents[1]))

import pglogical_cdc

if TYPE_CHECKING:
    from docutils import nodes  # type: ignore[import-untyped]
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.domains.python import PythonDomain
    from sphinx.environment import BuildEnvironment

project = "pglogical_cdc"
copyright = "The pglogical_cdc developers"
version = release = pglogical_cdc.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
default_role = "py:obj"
add_module_names = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
doctest_global_setup = """
from pglogical_cdc import *
from pglogical_cdc.protocol import *
"""
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
myst_heading_anchors = 3
nitpick_ignore_regex = [("py:class", r".*\.T(_co|_contra)?")]  # type variables
suppress_warnings = ["ref.python"]  # a class stands at the top level and in its room


def _bring_home() -> None:
    """Give each class its own module back, where autodoc looks for the text below its attributes.

    The package shows its public classes as those of its top level.
    """
    for info in pkgutil.walk_packages(pglogical_cdc.__path__, "pglogical_cdc."):
        if info.name.endswith(".__main__"):
            continue
        module = importlib.import_module(info.name)
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef):
                getattr(module, node.name).__module__ = info.name


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.reference | nodes.TextElement | None:
    """Find what a reference means whose module is not in it.

    Names of other packages and of parameters stay as they are; ours that do not exist, warn.
    """
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    domain: PythonDomain = env.domains.python_domain
    if "." in target or not target.islower():
        found = [name for name in domain.objects if f".{name}".endswith(f".{target}")]
        if found:
            entry = domain.objects[min(found, key=len)]
            return make_refnode(
                app.builder, node["refdoc"], entry.docname, entry.node_id, contnode, target
            )
    private = target.rpartition(".")[2].startswith("_")
    return contnode if private or not target.startswith("pglogical_cdc.") else None


def setup(app: Sphinx) -> None:
    _bring_home()
    app.connect("missing-reference", _resolve)
