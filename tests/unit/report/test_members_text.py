"""Members at a glance: every row, the right words, the right code."""

import pytest

from sretool.cluster import InventoryMember
from sretool.cluster.glance import Glance
from sretool.model import EndpointStatus, Member, MemberList, Silence, Unknown
from sretool.report.members_text import glance, render_members

QUOTA = 64 << 20
NAMES = ("m1", "m2", "m3")


def status(name, **fields):
    whole = {
        "cluster_id": 1,
        "member_id": int(name[1:]),
        "revision": 10,
        "raft_term": 2,
        "version": "3.6.8",
        "db_size_bytes": 20 << 20,
        "db_size_in_use_bytes": 10 << 20,
        "leader": 1,
        "raft_index": 100,
        "raft_applied_index": 100,
    }
    return EndpointStatus(**(whole | fields))


def peer(name):
    return f"https://{name}:2380"


def member(name, /, **fields):
    whole = {"id": int(name[1:]), "name": name, "peer_urls": (peer(name),), "client_urls": ()}
    return Member(**(whole | fields))


def listing(*others, without=()):
    return MemberList(members=(*(member(name) for name in NAMES if name not in without), *others))


def seen(*, quota=QUOTA, silent=None, listed=None, unserved=None, **by_name):
    silent = silent or {}
    statuses = {
        name: Unknown("no answer in 1.2 s") if name in silent else by_name.get(name, status(name))
        for name in NAMES
    }
    looked = Glance(
        statuses=statuses,
        quotas=dict.fromkeys(NAMES, quota),
        silences={name: (kind, "asked its port") for name, kind in silent.items()},
        member_list=listing() if listed is None else listed,
        unserved=unserved or {},
    )
    known = [InventoryMember(name=name, client=f"https://{name}:2379", peer=peer(name)) for name in NAMES]
    return glance("prod", known, looked)


def shown(looked):
    return "\n".join(render_members(looked))


def test_all_is_well():
    looked = seen()
    assert looked.exit_code == 0
    assert [row.role for row in looked.members] == ["leader", "follower", "follower"]


@pytest.mark.parametrize(
    ("looked", "words", "code"),
    [
        pytest.param(seen(silent={"m2": Silence.DEAD}), "m2: dead", 9, id="dead"),
        pytest.param(seen(unserved={"m2": "no answer"}), "m2: it answers for itself only", 9, id="unserved"),
        pytest.param(seen(silent={"m2": Silence.FROZEN}), "m2: frozen", 9, id="frozen"),
        pytest.param(seen(silent={"m2": Silence.DEFRAGMENTING}), "m2: defragmenting", 9, id="defragmenting"),
        pytest.param(seen(silent={"m2": Silence.UNREACHABLE}), "m2: unreachable", 8, id="unreachable"),
        pytest.param(seen(silent={"m2": Silence.TLS}), "m2: tls", 8, id="tls"),
        pytest.param(
            seen(silent={"m2": Silence.DEAD, "m3": Silence.FROZEN}), "no quorum: 1 of 3", 9, id="two down"
        ),
        pytest.param(
            seen(silent=dict.fromkeys(NAMES, Silence.UNREACHABLE)),
            "none of 3 members answers",
            8,
            id="nobody",
        ),
        pytest.param(
            seen(m2=status("m2", errors=("memberID:3 alarm:NOSPACE ",))),
            "m2: etcd says: alarm NOSPACE of m3",
            9,
            id="alarm",
        ),
        pytest.param(
            seen(m2=status("m2", errors=("memberID:255 alarm:CORRUPT ",))),
            "alarm CORRUPT of member ff",
            9,
            id="alarm of a removed member",
        ),
        pytest.param(seen(m3=status("m3", leader=0)), "knows no leader", 9, id="one without a leader"),
        pytest.param(seen(m3=status("m3", raft_applied_index=0, leader=1)), "", 0, id="exactly at the limit"),
        pytest.param(seen(m1=status("m1", raft_index=5000)), "entries behind", 9, id="lag"),
        pytest.param(seen(m3=status("m3", db_size_bytes=60 << 20)), "94 % of the quota", 9, id="nearly full"),
        pytest.param(seen(m3=status("m3", cluster_id=2)), "disagree", 9, id="two clusters"),
        pytest.param(seen(m2=status("m2", raft_term=3)), "disagree", 9, id="two terms"),
        pytest.param(seen(quota=Unknown("no metrics")), "its quota is unknown", 8, id="quota unread"),
        pytest.param(
            seen(listed=listing(member("m4", name="", is_learner=True))),
            "prod: the member at https://m4:2380 was added and never started",
            9,
            id="a learner that has never started",
        ),
        pytest.param(
            seen(listed=listing(member("m4"))),
            "m4 (https://m4:2380), which the inventory lacks",
            9,
            id="a member that the inventory lacks",
        ),
        pytest.param(
            seen(m3=status("m3", member_id=9), listed=listing(without=("m3",))),
            "m3 (https://m3:2380), which the cluster does not list",
            9,
            id="a member that was removed",
        ),
        pytest.param(
            seen(m1=status("m1", member_id=2), m2=status("m2", member_id=1)),
            "the endpoint of m1 answers as member 2 (m2)",
            9,
            id="swapped endpoints",
        ),
        pytest.param(
            seen(listed=listing(member("m3", peer_urls=("https://m3:9",)), without=("m3",))),
            "the peer URL of m3 is https://m3:2380 in the inventory, the cluster lists it under https://m3:9",
            9,
            id="another peer URL",
        ),
        pytest.param(
            seen(listed=listing(member("m1", name="m2"), member("m2", name="m1"), without=("m1", "m2"))),
            "the inventory calls the member at https://m1:2380 m1, which in etcd is the name of",
            9,
            id="swapped names",
        ),
        pytest.param(
            seen(listed=Unknown("not permitted")),
            "the member list could not be read: not permitted",
            8,
            id="member list unread",
        ),
    ],
)
def test_what_is_wrong_is_said_and_decides_the_code(looked, words, code):
    assert words in " ".join(shown(looked).split())
    assert code == looked.exit_code


def test_every_member_has_a_row_however_many_are_silent():
    table = shown(seen(silent=dict.fromkeys(NAMES, Silence.UNREACHABLE)))
    assert all(f"\n{name}  " in table for name in NAMES)


def test_a_page_of_80_columns_is_wide_enough():
    looked = seen(silent={"m2": Silence.DEFRAGMENTING}, listed=listing(member("m4")))
    assert all(len(line) <= 80 for line in render_members(looked))
