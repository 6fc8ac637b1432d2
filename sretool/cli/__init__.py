"""The command line: parses, prints, exits. Nothing else in sretool does."""

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with its code. Heavy imports wait until a command needs them."""
    import os
    import sys

    from sretool.cli.exits import exit_code_of

    code = exit_code_of(sys.argv[1:])
    # Threads that still wait for a silent member's deadline must not hold back somebody at 3 AM.
    os._exit(code)
