"""Bring a data set's files into a folder: over http(s) from its public homes, or out of a Debian package.

Both ways verify every file by the SHA-256 of its decompressed bytes, and every archive by its own, before anything is
written, so plain http and unknown mirrors are safe, and a killed download leaves nothing behind that could be taken for
a file.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gluon_classics.data.files.verified import (
    ArchiveSpec,
    DamagedFile,
    FileSpec,
    is_gzip,
    read_bytes,
    verify,
    write_atomically,
)

import requests
from tqdm import tqdm

CONNECT_TIMEOUT = 4  # seconds for each address of a host; a big host has a dozen addresses
READ_TIMEOUT = 15  # seconds without one more byte
SILENCE = 30  # seconds after which no further home is asked, if none has sent a file until then
PATIENCE = 600  # seconds for all files over http(s), and again for Debian's package
SLOWEST = 100_000  # bytes a second: what is so large that it would take longer than PATIENCE has that time

Fetched = tuple[dict[str, bytes], list[str]]
log = logging.getLogger(__name__)


def fetch_files(homes: Sequence[str], specs: Sequence[FileSpec | ArchiveSpec], folder: Path) -> Fetched:
    """Fetch `NAME.gz`, or the archive, for each spec from the first of `homes` (base addresses) that has it.

    Returns the verified bytes by spec name (decompressed, but archives as they are), and one line of reasons for each
    home that failed; a home is not asked again after its first failure. What is missing could not be had anywhere, what
    is not was written into `folder`. Raises OSError where `folder` cannot be written.
    """
    got, reasons = {}, []
    start = time.monotonic()
    patience = max(PATIENCE, sum(spec.size for spec in specs) // SLOWEST)
    for home in homes:
        missing = [spec for spec in specs if spec.name not in got]
        if missing and not got and time.monotonic() - start > SILENCE:
            reasons.append(f"{home}: not asked, since no home had answered within {SILENCE} s")
            continue
        for spec in missing:
            url = f"{home.rstrip('/')}/{spec.packed_name}"
            log.info("fetching %s", url)
            try:
                data = _download(url, spec.size, start, patience)
                raw = spec.check(data, url)
            except (requests.RequestException, DamagedFile, TimeoutError) as error:
                reasons.append(_reason(url, error))
                break
            write_atomically(folder / (spec.packed_name if is_gzip(data) else spec.name), data)
            got[spec.name] = raw
    return got, reasons


def extract_debian_package(package: str, inner: str, specs: Sequence[FileSpec], folder: Path) -> Fetched:
    """Take `NAME.gz` for each spec out of Debian's `package`, whose folder `inner` holds them, into `folder`.

    Runs `apt-get download` and `dpkg-deb -x` in a temporary folder: nothing is installed, root is not needed.
    Where apt knows no such package (fresh containers have no lists), it fetches lists into that folder first.
    Returns and raises as `fetch_files`.
    """
    way = f"apt-get download {package}"
    absent = [command for command in ("apt-get", "dpkg-deb") if shutil.which(command) is None]
    if absent:
        return {}, [f"{way}: no {' and no '.join(absent)} on this machine"]
    deadline = time.monotonic() + PATIENCE
    try:
        temporary = tempfile.TemporaryDirectory(prefix="gluon-classics-")
    except OSError as error:
        return {}, [f"{way}: no temporary folder can be made: {error.strerror}"]
    with temporary:
        work = Path(temporary.name)
        for part in ("lists/partial", "cache/archives/partial", "deb"):
            (work / part).mkdir(parents=True)
        own = ["-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]
        log.info("%s, and %s out of it", way, inner)
        try:
            try:
                _command(["apt-get", "download", "-q", package], work / "deb", deadline)
            except _CommandFailed:
                _command(["apt-get", "update", "-q", *own], work, deadline)
                _command(["apt-get", "download", "-q", *own, package], work / "deb", deadline)
            debs = sorted((work / "deb").glob("*.deb"))
            if not debs:
                return {}, [f"{way}: it said that it succeeded, but left no .deb file"]
            _command(["dpkg-deb", "-x", str(debs[0]), str(work / "tree")], work, deadline)
            got = {}
            for spec in specs:
                source = work / "tree" / inner.lstrip("/") / f"{spec.name}.gz"
                what = f"{package}: {inner}/{source.name}"
                got[spec.name] = verify(read_bytes(source, spec.size), spec, what)
        except (_CommandFailed, DamagedFile) as error:
            return {}, [f"{way}: {error}"]
        for spec in specs:
            source = work / "tree" / inner.lstrip("/") / f"{spec.name}.gz"
            write_atomically(folder / source.name, source.read_bytes())
    return got, []


def _download(url: str, size: int, start: float, patience: float) -> bytes:
    """The body of `url`, which must not be much longer than the `size` of its decompressed file."""
    most = size + 2**20  # gzip never makes a file longer by more than a little
    # "identity": some hosts would otherwise decompress a .gz on its way
    with requests.get(
        url, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), headers={"Accept-Encoding": "identity"}
    ) as response:
        response.raise_for_status()
        total = int(response.headers.get("Content-Length") or 0) or None
        body = bytearray()
        # disable=None: no bar where standard error is not a terminal
        with tqdm(
            total=total, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1], leave=False, disable=None
        ) as bar:
            for chunk in response.iter_content(8192):  # small, since the deadline is looked at between chunks
                body += chunk
                bar.update(len(chunk))
                if len(body) > most:
                    raise DamagedFile(f"{url}: expected at most {most:,} bytes, found more")
                if time.monotonic() > start + patience:
                    raise TimeoutError(
                        f"too slow: the {patience} s for all files were over after {len(body):,} bytes of this one"
                    )
    return bytes(body)


def _reason(url: str, error: Exception) -> str:
    """One line for `error`; the texts of requests' own errors are representations of nested objects."""
    if isinstance(error, DamagedFile):
        return str(error)
    if isinstance(error, TimeoutError):
        words = str(error)
    elif isinstance(error, requests.HTTPError):
        words = f"the server answered {error.response.status_code} {error.response.reason}"
    elif isinstance(error, requests.ConnectTimeout):
        words = f"no connection within {CONNECT_TIMEOUT} s"
    elif isinstance(error, requests.Timeout) or "Read timed out" in str(error):
        words = f"no data for {READ_TIMEOUT} s"
    elif isinstance(error, requests.exceptions.ChunkedEncodingError):
        words = f"truncated: the connection closed before the end ({_innermost(error)})"
    else:
        words = f"no connection ({_innermost(error)})"
    return f"{url}: {words}"


def _innermost(error: BaseException) -> str:
    while True:
        inner = getattr(error, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        if inner is None:
            return str(error).rsplit(">: ", 1)[-1].rsplit("): ", 1)[-1].strip("'\" ")
        error = inner


class _CommandFailed(Exception):
    """A command gave another exit status than 0, or took too long; the text says which."""


def _command(argv: list[str], folder: Path, deadline: float) -> None:
    """Run `argv` in `folder`; _CommandFailed with the command's last words on failure."""
    said = f"{argv[0]} {argv[1]}"
    # into a file, not a pipe: after a timeout, a pipe would be waited for until the command's children end as well
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                argv,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=max(1.0, deadline - time.monotonic()),
                env={**os.environ, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            raise _CommandFailed(f"{said} took longer than {PATIENCE} s") from error
        except OSError as error:
            raise _CommandFailed(f"{said} cannot be run: {error.strerror}") from error
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").strip().splitlines()
    if done.returncode:
        last = lines[-1] if lines else "it said nothing"
        raise _CommandFailed(f"{said} failed with exit status {done.returncode}: {last}")
