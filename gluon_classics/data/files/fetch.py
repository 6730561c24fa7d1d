"""Download a data set's files over http(s) from the first mirror that has them.

Every file is checked by the SHA-256 of its decompressed bytes, and every archive by its own, before anything is
written. Plain http and unknown mirrors are therefore safe, and a killed download leaves no file to be mistaken for one.
"""

from __future__ import annotations

import io
import logging
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gluon_classics.data.files.verified import ArchiveSpec, DamagedFile, FileSpec, is_gzip, write_atomically

import requests
from tqdm import tqdm

CONNECT_TIMEOUT = 4  # seconds for each address of a host; large hosts have a dozen addresses
READ_TIMEOUT = 15  # seconds without any data
SILENCE = 30  # seconds after which no further mirror is tried if none has sent a file
PATIENCE = 600  # seconds for all files
SLOWEST = 100_000  # bytes per second; large files get the time that this rate needs

log = logging.getLogger(__name__)


def fetch_files(
    mirrors: Sequence[str], specs: Sequence[FileSpec | ArchiveSpec], folder: Path
) -> tuple[dict[str, bytes], list[str]]:
    """Download `NAME.gz`, or the archive, for each spec from `mirrors` (base addresses) into `folder`.

    Returns the verified bytes by spec name (files decompressed, archives as they are), and the reason why each mirror
    failed. A mirror is skipped after its first failure. Files that no mirror has are missing from the result.
    Raises OSError if `folder` cannot be written.
    """
    got, reasons = {}, []
    start = time.monotonic()
    patience = max(PATIENCE, sum(spec.size for spec in specs) // SLOWEST)
    for mirror in mirrors:
        missing = [spec for spec in specs if spec.name not in got]
        if missing and not got and time.monotonic() - start > SILENCE:
            reasons.append(f"{mirror}: not tried, because no mirror had answered within {SILENCE} s")
            continue
        for spec in missing:
            url = f"{mirror.rstrip('/')}/{spec.packed_name}"
            log.info("downloading %s", url)
            try:
                data = _download(url, spec.size, start, patience)
                raw = spec.check(data, url)
            except DamagedFile as error:
                reasons.append(str(error))
                break
            except (requests.RequestException, TimeoutError) as error:
                reasons.append(f"{url}: {_reason(error)}")
                break
            write_atomically(folder / (spec.packed_name if is_gzip(data) else spec.name), data)
            got[spec.name] = raw
    return got, reasons


def _download(url: str, size: int, start: float, patience: float) -> bytes:
    """Return the body of `url`, which may be little longer than `size`, the size of the decompressed file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pooch imports tqdm.auto, which warns in a notebook without ipywidgets
        import pooch
    body = _Body(url, size, start, patience)
    # disable=None: no bar unless standard error is a terminal
    with tqdm(total=size, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1], leave=False, disable=None) as bar:
        pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=8192,  # small, because the limits are checked between chunks
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            headers={"Accept-Encoding": "identity"},  # otherwise some hosts decompress a .gz in transit
        )(url, body, None)
    return body.getvalue()


class _Body(io.BytesIO):
    """A download in memory, with limits on its size and time."""

    def __init__(self, url: str, size: int, start: float, patience: float):
        super().__init__()
        self.url, self.most = url, size + 2**20  # gzip makes a file longer by only a little
        self.start, self.patience = start, patience

    def write(self, chunk: Any) -> int:
        if self.tell() + len(chunk) > self.most:
            raise DamagedFile(f"{self.url}: expected at most {self.most:,} bytes, found more")
        if time.monotonic() > self.start + self.patience:
            raise TimeoutError(f"too slow: {self.tell():,} bytes after {self.patience} s, the limit for all files")
        return super().write(chunk)


def _reason(error: BaseException) -> str:
    """Describe `error` in one line. The texts of requests' own errors are representations of nested objects."""
    if isinstance(error, TimeoutError):
        return str(error)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_TIMEOUT} s"
    if isinstance(error, requests.Timeout) or "Read timed out" in str(error):
        return f"no data for {READ_TIMEOUT} s"
    truncated = isinstance(error, requests.exceptions.ChunkedEncodingError)
    while error.__context__ is not None:
        error = error.__context__  # the operating system's error comes first in the chain
    return f"{'truncated: the connection closed before the end' if truncated else 'no connection'} ({error})"
