"""What a terminal adds to the lines: colour that repeats words, and one line that says what is going on now."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from sretool.knowledge.words import show_seconds
from sretool.report.format import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

_COLOURS = {
    "bold red": r"\b(CRITICAL|irreversible|no way back|NOT PLANNED|refused|cannot-tell|not-done|partly)\b",
    "yellow": r"\b(WARNING|UNKNOWN|disruptive|unknown|retry|waits|dropped|still-going)\b",
    "green": r"(?<=\s)(ok|done|OK)\b",
    "bold": r"^(FOUND AFTERWARDS|FOUND|NOW|PLAN|UNDO|SKIPPED|CHANGES|TIMELINE|ENDED)\b",
}


def colour(lines: Sequence[str], stream: TextIO) -> str:
    """Return `lines` with the states coloured as `stream`, a terminal, can show it (`NO_COLOR`, `TERM`)."""
    console = _console(stream)
    with console.capture() as captured:
        for line in lines:
            console.print(_painted(line), soft_wrap=True)
    return captured.get()


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)


def _painted(line: str) -> "Text":
    from rich.text import Text

    text = Text(line)
    for style, words in _COLOURS.items():
        text.highlight_regex(words, style)
    return text


class StateLine:
    """The last line of the terminal, rewritten in place: what is going on, and for how long."""

    def __init__(self, stream: TextIO, elapsed: Callable[[], float]) -> None:
        self._stream = stream
        self._elapsed = elapsed
        self._live: Live | None = None
        self._state, self._since = "", 0.0

    def show(self, state: str) -> None:
        """Say what is going on from now on; an empty state takes the line away."""
        if not state:
            self.clear()
            return
        if state.partition(":")[0] != self._state.partition(":")[0]:
            self._since = self._elapsed()
        self._state = state
        if self._live is None:
            from rich.live import Live

            self._live = Live(
                get_renderable=self._render,
                console=_console(self._stream),
                transient=True,
                refresh_per_second=4,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def clear(self) -> None:
        """Take the line away: something else is about to be written."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _render(self) -> "Text":
        from rich.text import Text

        took = show_seconds(max(0.0, self._elapsed() - self._since))
        line = printable(f"{self._elapsed():>7.1f} s  {self._state} ({took})").replace("\n", " ")
        return Text(line, overflow="ellipsis", no_wrap=True)
