"""The runbooks that are shipped, and what is generated from the steps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sretool.runbook.library import find_runbook
from sretool.runbook.loader import load_runbook, resolve_params, step_params
from sretool.runbook.schema import runbook_schema, written
from sretool.step import Duration, Percent, Quantity
from sretool.steps.catalogue import load_catalogue

ROOT = Path(__file__).resolve().parents[3]
NAMES = sorted(path.stem for path in (ROOT / "runbooks").glob("*.yaml"))


def loaded(name):
    text, origin = find_runbook(name)
    return load_runbook(text, origin=origin, catalogue=load_catalogue())


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_runbook_loads_and_its_parameters_fit_its_steps(name):
    runbook = loaded(name)
    params = resolve_params(runbook, {})
    assert [step_params(runbook, step, params) for step in runbook.steps]
    assert runbook.text.startswith("# yaml-language-server: $schema=../schemas/runbook.json\n")


def test_etcd_latency_looks_before_it_acts_in_the_order_that_is_safe():
    steps = [step.id for step in loaded("etcd-latency").steps]
    assert steps == [
        "status", "alarms", "latency", "sources", "census", "move_leader", "snapshot", "compact", "trim_events",
        "compact_trimmed", "defrag", "disarm",
    ]  # fmt: skip


def test_routine_defragmentation_leaves_alarms_to_etcd_nospace():
    runbook = loaded("etcd-defrag")
    assert runbook.steps[-1].when.steps == {"alarms"}
    assert runbook.verdicts["nospace"].next == "etcd-nospace"


def test_generated_files_are_up_to_date():
    checked = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, ""), f"run tools/generate.py {checked.stderr}"


def test_the_schema_knows_every_step_and_its_parameters():
    catalogue = load_catalogue()
    schema = runbook_schema(catalogue)
    branches = schema["properties"]["steps"]["items"]["oneOf"]
    assert [branch["properties"]["uses"]["const"] for branch in branches] == sorted(catalogue)
    for branch in branches:
        params = catalogue[branch["title"]].params_type
        assert set(branch["properties"]["with"]["properties"]) == set(params.__struct_encode_fields__)
        assert branch["additionalProperties"] is branch["properties"]["with"]["additionalProperties"] is False
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ("10s", Duration(10)),
        ("250ms", Duration(0.25)),
        ("1500ms", Duration(1.5)),
        ("90s", Duration(90)),
        ("45m", Duration(2700)),
        ("0s", Duration(0)),
        ("200Mi", Quantity(200 * 2**20)),
        ("1000", Quantity(1000)),
        ("45%", Percent(0.45)),
        ("7%", Percent(0.07)),
        (3, 3),
        ("text", "text"),
        ([], ()),
    ],
)
def test_defaults_are_written_as_a_person_writes_them(expected, value):
    assert written(value) == expected
    if isinstance(value, Duration | Quantity | Percent):
        assert type(value).parse(expected) == value


def test_loading_etcd_latency_is_quick():
    """Processor time in fresh processes: reading, YAML, CEL and checks, not the import of the steps."""
    script = (
        "import time; from sretool.runbook.library import find_runbook; "
        "from sretool.runbook.loader import load_runbook; from sretool.steps.catalogue import load_catalogue; "
        "catalogue = load_catalogue(); began = time.process_time(); text, origin = find_runbook('etcd-latency'); "
        "load_runbook(text, origin=origin, catalogue=catalogue); print(time.process_time() - began)"
    )
    seconds = [
        float(
            subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=True).stdout
        )
        for _ in range(3)
    ]
    assert min(seconds) < 0.06
