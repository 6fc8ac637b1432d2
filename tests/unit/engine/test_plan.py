"""The approved plan may shrink, never grow."""

import datetime
import os

import msgspec
import pytest

from sretool.engine.plan import load_plan, require_savable, save_plan, uncovered
from sretool.errors import StalePlanError, UsageError
from sretool.model import Change, Cost, Effect, Risk
from tests.support.plans import MADE_AT as NOW
from tests.support.plans import plan_with


def change(name, **fields):
    whole = {
        "step": "defrag",
        "uses": "etcd.defrag",
        "verb": "defragment",
        "object": f"https://{name}:2380",
        "label": name,
        "reason": "r",
        "risk": Risk.DISRUPTIVE,
        "effects": (Effect.STALLS_MEMBER,),
    }
    return Change(**(whole | fields))


def plan(*changes):
    return plan_with(changes=changes)


@pytest.mark.parametrize(
    ("approved", "fresh", "covered"),
    [
        pytest.param([change("a"), change("b")], [change("b")], True, id="one is no longer due"),
        pytest.param([change("a"), change("b")], [change("b"), change("a")], True, id="another order"),
        pytest.param([change("a")], [change("a"), change("b")], False, id="one more"),
        pytest.param([change("a", bounds={"n": 5})], [change("a", bounds={"n": 4})], True, id="smaller"),
        pytest.param([change("a", bounds={"n": 5})], [change("a", bounds={"n": 6})], False, id="larger"),
        pytest.param([change("a")], [change("a", bounds={"n": 6})], False, id="a bound nobody saw"),
        pytest.param([change("a", bounds={"n": [1, 2]})], [change("a", bounds={"n": [2]})], True, id="fewer"),
        pytest.param([change("a", bounds={"n": [1]})], [change("a", bounds={"n": [3]})], False, id="others"),
        pytest.param([change("a", bounds={"to": "x"})], [change("a", bounds={"to": "y"})], False, id="text"),
        pytest.param([change("a", bounds={"n": True})], [change("a", bounds={"n": False})], False, id="flag"),
        pytest.param(
            [change("a", risk=Risk.DISRUPTIVE)], [change("a", risk=Risk.IRREVERSIBLE)], False, id="riskier"
        ),
        pytest.param(
            [change("a", cost=Cost(seconds=1))],
            [change("a", cost=Cost(seconds=9))],
            True,
            id="sizes may move",
        ),
    ],
)
def test_covered(approved, fresh, covered):
    assert covered is (uncovered(fresh, approved) == ())


def test_stalls_add_up_per_member():
    both = plan(
        change("a", cost=Cost(stalls={"m1": 1.0, "m2": 0.5})), change("b", cost=Cost(stalls={"m1": 2.0}))
    )
    assert {"m1": 3.0, "m2": 0.5} == both.stalls


def test_a_saved_plan_is_read_back_equal(tmp_path):
    saved = plan(change("a", bounds={"n": 5}, before={"count": 3}))
    save_plan(saved, tmp_path / "plan.json")
    assert saved == load_plan(tmp_path / "plan.json", now=NOW)
    assert 0o600 == (tmp_path / "plan.json").stat().st_mode & 0o777


def test_a_plan_can_be_saved_beside_others_and_over_an_older_one(tmp_path):
    require_savable(tmp_path / "plan.json")
    assert not (tmp_path / "plan.json").exists()
    save_plan(plan(), tmp_path / "plan.json")
    require_savable(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("folder", "it is a directory"),
        ("link", "it is a symbolic link"),
        ("nowhere/plan.json", "there is no folder"),
        ("file/plan.json", "there is no folder"),
        ("x" * 300, "File name too long"),
    ],
)
def test_where_a_plan_cannot_be_saved_is_a_usage_error(tmp_path, name, why):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(UsageError, match=why):
        require_savable(tmp_path / name)


@pytest.fixture
def unprivileged():
    """Take from root what lets it write anywhere, as far as access(2) is asked."""
    real = os.getuid()
    if real == 0:
        os.setresuid(65534, -1, -1)
    yield
    if real == 0:
        os.setresuid(0, -1, -1)


@pytest.mark.usefixtures("unprivileged")
def test_a_plan_is_not_saved_where_nothing_can_be_written(tmp_path):
    (tmp_path / "old.json").touch(mode=0o400)
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="it cannot be written"):
        require_savable(tmp_path / "old.json")
    with pytest.raises(UsageError, match=r"the folder .* cannot be written"):
        require_savable(tmp_path / "new.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe"])
def test_what_is_no_plan_is_a_usage_error(tmp_path, content):
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"plan\.json"):
        load_plan(tmp_path / "plan.json", now=NOW)


def test_another_format_is_named(tmp_path):
    other = msgspec.structs.replace(plan(), format=2)
    save_plan(other, tmp_path / "plan.json")
    with pytest.raises(UsageError, match="format 2"):
        load_plan(tmp_path / "plan.json", now=NOW)


@pytest.mark.parametrize("minutes", [-1, 61])
def test_a_plan_from_another_hour_is_stale(tmp_path, minutes):
    save_plan(plan(), tmp_path / "plan.json")
    with pytest.raises(StalePlanError):
        load_plan(tmp_path / "plan.json", now=NOW + datetime.timedelta(minutes=minutes))


def test_only_reversible_changes_have_a_way_back():
    with pytest.raises(ValueError, match="no way back"):
        change("a", risk=Risk.IRREVERSIBLE).reversed()
    back = change("a", risk=Risk.REVERSIBLE, before={"n": 1}, after={"n": 2}).reversed()
    assert ({"n": 2}, {"n": 1}) == (back.before, back.after)
