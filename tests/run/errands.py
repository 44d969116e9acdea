"""What processes do that are sent out in tests; they are forked from one that knows this module."""

import sys
import threading

from xencbt.harness.hunting import SAID, Errand


def hang(errand: Errand) -> None:
    errand.folder.mkdir(parents=True)
    threading.Event().wait()


def say_so(errand: Errand) -> None:
    errand.folder.mkdir(parents=True)
    (errand.folder / SAID).write_text(f"I am {errand.name}\n")
    sys.exit(7)
