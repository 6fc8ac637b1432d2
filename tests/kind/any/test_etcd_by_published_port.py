"""etcd-latency by the published etcd ports, with certificates copied out of a node."""

import json

from tests.support.kind_cluster import writes_of

GIVEN = ("-p", "window=2s", "-p", "second_look=1s")


def test_every_member_is_found_and_its_reads_are_timed(kind, sretool):
    before = kind.audited()
    done = sretool("runbook", "etcd-latency", *GIVEN, "--plan", "--output", "json")
    assert done.returncode in {0, 8}, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert len(report["identity"]["etcd_member_ids"]) == len(kind.nodes)
    assert report["planned"] == []
    sources = {row["source"] for finding in report["found"] for row in finding["evidence"]}
    assert "probes" in sources, report["found"]
    assert writes_of("sretool", kind.audited(since=before)) == []


def test_the_glance_names_every_node_and_its_quota(kind, sretool):
    done = sretool("cluster", "status", "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    members = json.loads(done.stdout)["members"]
    assert [one["name"] for one in members] == kind.nodes
    assert {one["status"]["quota_bytes"] for one in members} == {128 << 20}
