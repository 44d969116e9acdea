"""The commands of `xencbt`, a module each: `add(commands)` names its options and what carries it out.

What carries out a command takes the parsed options and the words after `--`, and returns the exit code.
"""

import argparse
from collections.abc import Callable
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What `add_subparsers` returned: a command adds its parser here, and sets `call` on it."""

Call: TypeAlias = Callable[[argparse.Namespace, list[str]], int]
