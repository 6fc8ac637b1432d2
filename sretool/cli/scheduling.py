"""Puts together what `sretool schedule` prints: the job, its files, and where they go."""

import sys
from collections.abc import Mapping
from pathlib import Path

from sretool import __version__
from sretool.cli import streams
from sretool.cluster import ClusterEntry, require_cluster
from sretool.cluster.glance import read_glance
from sretool.errors import StateError, UsageError
from sretool.folders import config_folder
from sretool.knowledge.window import Window
from sretool.knowledge.words import show_bytes
from sretool.model import Risk, known_only
from sretool.report.schedule import (
    ScheduledJob,
    render_cronjob,
    render_dockerfile,
    render_service,
    render_timer,
)
from sretool.report.schedule.job import UNKNOWN_BYTES
from sretool.runbook.library import is_shipped
from sretool.runbook.loader import resolve_params
from sretool.runbook.named import read_runbook
from sretool.runbook.rights import rights_of
from sretool.steps.catalogue import load_catalogue

DOCKERFILE = "Dockerfile"


def scheduled_job(
    name: str, *, cluster: str, given: Mapping[str, str], approve: str | None, window: Window
) -> ScheduledJob:
    """Return the job. UsageError where it could not do its work: too short a window, a missing approval."""
    catalogue = load_catalogue()
    book = read_runbook(name, catalogue)
    resolve_params(book, given)
    risk = max(catalogue[spec.uses].risk for spec in book.steps)
    if approve is None and risk is Risk.IRREVERSIBLE:
        raise UsageError(
            f"{book.name} may plan what has no way back, and nobody will be there to be asked",
            then="say so if that is what you want: --approve irreversible",
        )
    entry = require_cluster(cluster)
    job = ScheduledJob(
        runbook=book.name,
        runbook_path="" if is_shipped(book.origin) else str(Path(book.origin).absolute()),
        summary=book.summary,
        entry=entry,
        approve=approve or str(max(risk, Risk.REVERSIBLE)),
        window=window,
        largest_bytes=_largest_bytes(entry),
        given=given,
        rights=rights_of(book, catalogue),
    )
    if job.longest_seconds < job.grace_seconds:
        raise UsageError(
            f"the window {window} is too short: a start may be {job.latest_start_seconds} s late, and a "
            f"defragmentation of {show_bytes(job.largest_bytes)} may have to be waited for {job.grace_seconds} s",
            then="give it a longer --window",
        )
    return job


def files_of(job: ScheduledJob, kind: str, *, node: str | None, image: str | None) -> dict[str, str]:
    """Return the files by name. UsageError for options that `kind` does not have."""
    if kind == "cronjob":
        if job.runbook_path:
            raise UsageError(
                f"{job.runbook_path} is a runbook of yours: the container image holds those of sretool only",
                then="schedule it with --as systemd on a machine that has the file",
            )
        pinned = node or job.entry.etcd.members[0].name
        manifest = render_cronjob(job, node=pinned, image=image or f"sretool:{__version__}")
        return {f"{job.name}.yaml": manifest, DOCKERFILE: render_dockerfile(__version__)}
    if node or image:
        raise UsageError("--node and --image are for --as cronjob", then="leave them out")
    program = str(Path(sys.executable).with_name("sretool"))
    service = render_service(job, program=program, config_home=str(config_folder().parent))
    return {f"{job.name}.service": service, f"{job.name}.timer": render_timer(job)}


def write_files(files: Mapping[str, str], folder: Path) -> list[str]:
    """Write the files, what is there is replaced; return what to do with them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StateError(f"{folder} cannot be written: {error.strerror}") from error
    return [str(folder / name) for name in files]


def _largest_bytes(entry: ClusterEntry) -> int:
    """Return the largest quota of a member: no file grows much beyond it."""
    quotas = known_only(read_glance(entry.etcd, entry.kubernetes).quotas)
    if len(quotas) == len(entry.etcd.members):
        return max(quotas.values())
    streams.tell(
        [f"not every member told its quota: {show_bytes(UNKNOWN_BYTES)} are assumed for how long to wait"]
    )
    return max(UNKNOWN_BYTES, *quotas.values()) if quotas else UNKNOWN_BYTES
