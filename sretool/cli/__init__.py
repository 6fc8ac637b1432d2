"""The command line: parses, prints, exits. Nothing else in sretool does."""

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with its code. Heavy imports wait until a command needs them."""
    import gc
    import os
    import sys

    # A command loads some 10,000 objects that stay, and ends soon: looking through them all the time is a tenth
    # of a short one. What a long one leaves is still collected.
    gc.set_threshold(200_000)

    from sretool.cli.exits import exit_code_of

    code = exit_code_of(sys.argv[1:])
    # Threads that still wait for a silent member's deadline must not hold back somebody at 3 AM.
    os._exit(code)
