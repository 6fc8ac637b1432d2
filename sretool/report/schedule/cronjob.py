"""A Kubernetes CronJob on one control-plane node, its service account and role, and its image's recipe."""

import json
from collections.abc import Iterable
from pathlib import PurePath

import msgspec

from sretool.cluster.cluster_file import render_cluster
from sretool.errors import EXIT_CODES
from sretool.knowledge.rights import needed
from sretool.report.role_text import render_role, role_name
from sretool.report.schedule.job import STATE_FOLDER, ScheduledJob

NAMESPACE = "kube-system"  # host paths and the host's network need a namespace that Pod Security leaves alone
_CONFIG_HOME = "/etc"
_TOUCHED = (5, 6, 7)


def render_cronjob(job: ScheduledJob, *, node: str, image: str) -> str:
    """Return every object, as YAML for `kubectl apply -f -`: the CronJob last."""
    documents = [
        _service_account(job),
        *_roles(job),
        _config_map(job),
        _cron_job(job, node=node, image=image),
    ]
    head = [
        f"# Written by `sretool schedule`: {job.summary}.",
        f"# The container image {image} is yours to build: its recipe is the Dockerfile beside it.",
        f"# The journal stays on {node}, in {STATE_FOLDER}: `sretool report` there has every run.",
    ]
    return "\n".join(head) + "\n---\n" + "---\n".join(documents)


def render_dockerfile(version: str) -> str:
    """Return the recipe of the container image, which installs a wheel of this version."""
    wheel = f"sretool-{version}-py3-none-any.whl"
    return f"""\
# Written by `sretool schedule`. Beside it: {wheel}, from `pip wheel --no-deps PATH_OF_SRETOOL`.
#   docker build -t sretool:{version} .
FROM python:3.13-slim
COPY {wheel} /tmp/
RUN pip install --no-cache-dir /tmp/{wheel} && rm /tmp/{wheel}
# root: etcd's client key is readable by root alone; the pod drops every capability and may not gain any
USER 0
ENTRYPOINT ["sretool"]
"""


def _service_account(job: ScheduledJob) -> str:
    return f"""\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {job.name}, namespace: {NAMESPACE}}}
automountServiceAccountToken: false
"""


def _roles(job: ScheduledJob) -> list[str]:
    """Return the role that the runbook needs and what binds it; nothing where it does without the API server."""
    if job.entry.kubernetes is None:
        return []
    name = role_name(job.runbook, applying=True)
    subject = f"subjects: [{{kind: ServiceAccount, name: {job.name}, namespace: {NAMESPACE}}}]"
    bindings = []
    for namespace in sorted({right.namespace for right in needed(job.rights, applying=True)}):
        kind = "Role" if namespace else "ClusterRole"
        place = f", namespace: {namespace}" if namespace else ""
        bindings.append(f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata: {{name: {name}{place}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {name}}}
{subject}
""")
    return [render_role(job.runbook, job.rights, applying=True), *bindings]


def _config_map(job: ScheduledJob) -> str:
    access = job.entry.kubernetes
    inside = msgspec.structs.replace(access, kubeconfig="in-cluster", context="") if access else None
    text = render_cluster(msgspec.structs.replace(job.entry, kubernetes=inside))
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: {job.name}, namespace: {NAMESPACE}}}
data:
  {job.entry.cluster}.yaml: |
{_indented(text.splitlines(), 4)}
"""


def _cron_job(job: ScheduledJob, *, node: str, image: str) -> str:
    return f"""\
apiVersion: batch/v1
kind: CronJob
metadata: {{name: {job.name}, namespace: {NAMESPACE}}}
spec:
  schedule: {json.dumps(job.window.cron())}  # the beginning of {job.window}
  timeZone: {json.dumps(job.window.zone)}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: {job.latest_start_seconds}
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      # After this the run is asked to stop (SIGTERM), so that it has ended when the window ends.
      activeDeadlineSeconds: {job.longest_seconds}
      backoffLimit: 0  # a run that failed is looked at, not repeated
{_indented(_failure_policy(), 6)}
      template:
        spec:
{_indented(_pod(job, node=node, image=image), 10)}
"""


def _failure_policy() -> list[str]:
    """Say which rule ended the job: the condition of a failed Job names the rule's number."""
    untouched = sorted(code for code in EXIT_CODES if code not in (*_TOUCHED, 0, 1))
    return [
        "podFailurePolicy:",
        "  rules:",
        "    # 0: changes were made, and a person has to look: `sretool report` on the node says what is next",
        *_meanings(_TOUCHED),
        *_rule(_TOUCHED),
        "    # 1: a bug in sretool; its message says what was touched",
        *_rule((1,)),
        "    # 2: not begun, refused, or stopped in good order; the next start tries again",
        *_meanings(untouched),
        *_rule(untouched),
        "    # 3: the pod was evicted or its node drained",
        "    - action: FailJob",
        "      onPodConditions: [{type: DisruptionTarget, status: 'True'}]",
    ]


def _meanings(codes: Iterable[int]) -> list[str]:
    return [f"    #   {code}: {EXIT_CODES[code]}" for code in codes]


def _rule(codes: Iterable[int]) -> list[str]:
    listed = ", ".join(map(str, codes))
    return [
        "    - action: FailJob",
        f"      onExitCodes: {{containerName: sretool, operator: In, values: [{listed}]}}",
    ]


def _pod(job: ScheduledJob, *, node: str, image: str) -> list[str]:
    has_api = job.entry.kubernetes is not None
    certificates = [one for one in (job.entry.etcd.ca, job.entry.etcd.cert, job.entry.etcd.key) if one]
    local = sorted({member.data_dir for member in job.entry.etcd.members if member.data_dir})
    return [
        f"serviceAccountName: {job.name}",
        f"automountServiceAccountToken: {json.dumps(has_api)}",
        f"nodeSelector: {{kubernetes.io/hostname: {json.dumps(node)}}}  # its journal is there",
        "tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]",
        "hostNetwork: true  # etcd listens on the node's addresses",
        "dnsPolicy: Default",
        "restartPolicy: Never",
        "# A change in flight is finished or observed first, and it may be a defragmentation.",
        f"terminationGracePeriodSeconds: {job.grace_seconds}",
        "securityContext: {runAsUser: 0, runAsGroup: 0, seccompProfile: {type: RuntimeDefault}}",
        "containers:",
        "  - name: sretool",
        f"    image: {json.dumps(image)}",
        f"    command: {json.dumps(job.command('sretool'))}",
        "    env:",
        f"      - {{name: XDG_STATE_HOME, value: {PurePath(STATE_FOLDER).parent}}}",
        f"      - {{name: XDG_CONFIG_HOME, value: {_CONFIG_HOME}}}",
        "    resources: {requests: {cpu: 50m, memory: 128Mi}}",
        "    securityContext:",
        "      allowPrivilegeEscalation: false",
        "      readOnlyRootFilesystem: true",
        "      capabilities: {drop: [ALL]}",
        "    volumeMounts:",
        f"      - {{name: state, mountPath: {STATE_FOLDER}}}",
        f"      - {{name: clusters, mountPath: {_CONFIG_HOME}/sretool/clusters, readOnly: true}}",
        "      - {name: scratch, mountPath: /tmp}",
        *(_mount(f"tls-{number}", path) for number, path in enumerate(certificates)),
        *(_mount(f"etcd-{number}", path) for number, path in enumerate(local)),
        "volumes:",
        f"  - {{name: state, hostPath: {{path: {STATE_FOLDER}, type: DirectoryOrCreate}}}}",
        f"  - {{name: clusters, configMap: {{name: {job.name}}}}}",
        "  - {name: scratch, emptyDir: {}}",
        *(_volume(f"tls-{number}", path, "File") for number, path in enumerate(certificates)),
        *(_volume(f"etcd-{number}", path, "Directory") for number, path in enumerate(local)),
    ]


def _mount(name: str, path: str) -> str:
    return f"      - {{name: {name}, mountPath: {json.dumps(path)}, readOnly: true}}"


def _volume(name: str, path: str, kind: str) -> str:
    return f"  - {{name: {name}, hostPath: {{path: {json.dumps(path)}, type: {kind}}}}}"


def _indented(lines: Iterable[str], by: int) -> str:
    return "\n".join(f"{' ' * by}{line}" if line else "" for line in lines)
