"""The RBAC role that a runbook needs, as YAML that can be applied as it stands."""

import json
from collections.abc import Iterable

from sretool.knowledge.rights import Right, needed, rule_of

_DRY_RUN = "for server-side dry runs: nothing is stored, but RBAC cannot tell them from writes"


def role_name(runbook: str, *, applying: bool) -> str:
    """Return what the role is called: `sretool-event-flood-plan`, or `…-apply`."""
    return f"sretool-{runbook}-{'apply' if applying else 'plan'}"


def render_role(runbook: str, rights: Iterable[Right], *, applying: bool, user: str = "") -> str:
    """Return the documents: a ClusterRole, and a Role in each namespace that a right is narrowed to.

    Without `applying` it is the role of looking and planning; with it, of both and of applying and undoing.
    Where `user` is given, each is followed by its binding to them.
    """
    due = needed(rights, applying=applying)
    name = role_name(runbook, applying=applying)
    documents = []
    for namespace in sorted({right.namespace for right in due}):
        kind = "Role" if namespace else "ClusterRole"
        here = [right for right in due if right.namespace == namespace]
        lines = [*_head(kind, name, namespace), "rules:"]
        for right in here:
            if not right.only:
                lines += _rule(right, applying=applying)
        for only in dict.fromkeys(right.only for right in here if right.only):
            lines += [f"  # {only}:", *(f"  # {_line(right)}" for right in here if right.only == only)]
        documents.append("\n".join(lines) + "\n")
        if user:
            documents.append("\n".join(_binding(kind, name, namespace, user)) + "\n")
    return "---\n".join(documents)


def _head(kind: str, name: str, namespace: str) -> list[str]:
    place = f", namespace: {namespace}" if namespace else ""
    return ["apiVersion: rbac.authorization.k8s.io/v1", f"kind: {kind}", f"metadata: {{name: {name}{place}}}"]


def _binding(kind: str, name: str, namespace: str, user: str) -> list[str]:
    return [
        *_head(f"{kind}Binding", name, namespace),
        f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {name}}}",
        f"subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {json.dumps(user)}}}]",
    ]


def _rule(right: Right, *, applying: bool) -> list[str]:
    about = [right.about, "" if applying or not right.is_dry_run else _DRY_RUN]
    return [*(f"  # {one}" for one in about if one), f"  {_line(right)}"]


def _line(right: Right) -> str:
    return f"- {{{', '.join(f'{name}: {_list(values)}' for name, values in rule_of(right).items())}}}"


def _list(values: list[str]) -> str:
    return f"[{', '.join(one if one.isalpha() else json.dumps(one) for one in values)}]"
