"""Objects that can be written once: S3 gives a key to one writer, the others are told so."""

from __future__ import annotations

import secrets
import time
from typing import Any

from botocore.exceptions import ClientError

from lockgate.aws.clients import code
from lockgate.errors import BusyError

ATTEMPTS = 6
LONGEST_PAUSE_MS = 40


def put_once(s3: Any, bucket: str, key: str, data: Any, **parameters: str) -> bool:
    """Put an object where none is yet; False where there is one already. parameters: others of PutObject.

    S3 answers 412 where an object is. It answers 409 where another request on the key is under way: that one may still
    fail, so this one is tried again. Raises BusyError when that never ends, and what S3 refuses for any other reason.
    """
    checksum = {} if any(name.startswith("Checksum") for name in parameters) else {"ChecksumAlgorithm": "SHA256"}
    for attempt in range(ATTEMPTS):
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", **checksum, **parameters)
        except ClientError as error:
            if code(error) == "PreconditionFailed":
                return False
            if code(error) != "ConditionalRequestConflict":
                raise
            time.sleep(secrets.randbelow(LONGEST_PAUSE_MS * 2**attempt) / 1000)
            if hasattr(data, "seek"):
                data.seek(0)
        else:
            return True
    raise BusyError(f"s3://{bucket}/{key}: other requests on it were under way {ATTEMPTS} times in a row: try again")
