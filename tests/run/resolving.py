"""A pytest plugin for tests: names that end in `.example` lead to this machine. Loaded with `-p tests.run.resolving`.

So a target is beyond loopback by its name, which is all that the fences go by, while nothing leaves the machine.
"""

import socket
from typing import Any

import pytest

RESOLVE = socket.getaddrinfo


def pytest_configure(config: pytest.Config) -> None:
    """Resolve by ourselves, in this process."""
    del config
    setattr(socket, "getaddrinfo", _resolved)  # noqa: B010  another's module, for tests only


def _resolved(host: Any, *args: Any, **named: Any) -> Any:
    far = isinstance(host, str) and host.endswith(".example")
    return RESOLVE("127.0.0.1" if far else host, *args, **named)
