from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxies.client import Client
from tests.proxies.host import Host, make_certificate, running_host
from xencbt.proxies import Interceptor


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificates") / "host.pem")


@pytest.fixture(scope="session")
def foreign_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificates") / "foreign.pem")


@pytest.fixture(params=["plain", "tls"])
def host(request: pytest.FixtureRequest, certificate: Path) -> Iterator[Host]:
    with running_host(certificate if request.param == "tls" else None) as running:
        yield running


@pytest.fixture
def plain_host() -> Iterator[Host]:
    with running_host() as running:
        yield running


@pytest.fixture(scope="module")
def running_interceptor() -> Iterator[Interceptor]:
    with Interceptor(repeat_timeout_s=10, deadline_s=10) as interceptor:
        yield interceptor


@pytest.fixture
def interceptor(running_interceptor: Interceptor) -> Iterator[Interceptor]:
    """One interceptor for the module, without the hosts of earlier tests: their ports are given to new hosts."""
    yield running_interceptor
    for url in running_interceptor.upstreams:
        running_interceptor.remove_upstream(url)


@pytest.fixture
def client(host: Host, interceptor: Interceptor) -> Iterator[Client]:
    url = interceptor.add_upstream(host.url, host.certificate)
    if host.certificate is not None:  # TLS on both legs
        url = interceptor.over_tls(url)
    with Client(url, trusted=interceptor.certificate) as connected:
        yield connected
