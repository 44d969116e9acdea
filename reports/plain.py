"""Text from a target made harmless before people or parsers see it."""

import re

_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def visible(text: str, *, keep: str = "") -> str:
    r"""Return `text` with everything that does not print shown as an escape (`\x1b`), but for the characters in `keep`.

    So no answer of a target can move a terminal's cursor, reverse its writing or end a line.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode("ascii") for char in text
    )


def one_line(text: str) -> str:
    """Return `text` on one line: runs of blanks and line ends become one blank."""
    return visible(" ".join(text.split()))


def xml_text(text: str) -> str:
    """Return `text` without the characters that XML 1.0 cannot hold (control characters, lone surrogates)."""
    return _NOT_XML.sub("", text)
