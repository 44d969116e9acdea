"""Every defect as it can be seen in a laboratory, by name."""

from tests.emulator.shown import bitmaps, destroying, nbd, races, records, rules, sets, storage, tracking

SHOWN = (
    rules.SHOWN
    | storage.SHOWN
    | destroying.SHOWN
    | tracking.SHOWN
    | bitmaps.SHOWN
    | sets.SHOWN
    | records.SHOWN
    | nbd.SHOWN
    | races.SHOWN
)
