"""Every defect as it can be seen in a laboratory, by name; a module for each layer."""

from tests.emulator.shown import rules, tracking

SHOWN = rules.SHOWN | tracking.SHOWN
