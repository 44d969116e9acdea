"""What tells one suite from another: run.json, proofs and bundles say which one it was."""

from importlib.metadata import version
from typing import Any

from xencbt.harness.catalogue import catalogue_hash
from xencbt.harness.integrity import own_integrity
from xencbt.suites.kill_score import kill_score, suite_hash


def suite_identity() -> dict[str, Any]:
    """Return what tells one suite from another: its version, hashes of catalogue, files and tests, and its proof."""
    own = own_integrity()
    return {
        "version": version("xencbt"),
        "catalogue_hash": catalogue_hash(),
        "files_hash": own.files_hash,
        "modified": own.modified,
        "changed": list(own.changed),
        "suite_hash": suite_hash(),
        "kill_score": kill_score(),
    }
