"""What an error quotes of others: never a key, a token or a password, and everything else as it was."""

import pytest

from sretool.errors import DocumentError, RemoteError, SretoolError

_JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLWhlcmU"
_PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"Authorization: Bearer {_JWT}", "Authorization: Bearer (masked)"),
        ("got basic dXNlcjpwYXNzd29yZA==", "got basic (masked)"),
        (f"the token {_JWT} is no longer valid", "the token (masked) is no longer valid"),
        (f"cannot parse {_PEM}: no", "cannot parse -----BEGIN RSA PRIVATE KEY-----(masked): no"),
        ("proxy http://me:pa55word@proxy:3128 refuses", "proxy http://(masked)@proxy:3128 refuses"),
        ("http://:pa55@word@proxy:3128 refuses", "http://(masked)@proxy:3128 refuses"),
        ('{"client-key-data": "LS0tLS1CRUdJTg=="}', '{"client-key-data": (masked)}'),
        ("password=hunter2, user=me", "password=(masked), user=me"),
    ],
)
def test_secrets_are_masked_in_every_error(said: str, shown: str) -> None:
    for error in (SretoolError(said), RemoteError(said)):
        assert error.message == str(error) == shown


@pytest.mark.parametrize(
    "said",
    [
        "etcd https://10.0.0.1:2379: Status got no answer in 1.2 s",
        'secrets "db-token" is forbidden: User "system:serviceaccount:a:b" cannot get resource "secrets"',
        "the bearer certificate; basic authentication; a token that has expired",
        "--initial-cluster-token=etcd-cluster-1 differs; the continue token is too old",
        "a.yaml:3:7: password is no parameter",
    ],
)
def test_what_is_no_secret_stays(said: str) -> None:
    assert RemoteError(said).message == said


def test_the_problems_of_a_document_are_masked_too() -> None:
    error = DocumentError(["x.yaml:1:1: password: hunter2"])
    assert "hunter2" not in str(error) + str(error.problems)
