"""A plan with nothing in it, and what a test puts there."""

import datetime

from sretool.engine.plan import Plan
from sretool.model import Identity

MADE_AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def plan_with(**fields):
    """Return a plan of `etcd-defrag` for the cluster `c`, with these fields otherwise."""
    usual = {
        "runbook": "etcd-defrag",
        "text": "",
        "origin": "x",
        "params": {},
        "cluster": "c",
        "identity": Identity(etcd_cluster_id="1"),
        "made_at": MADE_AT,
    }
    return Plan(**(usual | fields))
