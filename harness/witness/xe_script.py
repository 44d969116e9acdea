"""A bundle as a shell script of xe commands; what a write takes beside them is curl."""

from collections.abc import Callable, Mapping
from typing import Any

from xencbt.harness.witness.bundles import Bundle
from xencbt.harness.witness.checking import Alternative
from xencbt.harness.witness.steps import Step
from xencbt.harness.witness.vocabulary import class_of
from xencbt.harness.witness.witness import step_in_words
from xencbt.harness.xe_words import TELLING

RUNTIME = """
# Set XE to what runs xe, for example: XE='xe -s HOST -u root -pwf FILE'. Set SR to the UUID of the SR for its disks.
# Writes need curl: set URL (https://HOST) and NETRC, a private file: machine HOST login root password ...
# CURL_CA names the PEM file that verifies the host's certificate, where the system does not.
set -u
XE=${XE:-xe}
: "${SR:?the UUID of the SR on which disks are made}"
vms='' vdis='' printed='' told=''
folder=$(mktemp -d)

clean() {
  for vm in $vms; do
    $XE vm-shutdown uuid="$vm" force=true >/dev/null 2>&1
    $XE vm-destroy uuid="$vm" >/dev/null 2>&1
  done
  for vdi in $vdis; do $XE vdi-destroy uuid="$vdi" >/dev/null 2>&1; done
  rm -rf "$folder"
}
trap clean EXIT

try() {  # runs a command; leaves what it printed and told
  printed=$($XE "$@" 2>"$folder/told") && told='' && return 0
  told=$(cat "$folder/told"); return 1
}
must() {  # number of the step, command
  number=$1; shift
  try "$@" || { echo "ERROR: step $number: $told"; exit 4; }
}
little_endian() {  # number, bytes
  number=$1; count=$2; bytes=''
  while [ "$count" -gt 0 ]; do
    bytes="$bytes\\\\$(printf '%03o' $((number % 256)))"; number=$((number / 256)); count=$((count - 1))
  done
  printf '%b' "$(printf '%s' "$bytes" | sed 's/\\\\/\\\\0/g')"
}
write() {  # uuid, then offset and length of each range; every byte is written anew
  vdi=$1; shift
  { while [ $# -gt 0 ]; do
      little_endian "$1" 8; little_endian "$2" 4; head -c "$2" /dev/urandom; shift 2
    done; little_endian 0 12; } >"$folder/ranges"
  curl --silent --show-error --fail --http1.0 --netrc-file "${NETRC:?}" ${CURL_CA:+--cacert "$CURL_CA"} \\
    --upload-file "$folder/ranges" "${URL:?}/import_raw_vdi?vdi=$vdi&chunked=true" >/dev/null
}
blocks() {  # the blocks that the bitmap just printed marks, most significant bit first, and its length in bytes
  printf '%s' "$printed" | base64 -d | od -An -v -tu1 | tr -s ' ' '\\n' | awk '
    NF { for (bit = 0; bit < 8; bit++) if (int($1 / 2 ^ (7 - bit)) % 2) print 8 * at + bit; at++ }
    END { print at + 0 " bytes" }'
}
runs() {  # first block and how many, of each run: all their blocks
  while [ $# -gt 0 ]; do seq "$1" $(($1 + $2 - 1)); shift 2; done
}
answered() {  # whether it was the host that answered, and not what stands between
  [ "$code" = 0 ] || { [ "$code" -lt 126 ] && ! grep -qiE 'connect|contact|timed out|resolve|certificate' <<<"$told"; }
}
unclear() { echo "ERROR: step $1: nothing is shown by: $told"; exit 4; }
fixed() { echo "answered: $printed$told"; echo FIXED; exit 0; }
failed() { echo "answered: $printed$told"; echo FAILED; exit 1; }
"""

Words = Callable[[Mapping[str, Any]], str]

COMMANDS: Mapping[str, Words] = {
    "enable": lambda given: f"vdi-enable-cbt uuid={_variable(given['disk'])}",
    "disable": lambda given: f"vdi-disable-cbt uuid={_variable(given['disk'])}",
    "snapshot": lambda given: f"vdi-snapshot uuid={_variable(given['disk'])}",
    "clone": lambda given: f"vdi-clone uuid={_variable(given['disk'])}",
    "copy": lambda given: f'vdi-copy uuid={_variable(given["disk"])} sr-uuid="$SR"',
    "copy-into": lambda given: f"vdi-copy uuid={_variable(given['disk'])} into-vdi-uuid={_variable(given['into'])}",
    "resize": lambda given: f"vdi-resize uuid={_variable(given['disk'])} disk-size={given['size']}",
    "on-boot": lambda given: f"vdi-param-set uuid={_variable(given['disk'])} on-boot={given['mode']}",
    "data-destroy": lambda given: f"vdi-data-destroy uuid={_variable(given['disk'])}",
    "update": lambda given: f"vdi-update uuid={_variable(given['disk'])}",
    "destroy": lambda given: f"vdi-destroy uuid={_variable(given['disk'])}",
    "list": lambda given: (
        f"vdi-list-changed-blocks vdi-from-uuid={_variable(given['earlier'])} vdi-to-uuid={_variable(given['later'])}"
    ),
    "create-vm": lambda _: "vm-create name-label='xencbt replay'",
    "start": lambda given: f"vm-start uuid={_variable(given['vm'])} paused={str(given['paused']).lower()}",
    "pause": lambda given: f"vm-pause uuid={_variable(given['vm'])}",
    "unpause": lambda given: f"vm-unpause uuid={_variable(given['vm'])}",
    "suspend": lambda given: f"vm-suspend uuid={_variable(given['vm'])}",
    "resume": lambda given: f"vm-resume uuid={_variable(given['vm'])}",
    "shut-down": lambda given: f"vm-shutdown uuid={_variable(given['vm'])} force=true",
    "shut-down-by-guest": lambda given: f"vm-shutdown uuid={_variable(given['vm'])}",
    "reboot": lambda given: f"vm-reboot uuid={_variable(given['vm'])} force=true",
    "destroy-vm": lambda given: f"vm-destroy uuid={_variable(given['vm'])}",
    "plug": lambda given: f"vbd-plug uuid={_variable(given['vbd'])}",
    "unplug": lambda given: f"vbd-unplug uuid={_variable(given['vbd'])}",
    "detach": lambda given: f"vbd-destroy uuid={_variable(given['vbd'])}",
    "scan": lambda _: 'sr-scan uuid="$SR"',
}
"""The command of each step that is one."""

PLAIN_FIELDS = frozenset(("cbt_enabled", "type", "on_boot", "is_a_snapshot", "virtual_size", "managed", "missing"))


class _NoWordError(Exception):
    """The step is no xe command."""


def xe_script(bundle: Bundle) -> str:
    """Return the script; empty where a step, or what it has to give, is nothing that xe can do or show."""
    steps = bundle.witness.steps
    try:
        lines = [line for number, step in enumerate(steps[:-1], 1) for line in _lines(number, step)]
        lines += _check(len(steps), steps[-1], bundle.witness.check.expected, bundle.witness.check.saw)
    except _NoWordError:
        return ""
    told = [
        f"{', '.join(bundle.requirement)}: {' '.join(bundle.reason.split())}",
        f"Found by xencbt {bundle.suite}, seed {bundle.seed}, on {' '.join(str(bundle.target).split())}.",
        "Makes its own disks and removes them. Prints FIXED (exit 0), FAILED (exit 1) or ERROR (exit 4).",
        *(f"{number}. {' '.join(words.split())}" for number, words in enumerate(bundle.witness.words(), 1)),
    ]
    return "#!/bin/bash\n" + "\n".join(f"# {line}" for line in told) + "\n" + RUNTIME + "\n" + "\n".join(lines) + "\n"


def _lines(number: int, step: Step) -> list[str]:
    told = f"# {number}. {' '.join(step_in_words(step).split())}"
    if step.names:
        raise _NoWordError
    if step.do == "write":
        return [told, f"{_write(step)} || {{ echo 'ERROR: step {number}: writing'; exit 4; }}"]
    if step.verb.reads:
        return []
    command = _command(step)
    if step.saw is not None and "failed" in step.saw:
        return [told, f"try {command}"]
    lines = [told, f"must {number} {command}"]
    if step.makes:
        name = step.makes.replace("-", "_")
        lines.append(f"{name}=$printed")
        cls = class_of(step.makes)
        if cls in {"VDI", "VM"}:
            kept = "vdis" if cls == "VDI" else "vms"
            lines.append(f'{kept}="${name} ${kept}"')
    return lines


def _write(step: Step) -> str:
    ranges = step.given["ranges"]
    if any(number == 0 or repeated for _, _, number, repeated in ranges):
        raise _NoWordError
    return f"write {_variable(step.given['disk'])} {' '.join(f'{offset} {length}' for offset, length, _, _ in ranges)}"


def _command(step: Step) -> str:
    given = step.given
    if step.line or step.background or given.get("sr", "sr:main") != "sr:main":
        raise _NoWordError
    match step.do:
        case "create":
            raw = " sm-config:type=raw" if given["raw"] else ""
            size = f"virtual-size={given['size']} type={given['type']}{raw}"
            return f"vdi-create sr-uuid=\"$SR\" name-label='xencbt replay' {size}"
        case "attach":
            vm, disk = _variable(given["vm"]), _variable(given["disk"])
            return f"vbd-create vm-uuid={vm} vdi-uuid={disk} device=autodetect type=Disk mode={given['mode']}"
        case "field" if given["field"] in PLAIN_FIELDS and class_of(given["of"]) == "VDI":
            return f"vdi-param-get uuid={_variable(given['of'])} param-name={given['field'].replace('_', '-')}"
    if step.do not in COMMANDS:
        raise _NoWordError
    return COMMANDS[step.do](given)


def _check(number: int, step: Step, expected: tuple[Alternative, ...], saw: Mapping[str, Any]) -> list[str]:
    told = [f"# {number}. {' '.join(step_in_words(step).split())}"]
    if step.do == "write":
        command = _write(step)
        if not all("succeeds" in each for each in expected):
            raise _NoWordError
        return [*told, f"if {command}; then fixed; else failed; fi"]
    allowed = [_allowed(each) for each in expected]
    lines = [*told, f"try {_command(step)}; code=$?", f"answered || unclear {number}"]
    if step.makes and class_of(step.makes) == "VDI":
        lines.append('[ "$code" = 0 ] && vdis="$printed $vdis"')
    lines += [f"if {each}; then fixed; fi" for each in allowed]
    if "ok" in saw:  # a refusal in unknown words may be the right one, or not
        lines.append(f'[ "$code" = 0 ] || unclear {number}')
    return [*lines, "failed"]


def _allowed(alternative: Alternative) -> str:
    if "failed" in alternative:
        return _explained(alternative)
    if "succeeds" in alternative:
        return '[ "$code" = 0 ]'
    if "gives" in alternative and isinstance(alternative["gives"], bool | str | int):
        value = alternative["gives"]
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if not text.replace("_", "").isalnum():
            raise _NoWordError
        return f'[ "$code" = 0 ] && [ "$printed" = {text} ]'
    if "marks" in alternative or "marks_at_most" in alternative:
        return _marked(alternative)
    raise _NoWordError


def _marked(alternative: Alternative) -> str:
    runs = alternative.get("marks", alternative.get("marks_at_most"))
    assert runs is not None
    wanted = f"runs {' '.join(f'{first} {count}' for first, count in runs)}".strip()
    length = f'[ "$code" = 0 ] && blocks | grep -qx "{alternative["bytes"]} bytes"'
    if "marks" in alternative:
        return f'{length} && [ -z "$({wanted} | grep -vxFf <(blocks))" ]'
    return f'{length} && [ -z "$(blocks | grep -v bytes | grep -vxFf <({wanted}))" ]'


def _explained(alternative: Alternative) -> str:
    """Return the test for a refusal with this code: commands say many codes in words of their own."""
    code = alternative["failed"]
    words = [of for known, of in TELLING if known == code] + [(code.lower(),)]
    each = [" && ".join(map(_told, one)) for one in words]
    said = f'[ "$code" != 0 ] && {{ {" || ".join(f"( {one} )" for one in each)}; }}'
    mentioned = " || ".join(map(_told, alternative.get("mentions", ())))
    return f"{said} && {{ {mentioned}; }}" if mentioned else said


def _told(text: str) -> str:
    return f'grep -qiF -- {_quoted(text)} <<<"$told"'


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _variable(alias: str) -> str:
    if alias == "null" or alias.startswith("sr:"):
        raise _NoWordError
    return "00000000-0000-4000-8000-00000000dead" if alias == "nobody" else f'"${alias.replace("-", "_")}"'
