"""Lays a page: a template filled, the style put in, and a policy that lets nothing run and nothing else load."""

import base64
import hashlib
from functools import cache
from importlib import resources

import jinja2
from markupsafe import Markup

from xencbt.reports.html.page import SYMBOLS
from xencbt.reports.plain import visible
from xencbt.reports.words import duration


def page(template: str, **shown: object) -> bytes:
    """Return the page `template`.html, in UTF-8, with what is `shown`; every text in it is escaped."""
    style = _text("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    laid = (
        _environment()
        .get_template(f"{template}.html")
        .render(
            **shown,
            policy=policy,
            style=Markup(style),  # noqa: S704  our own file
        )
    )
    return laid.encode("utf-8", "backslashreplace")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # what a target said cannot reverse the writing of a line, or hide in it
        finalize=lambda value: visible(value, keep="\n") if type(value) is str else value,
    )
    environment.filters["slug"] = lambda words: words.replace(" ", "-")
    environment.filters["symbol"] = lambda verdict: SYMBOLS.get(verdict, "?")
    environment.filters["duration"] = duration
    return environment


def _text(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
