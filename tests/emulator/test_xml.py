"""The codec: what is written can be read by anybody, what is read is bounded."""

import xmlrpc.client
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xencbt.fixtures.emulator import xmlreader
from xencbt.fixtures.emulator.values import Timestamp
from xencbt.fixtures.emulator.xmlreader import Call, MalformedError, parse_call
from xencbt.fixtures.emulator.xmlwriter import bare, encode, failure, fault, success

texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\n\t")
)
scalars = texts | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**31), 2**31 - 1)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


def wire_form(value: Any) -> Any:
    """Replace integers by strings, as hosts send them."""
    if isinstance(value, list):
        return [wire_form(item) for item in value]
    if isinstance(value, dict):
        return {name: wire_form(item) for name, item in value.items()}
    return str(value) if type(value) is int else value


@settings(deadline=None)
@given(values)
def test_answers_are_understood_by_the_standard_library(value: Any) -> None:
    ((answer,), _) = xmlrpc.client.loads(success(value))
    assert answer == {"Status": "Success", "Value": wire_form(value)}


@settings(deadline=None)
@given(st.lists(values, max_size=4), st.from_regex(r"[A-Za-z_]+\.[A-Za-z_]+", fullmatch=True))
def test_calls_of_the_standard_library_are_understood(params: list[Any], name: str) -> None:
    body = xmlrpc.client.dumps(tuple(params), name, allow_none=True).encode()
    assert parse_call(body) == Call(name, params)


@settings(deadline=None)
@given(st.lists(st.text("abcXYZ0189:-_.*/{}'()!é \n&<>\"", max_size=8), max_size=4), st.booleans())
def test_the_short_way_for_plain_calls_reads_the_same(params: list[str], typed: bool) -> None:
    body = xmlrpc.client.dumps(tuple(params), "VDI.get_record").encode()
    if not typed:
        body = body.replace(b"<string>", b"").replace(b"</string>", b"")
    short = xmlreader._parse_plain(body)
    assert short is None or short == parse_call(body + b" " * 2000)


def test_a_call_with_plain_words_takes_the_short_way() -> None:
    body = xmlrpc.client.dumps(("OpaqueRef:1", "OpaqueRef:2"), "VDI.get_cbt_enabled").encode()
    assert xmlreader._parse_plain(body) == Call("VDI.get_cbt_enabled", ["OpaqueRef:1", "OpaqueRef:2"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "<value>a</value>"),
        ("", "<value></value>"),
        (None, "<value></value>"),
        (2**62, "<value>4611686018427387904</value>"),
        (True, "<value><boolean>1</boolean></value>"),
        (0.5, "<value><double>0.5</double></value>"),
        (Timestamp("20261123T15:00:00Z"), "<value><dateTime.iso8601>20261123T15:00:00Z</dateTime.iso8601></value>"),
        ([], "<value><array><data></data></array></value>"),
        (["a"], "<value><array><data><value>a</value></data></array></value>"),
        ({}, "<value><struct></struct></value>"),
        ({"k<": "v&"}, "<value><struct><member><name>k&lt;</name><value>v&amp;</value></member></struct></value>"),
        ("a\rb", "<value>a&#13;b</value>"),
        ("a\x00\ud800b", "<value>a\ufffd\ufffdb</value>"),
    ],
)
def test_values_are_written_compactly_and_untyped(value: Any, text: str) -> None:
    assert encode(value) == text


def test_answers_hold_no_white_space_between_tags() -> None:
    assert success("x") == (
        b'<?xml version="1.0"?><methodResponse><params><param><value><struct>'
        b"<member><name>Status</name><value>Success</value></member>"
        b"<member><name>Value</name><value>x</value></member></struct></value></param></params></methodResponse>"
    )


def test_failures_name_code_and_parameters() -> None:
    ((answer,), _) = xmlrpc.client.loads(failure(("HANDLE_INVALID", "VDI", "x")))
    assert answer == {"Status": "Failure", "ErrorDescription": ["HANDLE_INVALID", "VDI", "x"]}


def test_a_bare_answer_has_no_status() -> None:
    assert xmlrpc.client.loads(bare(["a.b"])) == ((["a.b"],), None)


def test_a_fault_is_a_fault() -> None:
    with pytest.raises(xmlrpc.client.Fault, match="reason"):
        xmlrpc.client.loads(fault(-1, "reason"))


def call_with(value: str) -> bytes:
    return f"<methodCall><methodName>a.b</methodName><params><param>{value}</param></params></methodCall>".encode()


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("<value>untyped</value>", "untyped"),
        ("<value> kept </value>", " kept "),
        ("<value/>", ""),
        ("<value><string/></value>", ""),
        ("<value><int>-7</int></value>", -7),
        ("<value><i4>7</i4></value>", 7),
        ("<value><i8>9007199254740993</i8></value>", 9007199254740993),
        ("<value><nil/></value>", None),
        ("<value><boolean>1</boolean></value>", True),
        ("<value><double>-1.5e3</double></value>", -1500.0),
        ("<value><base64>aGk=</base64></value>", b"hi"),
        ("<value><dateTime.iso8601>20260102T03:04:05</dateTime.iso8601></value>", "20260102T03:04:05Z"),
        ("<value>\n<array> <data>\n<value>a</value> </data></array></value>", ["a"]),
        ("<value><struct><member><name>k</name><value>v</value></member></struct></value>", {"k": "v"}),
    ],
)
def test_every_type_is_read(value: str, read: Any) -> None:
    assert parse_call(call_with(value)).params == [read]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"<methodCall>",
        b"<methodCall></methodCall>",
        b"<methodCall><methodName> </methodName></methodCall>",
        b"<methodCall><methodName>a<b/></methodName></methodCall>",
        b"<methodCall><params></params><methodName>a</methodName></methodCall>",
        b"<methodResponse/>",
        b'<?xml version="1.0" encoding="nonesuch"?><methodCall><methodName>a</methodName></methodCall>',
        b"\xff\xfe\x00",
        b"<!DOCTYPE x><methodCall><methodName>a</methodName></methodCall>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><methodCall><methodName>&a;</methodName></methodCall>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><methodCall><methodName>a</methodName></methodCall>',
        call_with("<value>&undefined;</value>"),
        call_with("<value><whatever>1</whatever></value>"),
        call_with("<value><int>1.5</int></value>"),
        call_with("<value><int>9223372036854775808</int></value>"),
        call_with("<value><int>" + "9" * 5000 + "</int></value>"),
        call_with("<value><int>1_0</int></value>"),
        call_with("<value><double>nan</double></value>"),
        call_with("<value><double>1e9999</double></value>"),
        call_with("<value><boolean>2</boolean></value>"),
        call_with("<value><base64>*</base64></value>"),
        call_with("<value><nil>x</nil></value>"),
        call_with("<value><dateTime.iso8601>yesterday</dateTime.iso8601></value>"),
        call_with("<value>text<int>1</int></value>"),
        call_with("<value><int>1</int><int>2</int></value>"),
        call_with("<value><int><i4>1</i4></int></value>"),
        call_with("<value><array></array></value>"),
        call_with("<value><struct><member><value>v</value><name>k</name></member></struct></value>"),
        call_with("<value><struct><member><name>k</name></member></struct></value>"),
        call_with("<value>a</value><value>b</value>"),
        call_with(""),
    ],
)
def test_what_is_no_call_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_call(body)


def nested(depth: int) -> bytes:
    return call_with("<value><array><data>" * depth + "<value>x</value>" + "</data></array></value>" * depth)


def test_nesting_is_bounded() -> None:
    assert parse_call(nested(32)).method == "a.b"
    with pytest.raises(MalformedError, match="nested too deeply"):
        parse_call(nested(40))
    with pytest.raises(MalformedError, match="nested too deeply"):
        parse_call(nested(10_000))


def test_the_number_of_elements_is_bounded() -> None:
    with pytest.raises(MalformedError, match="too many elements"):
        parse_call(call_with("<value><array><data>" + "<value/>" * 60_000 + "</data></array></value>"))


def test_a_billion_laughs_are_not_laughed() -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    body = f"<!DOCTYPE b [{entities}]>".encode() + call_with("<value>&a9;</value>")
    with pytest.raises(MalformedError, match="not accepted"):
        parse_call(body)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda b: call_with("<value>x</value>")[:60] + b))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        call = parse_call(body)
    except MalformedError:
        return
    assert call.method
