"""Every cause that a finding may name is a cause of some step, and a person is told what to do about it."""

import re
from pathlib import Path

import sretool
from sretool.model import Silence
from sretool.steps.catalogue import load_catalogue

PACKAGE = Path(sretool.__file__).parent
# Not causes: what a good look says, what could not be read, and the answers of guards and hazards.
OTHER = {"not-etcd", "idle", "control-plane-well", "cannot-tell", "pass", "wait", "warn", "refuse"}


def named_in_the_code() -> set[str]:
    sources = [path.read_text("utf-8") for path in PACKAGE.rglob("*.py")]
    named = {verdict for source in sources for verdict in re.findall(r'verdict="([a-z-]+)"', source)}
    return (named - OTHER) | {f"member-{silence}" for silence in Silence}


def test_every_cause_has_its_advice_in_one_line():
    causes: dict[str, str] = {}
    for step in load_catalogue().values():
        causes |= step.causes
    assert not named_in_the_code() - set(causes)
    assert not [by_hand for by_hand in causes.values() if not by_hand or ";" in by_hand or "\n" in by_hand]


def test_the_causes_of_disks_and_alarms_are_those_that_their_rules_build():
    catalogue = load_catalogue()
    disk = (PACKAGE / "knowledge" / "verdict_disk.py").read_text("utf-8")
    named = set(re.findall(r'_finding\("([a-z-]+)"', disk))
    assert named == {cause for cause in catalogue["etcd.latency"].causes if cause.startswith("disk-")}
    assert {"nospace", "corrupt", "alarm-unrecognised"} <= set(catalogue["etcd.alarm-list"].causes)
