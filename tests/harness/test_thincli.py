"""The client's side of the thin CLI protocol: whatever a host says, however it is cut up."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xencbt.fixtures.emulator import cli_protocol
from xencbt.harness import thincli
from xencbt.harness.thincli import GREETING, MESSAGE_BYTES, MESSAGES, TALK_BYTES, BadTalk, Talk, request

REFUSED = struct.pack("<Iii", 8, 10, 6)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=20)


def message(*parts: bytes) -> bytes:
    payload = struct.pack("<i", 9) + b"".join(parts)
    return struct.pack("<I", len(payload)) + payload


def number(value: int) -> bytes:
    return struct.pack("<i", value)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(
    said=st.lists(st.tuples(st.sampled_from(["shows", "complains", "error"]), texts, st.lists(texts, max_size=3))),
    exit_code=st.integers(-(2**31), 2**31 - 1),
    cuts=st.lists(st.integers(0, 10_000), max_size=8),
)
def test_what_the_emulated_host_writes_is_what_a_person_sees(
    said: list[tuple[str, str, list[str]]], exit_code: int, cuts: list[int]
) -> None:
    out = err = ""
    data = cli_protocol.GREETING
    for kind, text, params in said:
        if kind == "shows":
            data += cli_protocol.shows(text)
            out += f"{text}\n"
        elif kind == "complains":
            data += cli_protocol.complains(text)
            err += text
        else:
            data += cli_protocol.error(text, params)
            err += f"Error code: {text}\nError parameters: {', '.join(params)}\n"
    data += cli_protocol.ends(exit_code)
    talk = Talk()
    answers = b"".join(talk.receive(piece) for piece in in_pieces(data, cuts))
    assert (talk.stdout, talk.stderr, talk.exit_code) == (out, err, exit_code)
    assert answers == GREETING


@given(line=st.lists(words.filter(bool), min_size=1, max_size=5), user=words, password=words)
def test_a_command_line_arrives_as_it_was_given(line: list[str], user: str, password: str) -> None:
    head, _, body = request(line, user, password).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /cli HTTP/1.0\r\n")
    assert f"content-length: {len(body)}".encode() in head
    parsed = cli_protocol.parse_words(body)
    assert parsed.command == line[0]
    if not {"username", "password"} & {word.partition("=")[0] for word in line[1:]}:
        assert (parsed.user, parsed.password) == (user, password)
    for name, value in parsed.parameters.items():
        assert f"{name}={value}" in line or (value == "" and name in line)


@pytest.mark.parametrize("line", [[], ["a\nb"], ["a", "b\n"]])
def test_a_word_is_one_line(line: list[str]) -> None:
    with pytest.raises(ValueError, match="one line"):
        request(line, "u", "p")


def test_nothing_is_taken_after_the_end() -> None:
    talk = Talk()
    talk.receive(GREETING + cli_protocol.ends(0) + cli_protocol.shows("more"))
    assert (talk.exit_code, talk.stdout) == (0, "")


@pytest.mark.parametrize("tag", [0 + 1, 3, 12, 13, 17], ids=["Load", "Prompt", "HttpGet", "HttpPut", "HttpConnect"])
def test_what_a_host_wants_of_us_is_refused(tag: int) -> None:
    talk = Talk()
    assert talk.receive(GREETING + message(number(tag), number(0))) == GREETING + REFUSED
    assert talk.receive(cli_protocol.ends(1)) == b""
    assert talk.exit_code == 1


def test_what_is_for_debugging_is_not_shown() -> None:
    talk = Talk()
    talk.receive(GREETING + message(number(15), number(2), b"hm") + cli_protocol.ends(0))
    assert (talk.stdout, talk.stderr) == ("", "")


BAD: dict[str, tuple[bytes, str]] = {
    "another protocol": (b"HTTP/1.1 404 Not Found\r\n", "no thin CLI"),
    "another version": (thincli.PREFIX + struct.pack("<ii", 1, 0), "protocol 1"),
    "a huge message": (GREETING + struct.pack("<I", MESSAGE_BYTES + 1), "a message of"),
    "the hugest message": (GREETING + b"\xff" * 4, "a message of 4294967295"),
    "an empty message": (GREETING + bytes(4), "ends early"),
    "no command": (GREETING + struct.pack("<Ii", 4, 10), "no command"),
    "an unknown command": (GREETING + message(number(99)), "unknown command, 99"),
    "a long string": (GREETING + message(number(0), struct.pack("<I", 2**31)), "ends early"),
    "a long list": (GREETING + message(number(14), number(0), struct.pack("<I", 2**31)), "a list of"),
    "an exit without a code": (GREETING + message(number(4)), "ends early"),
    "too many messages": (GREETING + message(number(15)) * (MESSAGES + 1), "messages"),
    "too many bytes": (GREETING + bytes(TALK_BYTES), "more than"),
}


@pytest.mark.parametrize(("data", "why"), BAD.values(), ids=BAD)
def test_another_talk_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadTalk, match=why):
        Talk().receive(data)


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_told_as_such_or_waited_for(data: bytes, greeted: bool) -> None:
    talk = Talk()
    try:
        talk.receive((GREETING if greeted else b"") + data)
    except BadTalk:
        return
    assert len(data) < 2**20
    assert talk.exit_code is None or greeted
