"""`sretool safe etcd`: one line and an exit code, a gate for other people's scripts."""

import click

from sretool.cli.options import cluster_option


@click.command()
@click.argument("what", type=click.Choice(["etcd"]), metavar="etcd")
@cluster_option
def safe(what: str, cluster: str) -> int:
    """Tell in one line whether etcd may be touched now: a member stopped, its node restarted or drained.

    The same guards as before any change of sretool's own that stalls a member. Looks only, takes no lock. Exit
    0: yes. 4: no, or not now, with the reason. 8: cannot tell.
    """
    from sretool.cli import streams
    from sretool.cli.judging import judge_etcd
    from sretool.cluster.inventory import require_cluster

    verdict = judge_etcd(require_cluster(cluster))
    streams.say([f"{what}: {verdict.sentence}"])
    return verdict.exit_code
