"""The house's own rules that no linter knows: how long things may be, and what no file may say."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "sretool").rglob("*.py"))
EVERYWHERE = sorted(
    path
    for folder in ("sretool", "tests", "tools", "bench", "docs", "runbooks", "playbooks", "schemas")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and path.suffix != ".pyc" and "results" not in path.parts
)
FILE_LINES, FUNCTION_LINES = 300, 50
BUDGETS = {"sretool/engine/executor.py": 150, "sretool/step/contract.py": 120}
BANNED_NAMES = {"utils", "helpers", "manager", "handler", "data", "info", "process", "do", "misc"}
MACHINE_PATHS = re.compile(r"/(?:work|root|home/[a-z]+|tmp/[a-z]+)/")
BARE_IGNORE = re.compile(r"#\s*type:\s*ignore(?!\[[a-z-]+\]\s+#\s*\S)")


def named(path):
    return str(path.relative_to(ROOT))


def functions_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(function):
    """Return the length of what it does: decorators, signature and docstring do not count."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_there_is_something_to_look_at():
    assert len(SOURCES) > 100
    assert len(EVERYWHERE) > len(SOURCES)
    assert all((ROOT / name).is_file() for name in BUDGETS)


def test_every_file_can_be_read_at_once():
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {} == {name: length for name, length in lengths.items() if length > BUDGETS.get(name, FILE_LINES)}


def test_every_function_can_be_read_at_once():
    found = [(named(path), one.name, lines_of(one)) for path in SOURCES for one in functions_of(path)]
    assert [] == [one for one in found if one[2] > FUNCTION_LINES]


def test_no_module_function_or_parameter_has_a_name_that_says_nothing():
    found = [(named(path), path.stem) for path in SOURCES]
    for path in SOURCES:
        for function in functions_of(path):
            arguments = (*function.args.args, *function.args.kwonlyargs)
            found += [(named(path), name) for name in (function.name, *(one.arg for one in arguments))]
    assert [] == [one for one in found if one[1] in BANNED_NAMES]


def test_every_module_says_its_purpose_in_its_first_line():
    firsts = {
        path: (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        for path in SOURCES
    }
    assert [] == [named(path) for path, first in firsts.items() if len(first) < 10]


def test_what_the_type_checker_is_told_to_ignore_has_a_code_and_a_reason():
    found = [path for path in EVERYWHERE if path.suffix == ".py" and path != Path(__file__)]
    assert [] == [named(path) for path in found if BARE_IGNORE.search(path.read_text(encoding="utf-8"))]


def test_nothing_names_the_machine_that_it_was_written_on():
    texts = ((path, path.read_text(encoding="utf-8", errors="replace")) for path in EVERYWHERE)
    assert [] == [
        f"{named(path)}: {found[0]}" for path, text in texts if (found := MACHINE_PATHS.search(text))
    ]
