"""A certificate as a page."""

from typing import Any

from xencbt.harness.catalogue.levels import Certified
from xencbt.reports.pages.page import page
from xencbt.reports.signing import as_file


def render(document: dict[str, Any], level: Certified) -> bytes:
    """Return the page of a signed certificate, in UTF-8; its JSON stands in it, to be taken out and verified."""
    certificate = document["certificate"]
    required = set(certificate["required"])
    return page(
        "certificate",
        certificate=certificate,
        signature=document["signature"],
        title=level.title,
        required=[row for row in certificate["requirements"] if row["id"] in required],
        others=[row for row in certificate["requirements"] if row["id"] not in required],
        document=as_file(document).decode("ascii"),
    )
