"""Client certificates and keys that are no pair: said before anything is sent."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sretool.clients.etcd.endpoint import Endpoint, TlsFiles
from sretool.clients.etcd.tls_probe import find_tls_fault
from sretool.lab.certificates import create_authority, issue_client

OTHERS = {
    "the same kind": lambda: ec.generate_private_key(ec.SECP256R1()),
    "another kind": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_key_that_is_not_the_certificates_is_told(tmp_path, other):
    authority = create_authority(tmp_path)
    client = issue_client(authority, tmp_path, name="client")
    key = tmp_path / "other.key"
    key.write_bytes(
        OTHERS[other]().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    files = TlsFiles(ca=str(authority.cert), cert=str(client.cert), key=str(key))
    fault = find_tls_fault(Endpoint("m1", "https://127.0.0.1:9"), files, timeout_seconds=0.1)
    assert fault is not None
    assert fault.cause == f"the key {key} does not belong to the client certificate {client.cert}"
