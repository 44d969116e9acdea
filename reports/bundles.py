"""The bundles of a run's failures, as files."""

import json
from collections.abc import Iterable

from xencbt.harness.witness.bundles import file_name
from xencbt.reports.told import Event, gather


def bundles(events: Iterable[Event]) -> dict[str, bytes]:
    """Return the content of each bundle that `events` tell of, by file name; raises UnreadableEvents."""
    found = gather(events).found
    return {
        file_name(test): (json.dumps(finding.evidence.replay, ensure_ascii=False, indent=2) + "\n").encode(
            "utf-8", "backslashreplace"
        )
        for test, attempts in found.items()
        for finding in attempts
        if finding.evidence.replay is not None
    }
