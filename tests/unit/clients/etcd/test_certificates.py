"""Dates of certificates, compared with the cryptography library."""

import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from sretool.clients.etcd.certificates import file_validity, validity_of
from sretool.lab.certificates import create_authority
from tests.support.certificates import issue_dated

_BEGIN = dt.datetime(2024, 2, 29, 12, 30, 45, tzinfo=dt.UTC)


@pytest.mark.parametrize("ends", [_BEGIN.replace(year=2049, day=28), _BEGIN.replace(year=2051, day=28)])
def test_dates_are_read_in_both_of_their_forms(tmp_path: Path, ends: dt.datetime) -> None:
    pair = issue_dated(create_authority(tmp_path), tmp_path, begins=_BEGIN, ends=ends)
    expected = x509.load_pem_x509_certificate(pair.cert.read_bytes())
    found = file_validity(str(pair.cert))
    assert found is not None
    assert (found.begins, found.ends) == (expected.not_valid_before_utc, expected.not_valid_after_utc)
    assert found.ends == ends


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x82", b"nonsense", bytes(300), b"\x30\x03\x30\x01\x02"])
def test_what_is_no_certificate_has_no_dates(der: bytes) -> None:
    assert validity_of(der) is None


def test_every_cut_of_a_certificate_has_no_dates_or_the_right_ones(tmp_path: Path) -> None:
    pair = create_authority(tmp_path)
    der = ssl.PEM_cert_to_DER_cert(pair.cert.read_text())
    whole = validity_of(der)
    assert whole is not None
    assert {validity_of(der[:length]) for length in range(len(der))} == {None, whole}


def test_a_file_without_a_certificate_has_no_dates(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    assert file_validity(str(tmp_path / "empty")) is None
    assert file_validity(str(tmp_path / "missing")) is None
    assert file_validity("") is None
