"""`sretool cluster`: members at a glance, and what can be reached."""

import click

from sretool.cli.options import cluster_option, output_option


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
    from sretool.cluster.inventory import clusters_folder, require_cluster
    from sretool.report.members_text import exit_code_of_glance, glance, render_members

    entry = require_cluster(cluster, clusters_folder())
    rows = glance({one.name: one.client for one in entry.etcd.members}, *read_glance(entry.etcd))
    code = exit_code_of_glance(rows)
    if output == "json":
        from sretool.report.documents import render_json

        streams.say([render_json({"cluster": entry.cluster, "exit_code": code, "members": rows})])
    else:
        streams.say(render_members(entry.cluster, rows, columns=streams.columns()))
    return code


@cluster.command()
@cluster_option
@output_option
def doctor(cluster: str, output: str) -> int:
    """Try every path to the cluster, say what is missing and what to do about it.

    Exit 0: every path that is set up works. 8: one does not.
    """
    from sretool.cli import streams
    from sretool.cli.doctor import examine
    from sretool.cluster import clusters_folder, require_cluster
    from sretool.report.doctor_text import render_checks

    entry = require_cluster(cluster, clusters_folder())
    checks = examine(entry)
    if output == "json":
        from sretool.report.documents import render_json

        streams.say([render_json({"cluster": entry.cluster, "checks": checks})])
    else:
        streams.say(render_checks(checks, columns=streams.columns()))
    return 8 if any(check.state == "FAILED" for check in checks) else 0
