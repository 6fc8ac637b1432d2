"""Runbooks and playbooks by their name or path: found and loaded in one go."""

from sretool.runbook.library import beside, find_playbook, find_runbook, list_playbooks
from sretool.runbook.loader import load_runbook
from sretool.runbook.model import Runbook
from sretool.runbook.playbook import Playbook
from sretool.runbook.playbook_loader import load_playbook
from sretool.runbook.reading import is_playbook
from sretool.step import Catalogue


def read_runbook(name_or_path: str, catalogue: Catalogue) -> Runbook:
    """Return the runbook; UsageError when there is none, DocumentError with every problem of the file."""
    text, origin = find_runbook(name_or_path)
    return load_runbook(text, origin=origin, catalogue=catalogue)


def read_playbook(name_or_path: str, catalogue: Catalogue) -> Playbook:
    """Return the playbook, checked with every runbook that it names; errors as for a runbook."""
    text, origin = find_playbook(name_or_path)
    return _load_playbook(text, origin, catalogue)


def read_either(name_or_path: str, catalogue: Catalogue) -> Runbook | Playbook:
    """Return whichever it is: what only a playbook is called is one, and so is a file with the key `playbook`."""
    find = find_playbook if name_or_path in dict(list_playbooks()) else find_runbook
    text, origin = find(name_or_path)
    if is_playbook(text):
        return _load_playbook(text, origin, catalogue)
    return load_runbook(text, origin=origin, catalogue=catalogue)


def _load_playbook(text: str, origin: str, catalogue: Catalogue) -> Playbook:
    return load_playbook(
        text, origin=origin, catalogue=catalogue, find=lambda name: find_runbook(beside(origin, name))
    )
