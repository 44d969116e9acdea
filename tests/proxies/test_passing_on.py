"""With no fault due the interceptor is not there: everything passes as it is, and a host's silence stays silence."""

import http.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.proxies.client import Client, seen
from tests.proxies.host import (
    BLOCKED,
    COUNTING,
    REFUSED,
    SILENT,
    Host,
    fingerprint,
    make_certificate,
    running_host,
)
from xencbt.harness.errors import UsageError
from xencbt.harness.faults import AnswerLost, Duplicate, Plan, Planned, RequestDropped
from xencbt.harness.outcome import Ok
from xencbt.harness.trust import Trust
from xencbt.proxies import Interceptor, InterceptorError

ENABLE = "VDI.enable_cbt"


def test_success_refusal_and_bare_answers_pass(client: Client) -> None:
    assert client.call(ENABLE) == Ok("")
    assert seen(client, client.call(REFUSED)) == "refusal"
    assert client.call("system.listMethods") == Ok(["VDI.enable_cbt"])


def test_a_host_that_closes_without_an_answer_looks_so(client: Client, host: Host) -> None:
    assert seen(client, client.call(ENABLE)) == "success"
    assert seen(client, client.call(SILENT)) == "lost"
    assert host.executions(SILENT) == 1  # and nobody sent it twice
    assert seen(client, client.call(ENABLE)) == "success"


def test_many_calls_keep_their_order_and_their_connections(client: Client, host: Host) -> None:
    assert [client.call(COUNTING) for _ in range(200)] == [Ok(str(number)) for number in range(1, 201)]
    assert host.connections == 1


def test_two_threads_each_see_their_own_faults(interceptor: Interceptor, host: Host) -> None:
    url = interceptor.add_upstream(host.url, host.certificate)

    def run(session: str) -> list[str]:
        with Client(url, session) as client:
            outcomes = []
            for _ in range(10):
                with interceptor.arm(Plan.of(Planned(AnswerLost(), ENABLE, nth=2)), session) as armed:
                    outcomes += [seen(client, client.call(ENABLE)) for _ in range(3)]
                armed.require_fired()
            return outcomes

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, ("OpaqueRef:a", "OpaqueRef:b")))
    assert results == [["success", "lost", "success"] * 10] * 2
    assert host.executions(ENABLE, "OpaqueRef:a") == host.executions(ENABLE, "OpaqueRef:b") == 30


def test_a_foreign_certificate_is_refused(
    interceptor: Interceptor, certificate: Path, foreign_certificate: Path
) -> None:
    with running_host(certificate) as trusted, running_host(certificate) as foreign:
        trusted_url = interceptor.add_upstream(trusted.url, certificate)
        foreign_url = interceptor.add_upstream(foreign.url, foreign_certificate)
        with Client(trusted_url) as good, Client(foreign_url) as bad:
            for _ in range(2):  # each upstream is verified by its own file, whichever came last
                assert seen(bad, bad.call(ENABLE)) == "lost"
                assert seen(good, good.call(ENABLE)) == "success"
        assert foreign.executions(ENABLE) == 0
        assert foreign.url.removeprefix("https://") in interceptor.problems[-1]
        assert "certificate" in interceptor.problems[-1].lower()


def test_a_host_of_another_name_is_refused(interceptor: Interceptor, tmp_path: Path) -> None:
    elsewhere = make_certificate(tmp_path / "elsewhere.pem", address="127.0.0.2")
    with running_host(elsewhere) as host, Client(interceptor.add_upstream(host.url, elsewhere)) as client:
        assert seen(client, client.call(ENABLE)) == "lost"
        assert host.executions(ENABLE) == 0


def test_a_pinned_host_is_known_by_its_fingerprint_alone(
    interceptor: Interceptor, tmp_path: Path, foreign_certificate: Path
) -> None:
    expired = make_certificate(tmp_path / "expired.pem", address="127.0.0.2", valid_from=-9)
    pinned = Trust(fingerprint=fingerprint(expired))
    with running_host(expired) as host, running_host(foreign_certificate) as foreign:
        url, foreign_url = interceptor.add_upstream(host.url, pinned), interceptor.add_upstream(foreign.url, pinned)
        with Client(url) as good, Client(foreign_url) as bad:
            for _ in range(2):
                assert seen(good, good.call(ENABLE)) == "success"
                assert seen(bad, bad.call(ENABLE)) == "lost"
        assert "has the fingerprint" in interceptor.problems[-1]
        assert foreign.requests == []


def test_insecure_holds_for_its_own_upstream_only(
    interceptor: Interceptor, certificate: Path, foreign_certificate: Path
) -> None:
    with running_host(certificate) as anyone, running_host(certificate) as foreign:
        trusted = interceptor.add_upstream(anyone.url, Trust(insecure=True))
        refused = interceptor.add_upstream(foreign.url, foreign_certificate)
        for _ in range(2):
            with Client(trusted) as good, Client(refused) as bad:
                assert seen(good, good.call(ENABLE)) == "success"
                assert seen(bad, bad.call(ENABLE)) == "lost"
        assert foreign.requests == []


def test_a_duplicate_of_a_pinned_host_goes_to_no_other(
    interceptor: Interceptor, certificate: Path, foreign_certificate: Path
) -> None:
    """The host's certificate changes between the first and the second delivery."""
    with running_host(certificate) as host:
        pinned = Trust(fingerprint=fingerprint(certificate))
        with Client(interceptor.add_upstream(host.url, pinned)) as client:
            assert seen(client, client.call(ENABLE)) == "success"
            assert host.context is not None
            host.context.load_cert_chain(foreign_certificate)
            with interceptor.arm(Plan.of(Planned(Duplicate(), ENABLE)), client.session) as armed:
                assert seen(client, client.call(ENABLE)) == "success"
        assert host.executions(ENABLE) == 2
    assert not armed.receipts[0].fired
    assert "has the fingerprint" in armed.receipts[0].why_not


def test_a_duplicate_verifies_the_host_too(
    interceptor: Interceptor, certificate: Path, foreign_certificate: Path
) -> None:
    with running_host(certificate) as host:
        ca_file = foreign_certificate.with_name("swapped.pem")
        ca_file.write_bytes(certificate.read_bytes())
        with Client(interceptor.add_upstream(host.url, ca_file)) as client:
            assert seen(client, client.call(ENABLE)) == "success"  # the first delivery's connection is open and trusted
            ca_file.write_bytes(foreign_certificate.read_bytes())
            with interceptor.arm(Plan.of(Planned(Duplicate(), ENABLE)), client.session) as armed:
                assert seen(client, client.call(ENABLE)) == "success"
        assert host.executions(ENABLE) == 2
    assert not armed.receipts[0].fired
    assert "no second connection" in armed.receipts[0].why_not
    assert "certificate" in armed.receipts[0].why_not


def test_an_unreachable_host_is_no_answer_and_a_noted_problem(interceptor: Interceptor) -> None:
    with running_host() as host:
        url = interceptor.add_upstream(host.url)
    with Client(url) as client:
        assert seen(client, client.call(ENABLE)) == "lost"
    assert host.url.removeprefix("http://") in interceptor.problems[-1]


def test_disk_data_passes_and_is_no_call(interceptor: Interceptor, plain_host: Host) -> None:
    connection = http.client.HTTPConnection(urlsplit(interceptor.add_upstream(plain_host.url)).netloc, timeout=10)
    with interceptor.arm(Plan.of(Planned(RequestDropped(), "*")), None) as armed:
        connection.request("PUT", "/import_raw_vdi?vdi=1", b"<methodCall><methodName>a.b</methodName></methodCall>" * 9)
        assert connection.getresponse().read() == b"477"
        connection.request("GET", "/export_raw_vdi?vdi=1")
        assert len(connection.getresponse().read()) == 300_000
    connection.close()
    assert armed.receipts[0].matched == 0


def test_healing_reaches_a_call_that_is_still_at_the_host(interceptor: Interceptor, host: Host) -> None:
    """Its answer comes after the plan is gone, and is not disturbed any more."""
    url = interceptor.add_upstream(host.url, host.certificate)
    with Client(url) as client, ThreadPoolExecutor(1) as pool:
        with interceptor.arm(Plan.of(Planned(AnswerLost(), BLOCKED)), client.session) as armed:
            outcome = pool.submit(client.call, BLOCKED)
            assert host.blocked.wait(10)
        host.release.set()
        assert outcome.result(10) == Ok("")
    assert (armed.receipts[0].matched, armed.receipts[0].fired) == (1, False)


def test_the_same_upstream_has_one_address(interceptor: Interceptor, certificate: Path) -> None:
    with running_host(certificate) as host:
        url = interceptor.add_upstream(host.url, certificate)
        assert interceptor.add_upstream(host.url, certificate) == url
        assert interceptor.upstreams == {url: host.url}
        with pytest.raises(InterceptorError, match="served already"):
            interceptor.add_upstream(host.url)


def test_a_removed_upstream_is_cut_off_and_may_come_back_with_another_certificate(
    interceptor: Interceptor, certificate: Path, foreign_certificate: Path
) -> None:
    with running_host(certificate) as host, running_host() as other:
        url, other_url = interceptor.add_upstream(host.url, certificate), interceptor.add_upstream(other.url)
        with Client(url) as client, Client(other_url) as untouched:
            assert [seen(each, each.call(ENABLE)) for each in (client, untouched)] == ["success"] * 2
            interceptor.remove_upstream(url)
            assert seen(client, client.call(ENABLE)) == "lost"
            assert seen(client, client.call(ENABLE)) == "refused"
            assert seen(untouched, untouched.call(ENABLE)) == "success"
            assert other.connections == 1
        with pytest.raises(InterceptorError, match="no upstream is served"):
            interceptor.remove_upstream(url)
        for ca_file, expected in ((foreign_certificate, "lost"), (certificate, "success")):
            again = interceptor.add_upstream(host.url, ca_file)
            with Client(again) as client:
                assert seen(client, client.call(ENABLE)) == expected
            interceptor.remove_upstream(again)
    assert host.executions(ENABLE) == 2


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "https://", "127.0.0.1:80", "http://192.0.2.1"])
def test_an_unusable_upstream_is_refused(interceptor: Interceptor, url: str) -> None:
    with pytest.raises(UsageError):
        interceptor.add_upstream(url)


def test_a_missing_certificate_file_is_refused(interceptor: Interceptor, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.pem"):
        interceptor.add_upstream("https://127.0.0.1:1", tmp_path / "missing.pem")
