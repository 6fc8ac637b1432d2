"""What a person does about each cause that no runbook takes over: the last line of a run that ends with one.

Sources: etcd's operations guide (failures, runtime reconfiguration, tuning), Kubernetes' component documentation.
A text is one line of an ending: no semicolon, which would begin the next.
"""

from collections.abc import Mapping

from sretool.knowledge.membership import CORRECT

_QUORUM = {
    "quorum-lost": "start the members that are down: while their data may still be there, restore no snapshot and "
    "never use --force-new-cluster",
    "no-leader": "see in the members' logs why no election ends, and the network between their peer ports (2380)",
}
_SILENT = {
    "member-dead": "on its machine: crictl ps -a --name etcd, or journalctl -u etcd. Start it: remove it from the "
    "members only when its data are lost",
    "member-frozen": "on its machine, ps -o pid,stat,wchan -C etcd: T is stopped (kill -CONT), D waits for a disk",
    "member-defragmenting": "wait for its end: a defragmentation cannot be cancelled",
    "member-unreachable": "see its client address in the cluster file, the route and the firewall: its peers may "
    "still reach it",
    "member-tls": "sretool cluster doctor names the certificate",
    "member-slow": "on its machine: CPU, memory and disk, beside what else runs there",
}
_CERTIFICATE = "renew it (kubeadm certs renew) and restart what serves with it"
_FULL = (
    "raise --quota-backend-bytes (8 GiB at most is advised) on every member, or delete what the census names"
)
_SMALLER = "restart the member with the smaller quota with the --quota-backend-bytes of the others"
_FLOOD = "stop who writes them: --event-ttl of the API server is how long they stay"
_RUNAWAY = "lower maxReplicas of what scales it, then its replicas"
_API_DOWN = "on its node: crictl ps -a --name kube-apiserver, and the log of the last one"

STATUS: Mapping[str, str] = {
    **_QUORUM,
    **_SILENT,
    "member-unstarted": "start it with what `etcdctl member add` printed, or take it out: etcdctl member remove",
    "member-lagging": "on its machine: disk and network. Do not restart another member before it has caught up",
    "disagreement": "compare what etcdctl endpoint status shows of each: an address may lead to another cluster",
    "inventory-differs": CORRECT,
    "version-skew": "finish the upgrade or take it back, one member after the other",
    "compaction-stalled": "see that an API server runs: it compacts every five minutes",
    "certificate-expiry": _CERTIFICATE,
    "db-large": _FULL,
    "quota-differs": _SMALLER,
}
"""Causes that etcd.endpoint-status finds."""

ALARMS: Mapping[str, str] = {
    "nospace": "when there is room again, stop what filled it: the census names it",
    "corrupt": "change nothing, compare etcdctl endpoint hashkv at one revision, replace the member that differs",
    "alarm-unrecognised": "see the release notes of this etcd for the alarm",
    "stale-alarm": "etcdctl alarm disarm, which disarms every alarm: only while no other is raised",
}
"""Causes that etcd.alarm-list finds."""

LATENCY: Mapping[str, str] = {
    **_QUORUM,
    **_SILENT,
    "maintenance": "wait for its end, then look again",
    "disk-slow-leader": "give etcd's disk to etcd alone: fsync p99 has to be below 10 ms (fio --fdatasync=1)",
    "disk-slow-majority": "give etcd's disks to etcd alone: fsync p99 has to be below 10 ms (fio --fdatasync=1)",
    "disk-slow-minority": "replace the member, or its disk: remove it, add it anew as a learner, promote it",
    "network-node": "on its machine: ip -s link, then ping and mtr to each of the others",
    "network-pair": "ping and mtr between the two, on the addresses of their peer URLs",
    "list-storm": "sretool runbook control-plane-health names the resource and the flow schema of who lists",
    "write-storm": "sretool runbook event-flood and the census say what is written: stop who writes it",
    "watch-leak-etcd": "find who watches etcd itself: ss -tnp at its client port, beside the API servers",
    "cpu-starved": "give it more CPU, or take away what else runs there",
    "leader-churn": "see disk and network of the members that led: --heartbeat-interval should be about the round "
    "trip between members, --election-timeout ten times that",
    "db-large": _FULL,
    "quota-differs": _SMALLER,
}
"""Causes that etcd.latency finds."""

CENSUS: Mapping[str, str] = {"event-flood": _FLOOD}
"""Causes that etcd.census finds."""

DISARM: Mapping[str, str] = {"db-large": _FULL}
"""Causes that etcd.alarm-disarm finds."""

CONTROL_PLANE: Mapping[str, str] = {
    "api-down": _API_DOWN,
    "api-silent": "on its node: crictl logs of kube-apiserver. Behind a load balancer, ask each server itself",
    "api-not-ready": "kubectl get --raw '/readyz?verbose' names the check that fails",
    "api-slow": "sretool runbook etcd-latency tells whether etcd is the cause",
    "api-overloaded": "stop who asks so much, or give it a priority level of its own (a FlowSchema)",
    "list-pressure": "make its client watch, or list in pages: the audit log names it by user agent",
    "watch-pressure": "the audit log names who watches, by user agent",
    "lease-stale": "on the control-plane nodes: crictl ps -a --name and the lease's name, then the last one's log",
    "api-server-gone": "start it again, or, if its node is gone for good, leave its lease: it is collected",
    "certificate-expiring": _CERTIFICATE,
}
"""Causes that kubernetes.control-plane finds."""

SOURCES: Mapping[str, str] = {"event-flood": _FLOOD, "runaway": _RUNAWAY, "api-down": _API_DOWN}
"""Causes that kubernetes.load-sources finds."""

EVENTS: Mapping[str, str] = {"event-flood": _FLOOD}
"""Causes that kubernetes.event-cleanup finds."""

WORKLOADS: Mapping[str, str] = {"runaway": _RUNAWAY}
"""Causes that kubernetes.scale-down finds."""
