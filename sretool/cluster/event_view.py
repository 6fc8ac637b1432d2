"""One look at the events: where they can be read, what they are, and by which door they could be deleted."""

import dataclasses
import datetime
from collections.abc import Sequence

from sretool.clients.kubernetes.away import is_away
from sretool.cluster.cluster import ClusterReader
from sretool.cluster.event_exports import exports_folder
from sretool.cluster.event_survey import Survey, Times, seconds_of, text_of
from sretool.cluster.events import api_pages
from sretool.cluster.stored_events import event_pages, find_place
from sretool.errors import NotPermittedError, RemoteError
from sretool.knowledge.event_door import PROBE_SLOW_SECONDS, Door, choose_door
from sretool.knowledge.event_groups import BATCH, STORED_BATCH, EventView
from sretool.knowledge.kubernetes_paths import object_path
from sretool.knowledge.stored_events import EventPlace
from sretool.model import AlarmType, Known, Unknown, known_only

PROBE_SECONDS = 3.0
_PROBES = 3  # one slow answer is no slow server


@dataclasses.dataclass(frozen=True)
class _Question:
    """What is asked about the events."""

    read: ClusterReader
    now: datetime.datetime
    namespaces: Sequence[str]
    reasons: Sequence[str]
    older_than: float
    most: int
    spent: int
    may_use_etcd: bool


@dataclasses.dataclass(frozen=True)
class _Probe:
    """What another client's small GET takes; `is_away` where it is unknown because the API server itself is."""

    seconds: Known[float]
    is_away: bool = False


def read_view(
    read: ClusterReader,
    *,
    namespaces: Sequence[str],
    reasons: Sequence[str],
    older_than: float,
    most: int,
    spent: int = 0,
    may_use_etcd: bool = True,
) -> EventView:
    """Return the events of `namespaces` (all when empty) and the batches of those with one of `reasons`.

    So many are selected as are left of `most` after the `spent` ones that this run has deleted. Where
    `may_use_etcd` is false they are read in etcd all the same, and deleted through the API server or not.

    RemoteError when neither etcd nor the API server lets them be read.
    """
    question = _Question(
        read=read,
        now=read.etcd.utc_now(),
        namespaces=namespaces,
        reasons=reasons,
        older_than=older_than,
        most=most,
        spent=spent,
        may_use_etcd=may_use_etcd,
    )
    probe = _probe(read)
    place = _place(read)
    # Where etcd has none, another one may have them: only the API server knows.
    if not isinstance(place, Unknown) and (place.has_any or isinstance(probe.seconds, Unknown)):
        try:
            return _from_etcd(question, place, probe)
        except RemoteError as error:
            place = Unknown(
                error.message
            )  # a member went away, or they are in a form that sretool does not read
    if isinstance(probe.seconds, Unknown):
        unknown, why = probe.seconds, place.reason if isinstance(place, Unknown) else "none are seen"
        raise RemoteError(
            f"{unknown.reason}; and events cannot be read in etcd either: {why}", then=unknown.then
        )
    if not isinstance(place, Unknown):
        place = Unknown("no events are seen in this etcd: another one may have them")
    return _from_api(question, _door(question, probe, place))


def _from_etcd(question: _Question, place: EventPlace, probe: _Probe) -> EventView:
    door = _door(question, probe, place)
    times = Times.of(question.now, older_than=question.older_than, show=seconds_of)
    survey = _survey(question, times, door)
    revision = 0
    for page in event_pages(question.read.etcd, place, question.namespaces):
        survey.add(page.events)
        revision = page.revision
    return _view(question, survey, door, revision=revision, before=times.floor or 0)


def _from_api(question: _Question, door: Door) -> EventView:
    times = Times.of(question.now, older_than=question.older_than, show=text_of)
    survey = _survey(question, times, door)
    for page in api_pages(question.read.kubernetes, question.namespaces):
        survey.add(page)
    return _view(question, survey, door)


def _survey(question: _Question, times: Times[int] | Times[str], door: Door) -> Survey:
    return Survey(
        times,
        reasons=question.reasons,
        most=max(0, question.most - question.spent),
        is_named=bool(question.namespaces),
        each=door.way != "etcd" and times.floor is not None,
        batch=STORED_BATCH if door.way == "etcd" else BATCH,
    )


def _view(
    question: _Question, survey: Survey, door: Door, *, revision: int = 0, before: int = 0
) -> EventView:
    # What goes from etcd is added batch by batch, over several looks: one file a day, not one a look.
    stamp = f"{question.now:%Y%m%d}-etcd" if door.way == "etcd" else f"{question.now:%Y%m%dt%H%M%S}"
    return EventView(
        total=survey.total,
        groups=survey.groups(),
        selected=survey.selected(exports_folder(question.read.name), stamp=stamp),
        is_named=bool(question.namespaces),
        has_age=question.older_than > 0,
        door=door,
        most=question.most,
        spent=question.spent,
        revision=revision or survey.revision,
        made_until=survey.made_until,
        before=before,
    )


def _door(question: _Question, probe: _Probe, place: Known[EventPlace]) -> Door:
    read = question.read
    if not question.may_use_etcd:
        place = Unknown("that was not permitted (in_etcd: false)")
    statuses = {
        name: status for name, status in known_only(read.etcd.status()).items() if not status.is_learner
    }
    alarms = read.etcd.alarms()
    return choose_door(
        has_api=read.has_kubernetes,
        probe=probe.seconds,
        is_away=probe.is_away,
        place=place,
        # Alarms that are unknown are left to the guards, which refuse then.
        has_nospace=not isinstance(alarms, Unknown) and any(one.type is AlarmType.NOSPACE for one in alarms),
        versions=[status.version for status in statuses.values()],
        through=sorted(statuses, key=lambda name: (not statuses[name].is_leader, name)),
    )


def _place(read: ClusterReader) -> Known[EventPlace]:
    uid = read.kubernetes.kube_system_uid() if read.has_kubernetes else Unknown("no API server is known")
    uid = "" if isinstance(uid, Unknown) else uid
    return find_place(read.etcd, cluster_uid=uid, remembered=read.api_server_flags)


def _probe(read: ClusterReader) -> _Probe:
    """Return what another client's small GET takes now: the first fast one, else the middle one.

    NotPermittedError where these credentials may not do it: then the server works, and etcd is no way around it.
    """
    took = []
    for _ in range(_PROBES):
        began = read.etcd.now()
        try:
            read.kubernetes.get(object_path("v1", "namespaces", "kube-system"), timeout_seconds=PROBE_SECONDS)
        except NotPermittedError:
            raise
        except RemoteError as error:
            return _Probe(Unknown(error.message, then=error.then), is_away=is_away(error))
        took.append(read.etcd.now() - began)
        if took[-1] <= PROBE_SLOW_SECONDS:
            return _Probe(took[-1])
    return _Probe(sorted(took)[len(took) // 2])
