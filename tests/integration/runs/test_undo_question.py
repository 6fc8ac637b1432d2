"""The question of an undo: at it nothing is under way, so one Ctrl-C ends it."""

import os
import signal

import pytest

from sretool.clock import SystemClock
from sretool.cluster.inventory import parse_cluster
from sretool.engine.opening import Terms, opened_run, reopened_run
from sretool.lab import LabSpec
from sretool.runbook.loader import load_runbook
from tests.support.etcd_cluster import running_lab
from tests.support.playing import RUNBOOKS, Playing, World, steps_of, yes

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("stages")]

MAKE = "playbook: test\nsummary: s\nstages:\n- {id: make, runbooks: [{run: make, with: {thing: a}}]}\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("uq"), LabSpec(name="uq", members=1)) as lab:
        yield lab


class Asked:
    """A person who presses Ctrl-C at the question, and would then say yes."""

    def __init__(self):
        self.was_told_of_it = False

    def __call__(self, plan, lock):
        os.kill(os.getpid(), signal.SIGINT)
        self.was_told_of_it = True
        return yes(plan, lock)


def test_of_a_runbook(lab):
    world = World()
    entry = parse_cluster(lab.cluster_file.read_text(), origin=str(lab.cluster_file))
    terms = Terms(catalogue=steps_of(world), clock=SystemClock(), emit=lambda _event: None, unattended=True)
    book = load_runbook(RUNBOOKS["make"], origin="make.yaml", catalogue=terms.catalogue)
    with opened_run(book, {"thing": "a"}, entry, terms, may_write=True) as operation:
        assert operation.run(yes).exit_code == 0
        run_id = operation.run_id
    asked = Asked()
    with reopened_run(run_id, lambda _name: entry, terms) as resumption:
        assert resumption.undo(asked).exit_code == 130
    assert (asked.was_told_of_it, world.things) == (False, {"a"})


def test_of_a_playbook(lab):
    world = World()
    playing = Playing(lab, world, MAKE)
    assert playing.run(yes).exit_code == 0
    asked = Asked()
    assert playing.undo(asked).exit_code == 130
    assert (asked.was_told_of_it, world.things) == (False, {"a"})
