"""The lab's own certificate authority; certificates for members and clients, and broken ones for tests."""

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = dt.timedelta(days=1)
_BOTH_USES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


class Pair(msgspec.Struct, frozen=True):
    """The files of a certificate and of its private key (PEM)."""

    cert: Path
    key: Path


def create_authority(folder: Path, *, name: str = "ca") -> Pair:
    """Write a certificate authority into `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"sretool lab {name}")
    builder = (
        _builder(subject, subject, key.public_key(), days=365)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _write(folder, name, builder.sign(key, hashes.SHA256()), key)


def issue_server(authority: Pair, folder: Path, *, name: str, addresses: Sequence[str]) -> Pair:
    """Write a member's certificate: it serves clients and peers, and is a client of its peers.

    127.0.0.1 is among its addresses because connections inside 127/8 come from there, and etcd compares a
    peer's certificate with the address the peer comes from.
    """
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses)]
    return _issue(authority, folder, name=name, subject=_subject(name), alternatives=names, days=365)


def issue_client(
    authority: Pair, folder: Path, *, name: str, user: str = "", group: str = "", expired: bool = False
) -> Pair:
    """Write a client's certificate as the files `name`; `expired`: one whose time ended yesterday.

    It speaks for `user` (`name` without it) and, to Kubernetes, as a member of `group`.
    """
    days = -1 if expired else 365
    return _issue(
        authority, folder, name=name, subject=_subject(user or name, group=group), alternatives=[], days=days
    )


def _issue(
    authority: Pair,
    folder: Path,
    *,
    name: str,
    subject: x509.Name,
    alternatives: Sequence[x509.GeneralName],
    days: int,
) -> Pair:
    issuer = x509.load_pem_x509_certificate(authority.cert.read_bytes())
    issuer_key = serialization.load_pem_private_key(authority.key.read_bytes(), password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{authority.key} is not a key that create_authority wrote")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(subject, issuer.subject, key.public_key(), days=days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_BOTH_USES), critical=False)
        # OpenSSL's strict check, Python's default since 3.13, wants to find the issuer's key by name.
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return _write(folder, name, builder.sign(issuer_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, *, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + min(days - 1, -1) * _DAY)
        .not_valid_after(now + days * _DAY)
    )


def _subject(name: str, *, group: str = "") -> x509.Name:
    organization = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*organization, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not sign,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(pair.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return pair
