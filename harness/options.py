"""The options of a run, once: `--x` of `xencbt run`, `--cbt-x` of pytest, `XENCBT_X`, and key `x` in xencbt.toml."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "list", "switch", "size"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name without dashes, what it takes, and what it means.

    A `list` may be given several times (in a file: an array; in the environment: separated by commas). A `size` is a
    number of bytes, or of KiB, MiB, GiB or TiB with that unit behind it. `also_one`: a file may give a list of one as
    a text.
    """

    name: str
    kind: Kind
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    also_one: bool = False

    @property
    def key(self) -> str:
        """The name as a Python and TOML key."""
        return self.name.replace("-", "_")

    @property
    def flag(self) -> str:
        """The option of `xencbt run`."""
        return f"--{self.name}"

    @property
    def pytest_flag(self) -> str:
        """The option of pytest."""
        return f"--cbt-{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"XENCBT_{self.key.upper()}"


OPTIONS: tuple[Option, ...] = (
    Option("target", "text", "'emulator' (started for this run) or the URL of a host; default: emulator", "T"),
    Option("emulator-hosts", "number", "hosts of the emulated pool that is started, 1 to 3; default: 1", "N"),
    Option("defect", "list", "a defect that the emulated host that is started shows (may be repeated)", "NAME"),
    Option("user", "text", "user name on the target; default: root", "U"),
    Option("password-file", "text", "file that holds the password (else XENCBT_PASSWORD, else a prompt)", "F"),
    Option("control-token-file", "text", "file with an emulator's control token (else XENCBT_CONTROL_TOKEN)", "F"),
    Option("ca", "text", "PEM file that verifies the target's certificate; default: the system's", "F"),
    Option("fingerprint", "text", "SHA-256 of the target's certificate, which alone is then accepted", "HEX"),
    Option(
        "insecure", "switch", "accept any certificate, and plain http beyond loopback: anyone may read the password"
    ),
    Option(
        "sr", "list", "UUID of the SR the run may create disks on; with -n, one for each worker", "UUID", also_one=True
    ),
    Option("xe", "text", "command that runs xe, e.g. 'ssh HOST xe'; default: the target's own thin CLI", "COMMAND"),
    Option(
        "profile",
        "text",
        "accepted deviations; default: auto, by the brand the host names",
        choices=("auto", "documented", "xapi"),
    ),
    Option("speed", "text", "how much search; default: quick", choices=("quick", "nightly")),
    Option("seed", "number", "the seed every random choice derives from; default: a fresh one, printed", "N"),
    Option("suite", "list", "only this suite, for example 'enable' (may be repeated)", "NAME"),
    Option("requirement", "list", "only the tests that decide this requirement (may be repeated)", "ID"),
    Option("faults", "list", "only fault tests: of this kind, or the plan in this file (may be repeated)", "NAME|FILE"),
    Option("rerun", "text", "run again what failed or stayed undecided in that run, and keep every attempt", "DIR"),
    Option("since", "text", "say in report.html, and at the end, what is new since the run in that folder", "DIR"),
    Option("out", "text", "output folder; default: xencbt-out, numbered if it exists", "DIR"),
    Option(
        "journal-dir", "text", "where the journal of created objects is kept; default: the user's state folder", "D"
    ),
    Option("keep-on-failure", "switch", "what a failed test created stays on the target, listed in the report"),
    Option(
        "known-issues", "text", "ledger of known issues (TOML): each is replayed once, and its failure is known", "FILE"
    ),
    Option("no-bundles", "switch", "no bundle for each failure: nothing is replayed, nothing shortened"),
    Option("max-size", "size", "size of the largest disk that may be created; default on a host: 1GiB", "SIZE"),
    Option("max-total", "size", "size of all disks that exist at a time; default on a host: 10GiB", "SIZE"),
    Option("allow", "list", "consent to these disturbing steps, with commas (may be repeated)", "LIST"),
    Option("sr-kind", "list", "an SR of a special kind, and the VDI on it to look at", "KIND=SR_UUID[/VDI_UUID]"),
    Option("vm", "text", "UUID of a halted VM to clone; default: VMs are made from nothing", "UUID"),
    Option("require", "list", "a capability whose absence is a failure, with commas (may be repeated)", "CAP"),
    Option("budget", "text", "how long the run may take, for example 30m; default: 30m, none for emulators", "TIME"),
    Option("quiet", "switch", "while the run goes on, show only what did not pass"),
    Option("config", "text", "configuration file; default: xencbt.toml, else [tool.xencbt] of pyproject.toml", "FILE"),
    Option("strict", "switch", "a failed level-S requirement decides the exit code as well"),
)
