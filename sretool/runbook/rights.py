"""What a runbook or a playbook needs of the Kubernetes API: what its steps declare, and what every run asks."""

from sretool.knowledge.rights import EVERY_RUN, Right
from sretool.runbook.model import Runbook
from sretool.runbook.playbook import Playbook
from sretool.step import Catalogue


def rights_of(book: Runbook | Playbook, catalogue: Catalogue) -> tuple[Right, ...]:
    """Return every right that some run of `book` needs, unmerged."""
    books = (
        [book] if isinstance(book, Runbook) else [part.book for stage in book.stages for part in stage.parts]
    )
    steps = dict.fromkeys(spec.uses for one in books for spec in one.steps)
    return (*EVERY_RUN, *(right for uses in steps for right in catalogue[uses].rights))
