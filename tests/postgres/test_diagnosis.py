"""Tests of `pglogical_cdc.postgres.diagnosis`."""

from __future__ import annotations

from typing import cast

import psycopg
import pytest
from psycopg.errors import Diagnostic

from pglogical_cdc.errors import (
    CdcError,
    ConfigurationError,
    ConnectionLostError,
    DecodingFailedError,
    PublicationNotFoundError,
    SlotInUseError,
    SlotInvalidatedError,
    SlotNotFoundError,
    SourceError,
)
from pglogical_cdc.lsn import LSN
from pglogical_cdc.postgres.diagnosis import diagnose, diagnose_connect, publication_warning


class _Diagnostic:
    """What a server says of an error."""

    def __init__(self, code: str | None, function: str = "f", context: str = "") -> None:
        self.sqlstate = code
        self.source_function = function
        self.context = context
        self.message_primary = None if code is None else "etwas ging schief"
        self.message_detail = "Key (id)=(canary) exists"


class _Failure(psycopg.Error):
    """An error of the server, without a server."""

    def __init__(self, code: str | None, function: str = "f", context: str = "") -> None:
        super().__init__("something of libpq")
        self.sqlstate = code
        self._said = _Diagnostic(code, function, context)

    @property
    def diag(self) -> Diagnostic:
        return cast("Diagnostic", self._said)


@pytest.mark.parametrize(
    ("code", "function", "streaming", "expected"),
    [
        (None, "", True, ConnectionLostError),
        ("08006", "", True, ConnectionLostError),
        ("57P01", "ProcessInterrupts", True, ConnectionLostError),
        ("57P03", "", False, ConnectionLostError),
        ("57P05", "ProcessInterrupts", True, ConnectionLostError),
        ("53300", "", False, ConnectionLostError),
        ("40001", "ProcessInterrupts", True, ConnectionLostError),
        ("53200", "AllocSetAlloc", True, ConnectionLostError),
        ("57014", "ProcessInterrupts", True, ConnectionLostError),
        ("55006", "ReplicationSlotAcquire", False, SlotInUseError),
        ("42704", "GetPublicationByName", True, PublicationNotFoundError),
        ("42704", "get_publication_oid", True, PublicationNotFoundError),
        ("42704", "ReplicationSlotAcquire", False, SlotNotFoundError),
        ("55000", "ReplicationSlotAcquire", False, SlotInvalidatedError),
        ("55000", "CreateDecodingContext", False, SlotInvalidatedError),
        ("42501", "CheckSlotPermissions", False, ConfigurationError),
        ("28000", "", False, ConfigurationError),
        ("XX000", "ReorderBufferProcessTXN", True, DecodingFailedError),
        ("54000", "", True, DecodingFailedError),
        ("XX000", "", False, SourceError),
        ("55000", "CreateDecodingContext", True, DecodingFailedError),
        ("55000", "other", False, SourceError),
        ("42704", "other", False, SourceError),
        ("3D000", "", False, ConfigurationError),
    ],
)
def test_meaning_of_an_error(
    code: str | None, function: str, streaming: bool, expected: type[CdcError]
) -> None:
    found = diagnose(_Failure(code, function), slot="shop", streaming=streaming)
    assert type(found) is expected
    assert "canary" not in str(found)
    if isinstance(found, SourceError):
        assert (found.sqlstate, found.slot) == (code, "shop")
    assert ("etwas ging schief" if code else "something of libpq") in str(found)


def test_failed_decoding_names_its_place() -> None:
    context = 'slot "shop", output plugin "pgoutput", in the change callback, LSN 0/16B3748'
    found = diagnose(_Failure("XX000", context=context), slot="shop", streaming=True)
    assert isinstance(found, DecodingFailedError)
    assert found.commit_lsn is None
    assert "near LSN 0/16B3748" in str(found)
    assert "slots.advance(conninfo, 'shop', to=LSN)" in str(found)


def test_failed_decoding_of_a_temporary_slot_begins_anew() -> None:
    found = diagnose(_Failure("XX000"), slot="shop", streaming=True, temporary=True)
    assert isinstance(found, DecodingFailedError)
    assert str(found).endswith(
        "the slot was temporary, and is gone: open a new reader, which begins anew"
    )


def test_failed_decoding_names_the_transaction_and_how_to_give_it_up() -> None:
    lsn = LSN.parse("1/FFFFFFFF")
    found = diagnose(_Failure("XX000"), slot="shop", streaming=True, commit_lsn=lsn)
    assert isinstance(found, DecodingFailedError)
    assert found.commit_lsn == lsn
    assert "that commits at 1/FFFFFFFF: etwas ging schief" in str(found)
    assert "slots.advance(conninfo, 'shop', to='2/0')" in str(found)
    # Only where decoding failed.
    for code in (None, "57P01"):
        lost = diagnose(_Failure(code), slot="shop", streaming=True, commit_lsn=lsn)
        assert type(lost) is ConnectionLostError


@pytest.mark.parametrize(
    ("text", "retryable"),
    [
        ('FATAL:  password authentication failed for user "u"', False),
        ('FATAL:  role "a b" does not exist', False),
        ('FATAL:  database "a b" does not exist', False),
        ("FATAL:  permission denied to start WAL sender", False),
        ("FATAL:  must be superuser or replication role to start walsender", False),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4"', False),
        ('could not translate host name "h" to address: Name or service not known', True),
        (
            'could not translate host name "h" to address: Temporary failure in name resolution',
            True,
        ),
        ("Connection refused", True),
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  sorry, too many clients already", True),
        ("timeout expired", True),
        ("server does not support SSL, but SSL was required", False),
        ("SSL error: certificate verify failed", False),
        ("fe_sendauth: no password supplied", False),
        (
            "Multiple connection attempts failed. All failures were:\n"
            "- host: 'a', port: '1', hostaddr: '1.2.3.4': Connection refused\n"
            "- host: 'b', port: '2', hostaddr: '1.2.3.5': FATAL:  role \"u\" does not exist",
            True,
        ),
        (
            "Multiple connection attempts failed. All failures were:\n"
            "- host: 'a', port: '1': FATAL:  database \"d\" does not exist\n"
            "- host: 'b', port: '2': FATAL:  role \"u\" does not exist",
            False,
        ),
    ],
)
def test_whether_connecting_again_can_help(text: str, retryable: bool) -> None:
    found = diagnose_connect(psycopg.OperationalError(text))
    assert found.retryable is retryable
    assert isinstance(found, ConnectionLostError if retryable else ConfigurationError)
    # All of it, in one line: a log has one for each event.
    assert " ".join(text.splitlines()) in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("code", "function", "expected"),
    [
        ("55000", "LoadPublications", True),
        ("55000", "other", False),
        ("01000", "LoadPublications", False),
    ],
)
def test_warning_of_a_missing_publication(code: str, function: str, expected: bool) -> None:
    diag = cast("Diagnostic", _Diagnostic(code, function))
    assert publication_warning(diag) is expected


@pytest.mark.parametrize("code", ["22P02", "22021", "23505"])
def test_no_value_is_quoted(code: str) -> None:
    for streaming in (True, False):
        found = diagnose(_Failure(code), slot="shop", streaming=streaming)
        assert "etwas ging schief" not in str(found)
        assert code in str(found)
