"""`sretool cluster`: members at a glance, and what can be reached."""

from pathlib import Path

import click

from sretool.cli.options import cluster_option, complete_runbooks, output_option


@click.group()
def cluster() -> None:
    """Show the members of a cluster, and what can be reached by which path."""


@cluster.command()
@cluster_option
@output_option
def status(cluster: str, output: str) -> int:
    """Show every member in one table, silent ones with the reason.

    Exit 0: all is well. 9: something is wrong. 8: nothing is seen wrong, but something could not be seen.
    """
    from sretool.cli import streams
    from sretool.cluster.glance import read_glance
    from sretool.cluster.inventory import require_cluster
    from sretool.report.members_text import glance, render_members

    entry = require_cluster(cluster)
    seen = glance(entry.cluster, entry.etcd.members, read_glance(entry.etcd, entry.kubernetes))
    if output == "json":
        from sretool.report.documents import render_json

        streams.say([render_json(seen)])
    else:
        streams.say(render_members(seen, columns=streams.columns()))
    return seen.exit_code


@cluster.command()
@cluster_option
@output_option
def doctor(cluster: str, output: str) -> int:
    """Try every path to the cluster, say what is missing and what to do about it.

    Exit 0: every path that is set up works. 8: one does not.
    """
    from sretool.cli import streams
    from sretool.cli.doctor import examine
    from sretool.cluster import require_cluster
    from sretool.report.doctor_text import render_checks

    entry = require_cluster(cluster)
    checks = examine(entry)
    if output == "json":
        from sretool.report.documents import render_json

        streams.say([render_json({"cluster": entry.cluster, "checks": checks})])
    else:
        streams.say(render_checks(checks, columns=streams.columns()))
    return 8 if any(check.state == "FAILED" for check in checks) else 0


@cluster.command()
@click.argument("name", shell_complete=complete_runbooks)
@click.option("--apply", "applying", is_flag=True, help="The role of applying and undoing too.")
@click.option("--user", default="", metavar="USER", help="Print the bindings to this user too.")
def role(name: str, applying: bool, user: str) -> int:
    """Print the RBAC role that the runbook or playbook NAME needs.

    It is that of looking and planning; with --apply it is enough for everything. For `kubectl apply -f -`.
    """
    from sretool.cli import streams
    from sretool.report.role_text import render_role
    from sretool.runbook.named import read_either
    from sretool.runbook.rights import rights_of
    from sretool.steps.catalogue import load_catalogue

    catalogue = load_catalogue()
    rights = rights_of(read_either(name, catalogue), catalogue)
    streams.say(render_role(Path(name).stem, rights, applying=applying, user=user).splitlines())
    return 0


@cluster.command()
@click.option(
    "--kubeconfig", default="", metavar="PATH", help="The kubeconfig; kubectl's when it is not given."
)
@click.option(
    "--context", default="", metavar="NAME", help="Its context; the current one when it is not given."
)
@click.option("--name", default="", metavar="NAME", help="What the cluster is to be called here.")
@click.option("--force", is_flag=True, help="Replace a cluster file that says something else.")
@output_option
def discover(kubeconfig: str, context: str, name: str, force: bool, output: str) -> int:
    """Find the members through the API server, and remember them.

    Found are also certificates, metrics and where Kubernetes keeps its objects; all of it is written to a
    cluster file. It needs the right to list pods in kube-system, and should have that to list nodes.

    Exit 0: the cluster file holds what was found. 4: it says something else, and --force was not given.
    8: no member was found, or the API server does not answer.
    """
    from sretool.cli import streams
    from sretool.cli.discover import discover_cluster, lines_of
    from sretool.report.doctor_text import render_checks

    result = discover_cluster(kubeconfig, context, name, force=force)
    if output == "json":
        from sretool.report.documents import render_json

        streams.say([render_json(result)])
    else:
        streams.say(lines_of(result, render_checks(result.checks, columns=streams.columns())))
    return 8 if result.outcome == "nothing" else 0
