"""A data set's files out of its archive, in memory: nothing is extracted to disk."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Sequence

from gluon_classics.data.files.verified import ArchiveSpec, DamagedFile, FileSpec


def read_members(data: bytes, archive: ArchiveSpec, specs: Sequence[FileSpec], what: str) -> dict[str, bytes]:
    """The bytes of each of `specs` by name, out of the .tar.gz `data`, which has passed `archive.check`.

    That check comes first, so that no archive but the published one is decompressed: here only sizes are compared.
    Raises DamagedFile, beginning with `what`, for a member that is missing or of another size, or a broken archive.
    """
    inside = {f"{archive.folder}/{spec.name}": spec for spec in specs}
    found = {}
    try:
        # member by member in the archive's order: to go back would mean to decompress it all again
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            for member in tar:
                spec = inside.get(member.name)
                if spec is None:
                    continue
                if not member.isreg() or member.size != spec.size:
                    raise DamagedFile(f"{what}: expected {member.name} of {spec.size:,} bytes, found {member.size:,}")
                found[spec.name] = tar.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DamagedFile(f"{what}: corrupt: expected a sound .tar.gz archive, found: {error}") from error
    missing = [name for name, spec in inside.items() if spec.name not in found]
    if missing:
        raise DamagedFile(f"{what}: the archive has no {', no '.join(missing)}")
    return found
