"""Lays the page: templates filled, style and script put in, and a policy that lets nothing else run or load."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from xencbt.reports.html.blocks import in_words
from xencbt.reports.html.packing import Packed, packed
from xencbt.reports.html.view import all_cases, in_order, view
from xencbt.reports.plain import visible
from xencbt.reports.run_json import Run
from xencbt.reports.words import duration

SYMBOLS = {
    "error": "!",
    "fail": "✗",
    "stale": "↻",
    "blocked": "■",
    "not exercised": "◌",
    "known": "≈",
    "unsupported": "∅",
    "not run": "·",
    "pass": "✓",
}
"""What tells verdicts apart where colours do not."""

OVERALL = {0: "pass", 1: "fail", 2: "blocked"}
"""The verdict in whose colour the sentence about the whole run stands, by exit code; every other one is `error`."""


def render(run: Run, compared: Mapping[str, Any] | None = None) -> bytes:
    """Return report.html for `run`, in UTF-8; it needs no network, and no JavaScript to be read.

    `compared` may tell of an older run: `{"with": its name, "rows": {requirement id: what became of it}}`; default is
    what run.json itself carries.
    """
    shown = view(run, compared)
    environment = _environment()
    case = environment.get_template("case.html")
    fragments = packed((one.anchor, case.render(case=one, run=run)) for one in all_cases(shown) if one.has_evidence)
    style, script = _text("report.css"), _text("report.js")
    page = environment.get_template("page.html").render(
        view=shown,
        run=run,
        overall=OVERALL.get(run["exit"], "error"),
        counts=in_order(run["counts"]),
        fragments=fragments,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704  our own files
        script=Markup(script),  # noqa: S704
    )
    return page.encode("utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xencbt.reports.html"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "slug": _slug, "runs": in_words}
    environment.globals |= {"symbols": SYMBOLS, "fragment": _fragment}
    return environment


def _slug(verdict: str) -> str:
    return verdict.replace(" ", "-")


def _harmless(value: object) -> object:
    """Show what does not print (controls, writing turned round, lone surrogates) as an escape, whoever said it."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "\n".join(line if line.isprintable() else visible(line, keep="\t") for line in value.split("\n"))


def _fragment(fragments: Packed, anchor: str) -> Markup:
    """Return the evidence of a test, or, where it is packed, what leads the script to it."""
    if anchor in fragments.inline:
        return Markup(fragments.inline[anchor])  # noqa: S704  made by a template of ours, escaped there
    chunk, at = fragments.places[anchor]
    return Markup('<div class="packed" data-chunk="{}" data-at="{}"></div>').format(chunk, at)


def _policy(*inline: str) -> str:
    style, script = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in inline)
    rules: Iterable[str] = (
        "default-src 'none'",
        f"style-src 'sha256-{style}'",
        f"script-src 'sha256-{script}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


@cache
def _text(name: str) -> str:
    return resources.files("xencbt.reports.html").joinpath("templates", name).read_text(encoding="utf-8")
