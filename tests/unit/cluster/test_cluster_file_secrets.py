"""A secret in a cluster file: refused with its place, and never repeated."""

import pytest

from sretool.cli.exits import exit_code_of
from sretool.cluster.inventory import is_url, parse_cluster
from sretool.errors import DocumentError

FILE = """\
cluster: prod
etcd:
  members:
    - {{name: m1, client: {client}, peer: {peer}, metrics: {metrics}, pod: {{name: etcd-a, endpoint: {endpoint}}}}}
    - {{name: m2, client: {client2}, peer: "https://10.0.0.2:2380"}}
  ca: {ca}
  cert: {cert}
  key: {key}
kubernetes:
  kubeconfig: {kubeconfig}
  etcd_overrides: {etcd_overrides}
"""
GOOD = {
    "client": '"https://10.0.0.1:2379"',
    "client2": '"https://10.0.0.2:2379"',
    "peer": '"https://10.0.0.1:2380"',
    "metrics": '"http://10.0.0.1:2381"',
    "endpoint": '"https://127.0.0.1:2379"',
    "ca": "/ca.crt",
    "cert": "/client.crt",
    "key": "/client.key",
    "kubeconfig": "/k",
    "etcd_overrides": '"/events#https://10.0.0.9:2379"',
}
LITERAL = "|\n    -----BEGIN PRIVATE KEY-----\n    S3cret\n    -----END PRIVATE KEY-----"
FOLDED = LITERAL.removeprefix("|\n    ")
COMMANDS = (
    ("cluster", "status"),
    ("cluster", "status", "--output", "json"),
    ("cluster", "doctor"),
    ("cluster", "doctor", "--output", "json"),
    ("safe", "etcd"),
    ("runbook", "etcd-nospace", "--plan", "-v"),
    ("runbook", "etcd-nospace", "--plan", "--output", "json"),
    ("runbook", "etcd-nospace", "--plan", "--output", "jsonl"),
    ("schedule", "etcd-defrag", "--as", "cronjob"),
)


def written(**changed: str) -> str:
    return FILE.format(**GOOD | changed)


def problems_of(**changed: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        parse_cluster(written(**changed), origin="prod.yaml")
    told = list(caught.value.problems)
    assert "cret" not in str(told) + str(caught.value) + caught.value.then
    return told


def test_a_file_without_a_secret_is_read() -> None:
    assert parse_cluster(written(), origin="prod.yaml").cluster == "prod"


@pytest.mark.parametrize("field", ["client", "peer", "metrics", "endpoint", "etcd_overrides"])
@pytest.mark.parametrize(
    "url",
    [
        "http://mon:S3cret@10.0.0.7:2381",
        "http://S3cret@10.0.0.7:2381",
        "http://mon:S3/c@cret@10.0.0.7:2381",
        "mon:S3cret@10.0.0.7:2381",
        "/events#https://root:S3cret@10.0.0.7:2379",
    ],
)
def test_a_user_or_a_password_in_a_url_is_refused_with_its_place(field: str, url: str) -> None:
    changed = {field: f'"{url}"'}
    before = written(**changed).partition(changed[field])[0]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    (problem,) = problems_of(**changed)
    assert problem.startswith(
        f"prod.yaml:{line}:{column}: {field} names a user before the host; remove user and"
    )


@pytest.mark.parametrize("url", ["http://mon:S3cret%4010.0.0.7", "http://10.0.0.7:2381?token=S3cret"])
def test_what_is_no_url_is_not_repeated_either(url: str) -> None:
    told = problems_of(client=f'"{url}"', client2=f'"{url}"')
    assert sum("client is not a URL such as https://10.0.0.1:2379" in one for one in told) == 2
    assert sum("this client stands twice" in one for one in told) == 1


@pytest.mark.parametrize("url", ["http://a:1?x=y", "http://a:1#x", "http://u:p@a:1", "http://a:1/x"])
def test_a_url_is_scheme_host_and_port_and_nothing_more(url: str) -> None:
    assert is_url("http://a:1")
    assert not is_url(url)


@pytest.mark.parametrize("field", ["ca", "cert", "key", "kubeconfig"])
@pytest.mark.parametrize(
    "pasted", [LITERAL, FOLDED, "|\n    users: S3cret\n    x: y", "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tcret"]
)
def test_what_a_file_holds_is_not_taken_for_its_path(field: str, pasted: str) -> None:
    told = problems_of(**{field: pasted})
    line = 1 + written().partition(f"  {field}:")[0].count("\n")
    assert (
        told[0] == f"prod.yaml:{line}:{len(field) + 5}: {field} is the path of a file, not the {field} itself"
    )
    assert len(told) == 1


def test_every_secret_is_named_and_what_else_is_wrong_too() -> None:
    told = problems_of(client='"https://root:S3cret@a:1"', key=LITERAL, peer='"nothing"')
    assert [one.partition(": ")[2].partition(" ")[0] for one in told] == ["client", "key", "peer"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_prints_it_and_each_ends_with_2(command: tuple[str, ...], capsys, tmp_path) -> None:
    folder = tmp_path / "config" / "sretool" / "clusters"
    folder.mkdir(parents=True)
    secrets = {
        "metrics": '"http://mon:S3cret@10.0.0.1:2381"',
        "client": '"https://root:S3cret@10.0.0.1:2379"',
    }
    (folder / "prod.yaml").write_text(written(**secrets, key=LITERAL))
    assert exit_code_of([*command, "--cluster", "prod"]) == 2
    said = "".join(capsys.readouterr())
    assert "prod.yaml:4:" in said
    assert "S3cret" not in said
    recorded = [one for one in tmp_path.rglob("*") if one.is_file() and one.parent != folder]
    assert not [one for one in recorded if "S3cret" in one.read_text()]
