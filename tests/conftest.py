"""One emulated host for the integration tests of a process, and a bench and a lab at it."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from xencbt.fixtures.bench import Bench
from xencbt.fixtures.lab import Lab
from xencbt.fixtures.targets import Target, start_emulator

settings.register_profile("unhurried", deadline=None)  # how fast a busy machine is says nothing about the code
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    with start_emulator() as target:
        yield target


@pytest.fixture(scope="module")
def bench(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("journal")
    bench = Bench.open(target, seed=1, run_id="test-run", environment={}, journal_dir=folder)
    try:
        yield bench
    finally:
        bench.close()


@pytest.fixture
def lab(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(bench, request.node.nodeid) as lab:
        yield lab
    assert lab.troubles == []
