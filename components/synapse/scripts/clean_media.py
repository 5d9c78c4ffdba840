"""Sidecar of the media process: keeps its local store small. A file is deleted only after it was seen in the bucket.

Each round takes what nobody has read or written for the first of CLEAN_AGES (seconds); while the store is still above
CLEAN_ABOVE_BYTES it goes on with the next, younger age. A file that the bucket lacks is uploaded first.

The provider's own `s3_media_upload` does not do: it remembers what it has deleted and never looks at it again, so a
file that comes back into the cache stays for ever; and it goes through every row of the media tables, where this goes
through the files that there are.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NEVER_IN_BUCKET = ("url_cache", "url_cache_thumbnails")
"""Previews of links: Synapse keeps them locally, expires them itself, and offloads them to no provider."""


def files(store: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files of the store. They come and go while we look."""
    for directory, names, found in os.walk(store):
        if Path(directory) == store:
            names[:] = [name for name in names if name not in NEVER_IN_BUCKET]
        for name in found:
            path = Path(directory, name)
            try:
                yield path, path.stat()
            except FileNotFoundError:
                continue


def used(store: Path) -> int:
    """Bytes on disk of what may be deleted."""
    return sum(stat.st_blocks * 512 for _, stat in files(store))


def in_bucket(s3: Any, bucket: str, key: str, size: int) -> bool:
    from botocore.exceptions import ClientError  # type: ignore[import-untyped, import-not-found, unused-ignore]

    try:
        return bool(s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == size)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
            return False
        raise


def sweep(s3: Any, bucket: str, store: Path, age: float, alive: Path) -> int:
    """Delete what is older than `age` seconds; the number of files deleted."""
    deleted, border = 0, time.time() - age
    for path, stat in files(store):
        if max(stat.st_atime, stat.st_mtime) > border:
            continue
        key = path.relative_to(store).as_posix()
        if not in_bucket(s3, bucket, key, stat.st_size):
            s3.upload_file(str(path), bucket, key)
            print(f"clean-up: {key} was not in the bucket and has been uploaded", file=sys.stderr, flush=True)
        path.unlink(missing_ok=True)
        deleted += 1
        alive.touch()
    return deleted


def one_round(s3: Any, bucket: str, store: Path, ages: list[int], above: int, alive: Path) -> None:
    for age in ages:
        deleted = sweep(s3, bucket, store, age, alive)
        left = used(store)
        print(f"clean-up: {deleted} files older than {age} s deleted, {left >> 20} MiB left", flush=True)
        if left <= above:
            return
    print(
        f"clean-up: the store stays above {above >> 20} MiB; enlarge synapse.media.cache", file=sys.stderr, flush=True
    )


def main() -> None:
    import boto3  # type: ignore[import-untyped, import-not-found, unused-ignore]

    store, alive = Path(os.environ["CLEAN_STORE"]), Path(os.environ["CLEAN_ALIVE"])
    ages = [int(age) for age in os.environ["CLEAN_AGES"].split()]
    above, every = int(os.environ["CLEAN_ABOVE_BYTES"]), int(os.environ["CLEAN_EVERY"])
    s3 = boto3.client("s3", endpoint_url=os.environ["CLEAN_ENDPOINT"])
    while True:
        alive.touch()
        try:
            one_round(s3, os.environ["CLEAN_BUCKET"], store, ages, above, alive)
        except Exception as error:  # storage may be away for a while; the next round tries again
            print(f"clean-up: round failed: {error!r}", file=sys.stderr, flush=True)
        time.sleep(every)


if __name__ == "__main__":
    main()
