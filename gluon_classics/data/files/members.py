"""Read a data set's files from its archive in memory, without extracting it to disk."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Sequence

from gluon_classics.data.files.verified import ArchiveSpec, DamagedFile, FileSpec


def read_members(data: bytes, archive: ArchiveSpec, specs: Sequence[FileSpec], what: str) -> dict[str, bytes]:
    """Return the bytes of each of `specs` by name, from the .tar.gz `data`, which has passed `archive.check`.

    Only the published archive passes that check, so sizes are enough here. Raises DamagedFile, beginning with `what`,
    for a member that is missing or has another size, and for a broken archive.
    """
    inside = {f"{archive.folder}/{spec.name}": spec for spec in specs}
    found = {}
    try:
        # in the archive's order: seeking back would decompress it again
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            for member in tar:
                spec = inside.get(member.name)
                if spec is None:
                    continue
                if not member.isreg() or member.size != spec.size:
                    raise DamagedFile(f"{what}: expected {member.name} of {spec.size:,} bytes, found {member.size:,}")
                found[spec.name] = tar.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DamagedFile(f"{what}: corrupt: expected a valid .tar.gz archive, found: {error}") from error
    missing = [name for name, spec in inside.items() if spec.name not in found]
    if missing:
        raise DamagedFile(f"{what}: the archive has no {', no '.join(missing)}")
    return found
