"""What sessions in several threads share: nothing is miscounted or lost when they use it at once."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xencbt.harness.exchange import Recorder
from xencbt.harness.journal import FILE, Journal, State
from xencbt.harness.masking import MASK, Secrets
from xencbt.harness.spending import Breaker

THREADS = 4
TIMES = 60


@pytest.fixture(autouse=True)
def often_switched() -> Iterator[None]:
    """Have the interpreter switch threads as often as it can, so that what is not atomic shows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(work: Callable[[int], None]) -> None:
    """Do `work` in THREADS threads, begun together; raises what one of them raised."""
    together, failures = threading.Barrier(THREADS), list[BaseException]()

    def run(number: int) -> None:
        together.wait(10)
        try:
            work(number)
        except Exception as error:  # noqa: BLE001  raised again below, in the test's thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


def test_every_exchange_has_a_number_of_its_own() -> None:
    recorder = Recorder(Secrets())

    def work(number: int) -> None:
        for _ in range(TIMES):
            recorder.record(method="m", step=str(number), outcome="", started=0, duration_s=0, request="", response="")

    at_once(work)
    assert recorder.calls == THREADS * TIMES
    numbers = [exchange.number for exchange in recorder.kept]
    assert numbers == sorted(set(numbers))


def test_secrets_are_masked_while_others_are_added() -> None:
    secrets = Secrets(["known"])

    def work(number: int) -> None:
        for time in range(TIMES):
            secrets.add(f"secret-{number}-{time}-")
            assert secrets.mask(f"known secret-{number}-{time}-") == f"{MASK} {MASK}"

    at_once(work)
    for number in range(THREADS):
        assert secrets.mask(f"secret-{number}-0-") == MASK


def test_the_journal_counts_what_several_threads_make(tmp_path: Path) -> None:
    with Journal(tmp_path, "run") as journal:

        def work(number: int) -> None:
            for time in range(TIMES // 4):
                token = journal.intend("VDI", size=10)
                journal.created(token, ref=f"ref-{number}-{time}", uuid=f"uuid-{number}-{time}")
                assert journal.owns(f"ref-{number}-{time}")
                if time % 3:
                    journal.removed_ref(f"ref-{number}-{time}")

        at_once(work)
        left = [item for item in journal.items if item.state is State.CREATED]
        assert len(left) == THREADS * TIMES // 4 // 3
        assert journal.size == 10 * len(left)
        lines = (tmp_path / FILE).read_text().splitlines()
        assert all(json.loads(line) for line in lines)


def test_the_breaker_counts_every_lost_answer() -> None:
    breaker = Breaker(limit=THREADS * TIMES)

    def work(_: int) -> None:
        for _ in range(TIMES):
            breaker.lost("a call")

    at_once(work)
    assert breaker.tripped
