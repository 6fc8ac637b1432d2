"""`sretool report`: the runs, and one run's record."""

import click

from sretool.cli.options import complete_runs, output_option


@click.command()
@click.argument("run", default=None, shell_complete=complete_runs)
@output_option
def report(run: str | None, output: str) -> int:
    """Show RUN (its id or the begin of it): a ten-line hand-over, then everything. List the runs without RUN.

    Of a playbook it is the incident report, in Markdown: causes, numbers before and after, what was not done.
    """
    from sretool.cli import streams
    from sretool.engine.at_work import is_gone
    from sretool.engine.journal import read_journal
    from sretool.engine.runs import list_runs, require_run, runs_folder
    from sretool.report.documents import render_json
    from sretool.report.fold import fold_run
    from sretool.report.run_text import render_report, render_runs

    folder = runs_folder()
    if run is None:
        runs = list_runs(folder)
        streams.say([render_json(runs)] if output == "json" else render_runs(runs, columns=streams.columns()))
        return 0
    run_id = require_run(folder, run)
    records = read_journal(folder / run_id)
    journal = str(folder / run_id / "journal.jsonl")
    if any("playbook" in record.body for record in records[:1]):
        from sretool.report.incident import fold_incident
        from sretool.report.playbook_text import render_incident

        incident = fold_incident(records)
        gone = is_gone(run_id, host=incident.host, pid=incident.pid, identity=incident.identity)
        streams.say(
            [render_json(incident)]
            if output == "json"
            else render_incident(incident, journal=journal, is_gone=gone)
        )
        return 0
    found = fold_run(records)
    if output == "json":
        streams.say([render_json(found)])
        return 0
    gone = is_gone(run_id, host=found.host, pid=found.pid, identity=found.identity)
    streams.say(render_report(found, journal=journal, columns=streams.columns(), is_gone=gone))
    return 0
