"""Objects below a prefix of S3 as files of a folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lockgate.errors import NotFoundError

ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/?(.*)")


def download(s3: Any, address: str, folder: Path) -> int:
    """Fetch what lies at or below `s3://bucket/prefix` into `folder`; the number of files.

    Empty objects, which stand for folders, are left out. Raises NotFoundError where nothing else lies there.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise NotFoundError(f"--from: found {address!r}, expected s3://bucket/prefix")
    bucket, prefix = found.groups()
    files = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for each in page.get("Contents", []):
            inner = _below(each["Key"], prefix)
            if not each["Size"] or inner is None:
                continue
            target = folder / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, each["Key"], str(target))
            files += 1
    if not files:
        raise NotFoundError(f"{address}: found no object with rows at or below it, expected CSV or Parquet")
    return files


def _below(key: str, prefix: str) -> Path | None:
    """Where an object goes: its path after the prefix's last folder; None for one beside the prefix.

    `rows/2026` names the object or the folder of that name, and not `rows/2026-old`. Nothing leaves the folder.
    """
    if prefix and key != prefix and not key.startswith(prefix.rstrip("/") + "/"):
        return None
    inner = key.removeprefix(prefix.rstrip("/") + "/") if key != prefix else key.rpartition("/")[2]
    parts = [part for part in inner.split("/") if part]
    return Path(*parts) if parts and ".." not in parts else None
