"""What boto3's errors mean."""

from __future__ import annotations

from typing import Any

from recinfer.data.storage.store_error import StoreError

CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role"
BUSY = "the store was asked again and again; run the same command later: what is finished is kept"
UNREACHED = "check the network, and AWS_ENDPOINT_URL or endpoint_override"
TAKEN = frozenset({"PreconditionFailed", "412", "NoSuchUpload"})
DENIED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "Forbidden"})
EXPIRED = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestExpired"})
ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
)
BRIEFLY = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "Throttling",
        "ThrottlingException",
        "ConditionalRequestConflict",
        "OperationAborted",
    }
)


def explain(error: Exception, key: str) -> OSError | None:
    """An error as OSError: FileNotFoundError, FileExistsError or StoreError; None where it is not boto3's."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
    )
    from botocore.parsers import ResponseParserError

    if isinstance(error, OSError):
        return error
    if isinstance(error, ClientError):
        return _of_answer(error.response, key)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return StoreError("there are no credentials for this store", CREDENTIALS)
    if isinstance(error, HTTPClientError | ConnectionError):
        return StoreError(f"the store did not answer ({_short(error)})", UNREACHED, transient=True, answered=False)
    if isinstance(error, ResponseParserError):
        return StoreError("the store's answer broke off", UNREACHED, transient=True, answered=False)
    if isinstance(error, BotoCoreError | ValueError):
        return StoreError(_short(error), "check the AWS settings: variables, ~/.aws/config")
    return None


def _of_answer(response: dict[str, Any], key: str) -> OSError:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = response.get("Error", {}).get("Message", "")
    if code == "NoSuchBucket":
        return StoreError("the bucket does not exist", "check its name, and the endpoint; recinfer makes no buckets")
    if code in TAKEN:
        return FileExistsError(f"{key} exists already")
    if code in {"NoSuchKey", "404", "NotFound"}:
        return FileNotFoundError(f"{key} does not exist")
    if code in DENIED:
        return StoreError(f"access denied ({code})", f"{CREDENTIALS}; or ask for rights to this bucket")
    if code in EXPIRED:
        return StoreError(f"the credentials have expired ({code})", "renew them, then run the same command again")
    if code in ELSEWHERE:
        return StoreError(f"the bucket is in another region ({message or code})", "set AWS_DEFAULT_REGION")
    if (status >= 500 and status != 501) or status == 429 or code in BRIEFLY:
        return StoreError(f"the store is busy or failing (HTTP {status} {message or code})", BUSY, transient=True)
    return StoreError(f"{message or code} (HTTP {status})")


def _short(error: Exception) -> str:
    return str(error).splitlines()[0]
