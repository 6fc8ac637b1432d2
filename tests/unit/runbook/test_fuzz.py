"""Whatever stands in a file: a runbook, or a DocumentError with places, and soon."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sretool.documents import read_file
from sretool.errors import DocumentError, UsageError
from sretool.runbook.expressions import Compiler, Condition
from sretool.runbook.loader import load_runbook, resolve_params
from sretool.runbook.references import Kind

SEED = """\
runbook: x
summary: it is slow
alerts: [Slow, Down]
needs: {etcd: required, hosts: optional}
params:
  window: {type: duration, default: 1m30s, about: how long}
  share:  {type: percent, default: 45%, about: how full}
steps:
  - {id: status, uses: etcd.endpoint-status, retry: {attempts: 3, within: 3s}, timeout: 1m}
  - id: census
    uses: etcd.census
    with: {window: "{{ params.window }}", pages: 3, depth: 'counts', prefixes: [/a]}
  - id: defrag
    uses: etcd.defrag
    when: "'a' in steps.census.causes && steps.status.quota_used >= params.share"
verdicts: {disk-slow: {next: member-replace}}
verify: {again_after: 60s}
"""
TOKENS = [
    *"{}[]:,-#'\"|>&*!%@\\ \n\t",
    "no", "0644", "1:30", "null", "5", "-1.5", "true", "{{ params.window }}", "{{", "steps.census.events", "when: ",
    "params", "id: status\n", "- ", "  ", "uses: etcd.defrag", "[" * 30, "9" * 50, "a" * 3000, "é", "\u2028", "\x85",
    "((((", "&&", "'", "&a *a", "<<: *a", "!!int ", "---\n", "\ufeff", "\x00", "\ud800",
]  # fmt: skip
RELAXED = settings(deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])


def must_load_or_explain(text, catalogue):
    try:
        runbook = load_runbook(text, origin="x.yaml", catalogue=catalogue)
    except DocumentError as error:
        for problem in error.problems:
            origin, line, column, words = problem.split(":", 3)
            assert origin == "x.yaml"
            assert 1 <= int(line) <= len(text.splitlines()) + 2
            assert int(column) >= 1
            assert words.strip()
    else:
        resolve_params(runbook, {})


@st.composite
def mutated(draw):
    text = SEED
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 5]))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 2, 5, 20])))
        text = text[:start] + draw(st.sampled_from(TOKENS)) + text[end:]
    return text


@settings(RELAXED, max_examples=600)
@given(text=mutated())
def test_a_mutated_runbook_loads_or_is_explained(text, catalogue):
    must_load_or_explain(text, catalogue)


@pytest.mark.parametrize(
    "written", ["1\\m", "'\\'", r"\g<9>", "{0}", "%s", "Expected `int`, got x - at `$[0]`"]
)
def test_what_a_message_quotes_is_taken_as_it_is(written, catalogue):
    quoted = "'" + written.replace("'", "''") + "'"
    must_load_or_explain(SEED.replace("1m}", quoted + "}").replace("pages: 3", f"pages: {quoted}"), catalogue)
    must_load_or_explain(SEED.replace("depth: 'counts'", f"depth: {quoted}"), catalogue)


@settings(RELAXED, max_examples=150)
@given(text=st.text(max_size=300))
def test_any_text_is_explained(text, catalogue):
    must_load_or_explain(text, catalogue)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.sampled_from(["10s", "1Mi", "5%", "status", "etcd.census", "{{ params.window }}", "a.b", "x"]),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "runbook", "summary", "steps", "params", "id", "uses", "with", "when", "type", "default",
                    "retry", "attempts", "within", "needs", "verdicts", "next", "verify", "window", "timeout",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)  # fmt: skip


@settings(RELAXED, max_examples=200)
@given(
    head=st.dictionaries(
        st.sampled_from(["params", "steps", "needs", "verdicts", "verify", "deadline"]), TREES
    )
)
def test_any_shape_under_the_right_keys_is_explained(head, catalogue):
    import json

    must_load_or_explain(json.dumps({"runbook": "x", "summary": "s"} | head, indent=1), catalogue)


@settings(RELAXED, max_examples=200)
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_text_or_explained(raw, tmp_path, catalogue):
    path = Path(tmp_path / "x.yaml")
    path.write_bytes(raw)
    try:
        text = read_file(path)
    except UsageError:
        return
    must_load_or_explain(text, catalogue)


PIECES = st.sampled_from(
    ["steps.a.n", "steps.a.t", "params.p", " > ", " && ", "(", ")", "'", '"', "1", "1.0", ".size()", "[", "]", "!", " ? ",
     " : ", " in ", "x", ".all(x, x)", "\n", "//", "\\", "r'", "'''", "`", "{", "}", "é", "\x00", "steps", ".", "null"]
)  # fmt: skip


@settings(RELAXED, max_examples=400)
@given(text=st.lists(PIECES, max_size=25).map("".join))
def test_any_condition_compiles_or_has_faults_inside_its_text(text):
    compiled = Compiler(
        {"steps.a.n": Kind.INTEGER, "steps.a.t": Kind.TEXTS, "params.p": Kind.DECIMAL}
    ).compile(text)
    if isinstance(compiled, Condition):
        assert compiled.steps <= {"a"}
        return
    assert compiled
    assert all(0 <= fault.offset <= len(text) and fault.text for fault in compiled)


@pytest.mark.timeout(10)
def test_a_condition_with_thousands_of_brackets_is_refused_at_once():
    compiler = Compiler({})
    for text in (
        "(" * 1999,
        "[" * 1999,
        "!" * 1999,
        "-" * 1999,
        "{" * 1999,
        "a." * 999,
        "'" * 1999,
        "1?" * 999,
    ):
        assert not isinstance(compiler.compile(text), Condition)
