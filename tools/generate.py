"""Writes the files that are generated from the code; `--check` compares them instead."""  # noqa: INP001 - a script

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import reference

from sretool.runbook.schema import playbook_schema, runbook_schema
from sretool.steps.catalogue import load_catalogue

ROOT = Path(__file__).resolve().parents[1]


def generated() -> Mapping[Path, str]:
    """Return the text of every generated file by its path."""
    # Steps that somebody has installed beside ours have no place in what is committed.
    own = {
        uses: step for uses, step in load_catalogue().items() if step.__module__.startswith("sretool.steps.")
    }
    schema, playbooks = (
        json.dumps(one, indent=2, ensure_ascii=False) for one in (runbook_schema(own), playbook_schema())
    )
    pages = ROOT / "docs" / "reference"
    return {
        ROOT / "schemas" / "runbook.json": f"{schema}\n",
        ROOT / "schemas" / "playbook.json": f"{playbooks}\n",
        pages / "exit-codes.md": reference.exit_codes(),
        pages / "steps.md": reference.steps(own),
        pages / "runbooks.md": reference.runbooks(own),
        pages / "playbooks.md": reference.playbooks(own),
    }


def main() -> int:
    """Write what differs; with `--check` only name it, and return 1 when there is any."""
    differ = [
        (path, text)
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    check = "--check" in sys.argv[1:]
    for path, text in differ:
        sys.stdout.write(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}\n")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if check and differ else 0


if __name__ == "__main__":
    sys.exit(main())
