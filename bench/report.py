"""Results as a table for people, and as a JSON file that is kept."""

import datetime
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.model import Result, Spread, Verdict
from sretool import __version__
from sretool.lab.spec import RELEASES, LabSpec

FOLDER = Path(__file__).parent / "results"


def render(result: Result) -> list[str]:
    """Return one case as lines: the sides of each quantity, then the goals."""
    lines = ["", f"{result.measure}: {result.case}" + (f" ({result.note})" if result.note else "")]
    if result.failure:
        return [*lines, f"  DID NOT RUN: {result.failure}"]
    names = list(result.sides)
    width = max(len(name) for name in names)
    for quantity in result.sides[names[0]]:
        first = result.sides[names[0]][quantity]
        peers = {name: result.sides[name][quantity] for name in names[1:] if quantity in result.sides[name]}
        if not any(one.max for one in (first, *peers.values())):
            continue  # nothing of it happened on any side
        lines.append(f"  {quantity:<48}{'min':>9}{'median':>9}{'max':>9}{'ratio':>8}{'min':>7}")
        lines.append(f"    {names[0]:<{max(width, 44)}}{_spread(first)}")
        lines += [
            f"    {name:<{max(width, 44)}}{_spread(peer)}{_ratios(first, peer)}"
            for name, peer in peers.items()
        ]
    return lines + [f"  goal: {_goal(verdict)}" for verdict in result.verdicts]


def keep(results: Sequence[Result], *, began: datetime.datetime) -> Path:
    """Write the results, with date, versions and the machine's size, and return the file."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{began:%Y%m%dT%H%M%SZ}.json"
    page = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    document = {
        "date": began,
        "sretool": __version__,
        "etcd": RELEASES[LabSpec().version],
        "python": platform.python_version(),
        "machine": {"cores": os.cpu_count(), "memory_gib": round(page / 2**30, 1), "cpu": platform.machine()},
        "results": results,
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))
    return path


def _spread(spread: Spread) -> str:
    return "".join(f"{value:>9.3f}" for value in (spread.min, spread.median, spread.max))


def _ratios(ours: Spread, peer: Spread) -> str:
    if not peer.median or not peer.min:
        return ""
    return f"{ours.median / peer.median:>8.2f}{ours.min / peer.min:>7.2f}"


def _goal(verdict: Verdict) -> str:
    goal = verdict.goal
    met = "met" if verdict.met else "MISSED"
    if not goal.against:
        return f"{goal.quantity} ≤ {goal.limit:g}: {verdict.ratio:.3g}: {met}"
    return f"{goal.quantity} ≤ {goal.limit:g} times «{goal.against}»: {verdict.ratio:.2f}: {met}"
