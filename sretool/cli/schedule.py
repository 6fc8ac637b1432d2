"""`sretool schedule`: what a CronJob or a systemd timer needs to run a runbook unattended."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sretool.cli.options import (
    APPROVAL_LEVELS,
    cluster_option,
    complete_runbooks,
    given_params,
    params_option,
    window_option,
)

if TYPE_CHECKING:
    from sretool.knowledge.window import Window

DEFAULT_WINDOW = "Sun 02:00-04:00 UTC"


@click.command()
@click.argument("name", shell_complete=complete_runbooks)
@click.option("--as", "kind", type=click.Choice(["cronjob", "systemd"]), required=True, help="For whom.")
@cluster_option
@params_option
@window_option(default=DEFAULT_WINDOW)
@click.option(
    "--approve",
    type=click.Choice(APPROVAL_LEVELS),
    help="Approve plans up to this risk; the runbook's own without it, where there is a way back.",
)
@click.option(
    "--node", metavar="NAME", help="cronjob: the node it is pinned to; else the first etcd member's."
)
@click.option("--image", metavar="IMAGE", help="cronjob: its container image; else sretool:VERSION.")
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), help="Write the files to this folder."
)
def schedule(
    name: str,
    kind: str,
    cluster: str,
    params: tuple[str, ...],
    window: "Window",
    approve: str | None,
    node: str | None,
    image: str | None,
    to: Path | None,
) -> int:
    """Print what a scheduler needs to run the runbook NAME unattended, inside a maintenance window.

    A CronJob on one control-plane node with its role, configuration and image recipe, or a systemd service and
    timer. Nothing is installed.
    """
    from sretool.cli import streams
    from sretool.cli.scheduling import DOCKERFILE, files_of, scheduled_job, write_files

    job = scheduled_job(name, cluster=cluster, given=given_params(params), approve=approve, window=window)
    files = files_of(job, kind, node=node, image=image)
    if to is not None:
        streams.say(write_files(files, to))
        return 0
    for file, text in files.items():
        if file == DOCKERFILE:  # what is printed can be applied as it stands
            streams.tell([f"next:  --to DIR writes the {file} of the image too"])
        else:
            streams.say([f"# {file}", *text.splitlines()])
    return 0
