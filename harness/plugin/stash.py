"""What the plugin keeps with pytest's configuration, and what it asks of it."""

import os
import sys

import pytest

from xencbt.harness.errors import UsageError
from xencbt.harness.judge import Judge
from xencbt.harness.rerunning import Earlier
from xencbt.harness.run import Front, Run
from xencbt.harness.trial import Trial
from xencbt.harness.workers import Workers
from xencbt.reports.layout import Paint, colour_wanted
from xencbt.reports.run_json import Run as Document

RUN = pytest.StashKey[Run]()
JUDGE = pytest.StashKey[Judge]()
TRIAL = pytest.StashKey[Trial]()
WORKERS = pytest.StashKey[Workers]()
EARLIER = pytest.StashKey[Earlier]()
SINCE = pytest.StashKey[tuple[str, Document]]()
CLOSING = pytest.StashKey[str]()
UNSELECTED = pytest.StashKey[bool]()
SHIPMENT = "cbt_events"
JUDGED = "cbt_judged"


def front_of(config: pytest.Config) -> Front | None:
    """Return the front of the command `xencbt`, where that is what started pytest."""
    return next((plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, Front)), None)


def is_worker(config: pytest.Config) -> bool:
    """Tell whether this process is an xdist worker."""
    return hasattr(config, "workerinput")


def refused(config: pytest.Config, error: UsageError) -> pytest.UsageError:
    """Return the usage error in words that pytest shows; where there is a front, it is told instead, and shows it."""
    front = front_of(config)
    if front is None:
        return pytest.UsageError(str(error))
    front.usage = str(error)
    return pytest.UsageError()


def paint() -> Paint:
    """Return the colours that the standard output takes."""
    return Paint(colour=colour_wanted(sys.stdout, os.environ))
