"""Turns whatever ends a command into its exit code, and into words that say what was touched and what is next."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sretool.cli import streams
from sretool.errors import DocumentError, SretoolError, StateError, Touched, UsageError, masked

USAGE = 2
INTERRUPTED = 130


def exit_code_of(arguments: Sequence[str]) -> int:
    """Run the command line `arguments` and return the exit code; every error is told here, none gets out."""
    streams.prepare()
    try:
        return _flushed(_code_of(arguments))
    except BaseException as error:  # noqa: BLE001 - the last place where anything can be caught
        return _bug(error)


def _flushed(code: int) -> int:
    try:
        streams.flush()
    except StateError as error:  # the results are lost, what was done is not: that code is the answer
        streams.tell([f"sretool: {error.message}; it ended with exit {code}", f"next:  {error.then}"])
        return code or error.exit_code
    return code


def _code_of(arguments: Sequence[str]) -> int:
    from sretool.cli.app import app

    try:
        if "_SRETOOL_COMPLETE" in os.environ:
            return _complete()
        with app.make_context("sretool", list(arguments)) as context:
            code = app.invoke(context)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return _misused(error, arguments)
    except SretoolError as error:
        return _failed(error, arguments)
    except (click.Abort, KeyboardInterrupt):
        streams.tell(["", "sretool: interrupted", _touched(Touched.NOTHING)])
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except OSError as error:
        if not _is_of_click(error):
            raise
        streams.lose(error)
        return 0


def _is_of_click(error: OSError) -> bool:
    """Tell whether click failed to write: help and version pages do not go through `streams`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("click.")


def _complete() -> int:
    from click.shell_completion import shell_complete

    from sretool.cli.app import app

    return shell_complete(app, {}, "sretool", "_SRETOOL_COMPLETE", os.environ["_SRETOOL_COMPLETE"])


def _misused(error: click.ClickException, arguments: Sequence[str]) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the help page
        streams.tell(error.format_message().splitlines())
        return USAGE
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "sretool"
    return _failed(UsageError(error.format_message(), then=f"see `{path} --help`"), arguments)


def _failed(error: SretoolError, arguments: Sequence[str]) -> int:
    """Tell of `error`, to a script that asked for JSON too; return the exit code."""
    from sretool.cli.unbegun import say_ending

    code = _told(error)
    say_ending(error, arguments)
    return code


def _told(error: SretoolError) -> int:
    if isinstance(error, DocumentError):
        streams.tell(error.problems)
        from sretool.report.format import show_count

        _tell(show_count(len(error.problems), "problem"), touched=error.touched, then=error.then)
    else:
        _tell(error.message, touched=error.touched, then=error.then)
    return error.exit_code


def _tell(message: str, *, touched: Touched, then: str) -> None:
    from sretool.report.format import wrapped
    from sretool.report.plan_text import render_next

    columns = streams.columns()
    lines = wrapped(message, first="sretool: ", columns=columns)
    streams.tell([*lines, _touched(touched), *render_next(then, columns=columns)])


def _touched(touched: Touched) -> str:
    return f"         {touched.value}"


def _bug(error: BaseException) -> int:
    """Tell of an error that nobody foresaw: one line, the traceback in a file."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if os.environ.get("SRETOOL_DEBUG") == "1":
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    streams.tell(
        [
            f"sretool: a bug in sretool: {type(error).__name__}: {masked(str(error))}",
            f"         {_saved(error)}",
            "         if a run was under way, its journal says how far it came: sretool report",
        ]
    )
    return 1


def _saved(error: BaseException) -> str:
    import traceback

    from sretool import __version__
    from sretool.clock import SystemClock

    text = f"sretool {__version__}, Python {sys.version}\n{''.join(traceback.format_exception(error))}"
    try:
        from sretool.folders import state_folder

        folder = state_folder() / "bugs"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{SystemClock().now():%Y%m%dt%H%M%S}-{os.getpid()}.txt"
        _write_private(path, masked(text))
    except Exception as failure:  # noqa: BLE001 - telling of a bug must not fail
        return f"its traceback could not be saved ({failure}); SRETOOL_DEBUG=1 shows it"
    return f"its traceback is in {path}; please report it"


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
