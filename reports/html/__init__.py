"""report.html: the run on one page for people, self-contained; everything on it comes from run.json."""

from xencbt.reports.html.page import render

__all__ = ["render"]
