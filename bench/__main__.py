"""`python -m bench [NAME…] [--case TEXT]`: run measures, print a table, keep a JSON file. Time never fails it."""

import argparse
import datetime
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module

from bench import report
from bench.model import Result, WrongAnswerError, run_case
from bench.stage import Stage, open_stage
from sretool.errors import SretoolError

MEASURES = {
    "help": "help",
    "first-finding": "first_finding",
    "status": "status",
    "census": "census",
    "nospace": "nospace",
    "defrag": "defrag",
    "quota-rollout": "quota_rollout",
    "events": "events",
}


def main(arguments: Sequence[str]) -> int:
    """Return 0 when every measure ran and gave right answers, whatever its time; else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(MEASURES)} (all)")
    parser.add_argument("--case", default="", metavar="TEXT", help="only cases with TEXT in their name")
    given = parser.parse_args(arguments)
    names = given.names
    for name in names:
        if name not in MEASURES:
            parser.error(f"there is no measure {name!r}: choose of {', '.join(MEASURES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # labs are taken down on the way out
    began = datetime.datetime.now(datetime.UTC)
    results: list[Result] = []
    with open_stage(_tell) as stage:
        for name in names or MEASURES:
            results += _run(name, stage, only=given.case)
    path = report.keep(results, began=began)
    missed = sum(not verdict.met for result in results for verdict in result.verdicts)
    failed = sum(bool(result.failure) for result in results)
    goals = sum(len(result.verdicts) for result in results)
    print(f"\n{goals - missed} of {goals} goals met, {failed} cases did not run; kept in {path}")
    return 1 if failed else 0


def _run(name: str, stage: Stage, *, only: str) -> list[Result]:
    began = time.monotonic()
    results: list[Result] = []
    try:
        for case in import_module(f"bench.measures.{MEASURES[name]}").cases(stage):
            if only not in case.name:
                continue
            results.append(run_case(name, case, _tell))
            print("\n".join(report.render(results[-1])), flush=True)
    except (SretoolError, WrongAnswerError, OSError) as error:
        results.append(Result(measure=name, case="set-up", failure=str(error)))
        print("\n".join(report.render(results[-1])), flush=True)
    _tell(f"{name}: {time.monotonic() - began:.0f} s")
    return results


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
