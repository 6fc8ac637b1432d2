"""Standard output for results, standard error for everything else; neither may break a run when it is gone."""

import codecs
import os
import sys
from collections.abc import Sequence
from typing import TextIO

from sretool.errors import StateError

_ASCII = str.maketrans({"«": '"', "»": '"', "…": "...", "·": "-", "≤": "<=", "≥": ">=", "→": "->"})
_LOST: list[str] = []
_UNSEEN: set[str] = set()


def prepare() -> None:
    """Make both streams able to take any text: what a locale cannot show is written in ASCII."""
    _fill_closed()
    codecs.register_error("sretool", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="sretool", line_buffering=True)


def _fill_closed() -> None:
    """Give a closed standard stream's number to /dev/null: or a journal would get it, and what a library
    prints to standard error would end in the journal."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one


def say(lines: Sequence[str]) -> None:
    """Write results to standard output."""
    if sys.stdout is None and lines:  # it was closed from the start, by `>&-`
        _UNSEEN.add("standard output is closed: what was found is shown nowhere")
    _write(sys.stdout, lines)


def tell(lines: Sequence[str]) -> None:
    """Write progress, refusals and hints to standard error."""
    _write(sys.stderr, lines)


def lose(error: OSError) -> None:
    """Note that somebody else could not write results to standard output."""
    _LOST.append(error.strerror or str(error))


def flush() -> None:
    """Write out what is buffered, tell of a closed standard output.

    StateError when results were lost (a full disk, not a closed pipe).
    """
    _write(sys.stdout, [])
    tell([f"sretool: {one}" for one in _UNSEEN])  # as asked for: the exit code stays
    if _LOST:
        raise StateError(
            f"standard output could not be written: {_LOST[0]}",
            then="give it room or send it elsewhere; what a run found is in `sretool report`",
        )


def columns() -> int:
    """Return how wide lines may be: 80, or the terminal's width where that is less."""
    if not _is_terminal(sys.stdout) and not _is_terminal(sys.stderr):
        return 80
    import shutil

    return max(40, min(80, shutil.get_terminal_size().columns))


def shows_state() -> bool:
    """Tell whether standard error is a terminal on which a line can be rewritten."""
    return _is_terminal(sys.stderr) and os.environ.get("TERM", "dumb") != "dumb"


def state_stream() -> TextIO:
    """Return the stream on which a line can be rewritten."""
    return sys.stderr


def shows_results() -> bool:
    """Tell whether standard output is a terminal: a person sees there what is said."""
    return _is_terminal(sys.stdout)


def _write(stream: TextIO | None, lines: Sequence[str]) -> None:
    if stream is None or stream.closed:
        return
    from sretool.report.format import printable

    clean = [printable(line) for line in lines]
    text = "".join(f"{line}\n" for line in clean)
    if (
        clean
        and _is_terminal(stream)
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    ):
        from sretool.report.terminal import colour

        text = colour(clean, stream)
    try:
        if text:  # writing nothing fails too where a disk is full
            stream.write(text)
        stream.flush()
    except BrokenPipeError:  # `| head` has seen enough: the run goes on, and so does its exit code
        _silence(stream)
    except OSError as error:
        if stream is sys.stdout:
            lose(error)
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Send what is still written to `stream` nowhere, so that nothing complains when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
