"""From the errors of MongoDB's client to ours, without what they quote.

The client's messages hold whole documents: those of a bulk that failed, of a duplicate key, of a
command that was not allowed. Only their names, codes and counts are passed on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from pglogical_cdc.errors import SinkError, SinkUnavailableError

__all__ = ("sink_errors",)

_TOO_LARGE: Final = (10334, 17419, 17420)
"""BSONObjectTooLarge, and the two codes of an update that makes a document too large."""


@contextlib.contextmanager
def sink_errors(what: str) -> Iterator[None]:
    """Make a `SinkError` of whatever the client raises.

    Args:
        what: what MongoDB did not do, for the message.
    """
    try:
        yield
    except ConnectionFailure as error:
        # These name servers, and why they cannot be reached.
        failed: SinkError = SinkUnavailableError(f"{what}: {type(error).__name__}: {error}")
    except DocumentTooLarge:
        failed = _too_large(what)
    except BulkWriteError as error:
        failed = _bulk_error(what, error.details)
    except OperationFailure as error:
        failed = _operation_error(what, error)
    except PyMongoError as error:
        failed = SinkError(f"{what}: {type(error).__name__}")
    except (BSONError, OverflowError, UnicodeError, RecursionError) as error:
        failed = SinkError(f"{what}: BSON cannot hold a value ({type(error).__name__})")
    else:
        return
    raise failed from None


def _too_large(what: str) -> SinkError:
    return SinkError(f"{what}: a row takes more than the 16 MiB of a document")


def _bulk_error(what: str, details: Mapping[str, Any]) -> SinkError:
    errors = details.get("writeErrors", [])
    if not errors:
        # All was done, but not made as safe as the write concern wants it.
        concerns = details.get("writeConcernErrors", [])
        return SinkUnavailableError(f"{what}: {_named(concerns[0] if concerns else {})}")
    if any(error.get("code") in _TOO_LARGE for error in errors):
        return _too_large(what)
    return SinkError(f"{what}: {_named(errors[0])}; {len(errors)} operations failed")


def _operation_error(what: str, error: OperationFailure) -> SinkError:
    if error.code in _TOO_LARGE:
        return _too_large(what)
    passes = isinstance(error, WTimeoutError) or error.has_error_label("RetryableWriteError")
    kind = SinkUnavailableError if passes else SinkError
    return kind(f"{what}: {_named({**(error.details or {}), 'code': error.code})}")


def _named(error: Mapping[str, Any]) -> str:
    name = error.get("codeName")
    return f"code {error.get('code')}" + (f" ({name})" if isinstance(name, str) else "")
