"""What a runbook or a playbook needs of the Kubernetes API: what its steps declare, and what every run asks."""

from sretool.knowledge.rights import EVERY_RUN, LOCK, Right
from sretool.model import Risk
from sretool.runbook.model import Runbook
from sretool.runbook.playbook import Playbook
from sretool.step import Catalogue


def rights_of(book: Runbook | Playbook, catalogue: Catalogue) -> tuple[Right, ...]:
    """Return every right that some run of `book` needs, unmerged."""
    books = (
        [book] if isinstance(book, Runbook) else [part.book for stage in book.stages for part in stage.parts]
    )
    steps = [catalogue[uses] for uses in dict.fromkeys(spec.uses for one in books for spec in one.steps)]
    lock = LOCK if any(step.risk > Risk.READ for step in steps) else ()
    return (*EVERY_RUN, *lock, *(right for step in steps for right in step.rights))
