"""Fetch phono3py's source package, which contains the first-principles NaCl dataset.

    python fetch_data.py

prints the folder of the unpacked source. The package is downloaded once with pip, its
SHA-256 is checked, and it is stored in the user's cache folder. Only the standard
library is used.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """A source package: its name and version, and the SHA-256 of the archive."""

    package: str
    version: str
    sha256: str

    @property
    def folder(self) -> str:
        """Name of the folder in the archive."""
        return f"{self.package}-{self.version}"

    @property
    def archive(self) -> str:
        """Name of the archive."""
        return f"{self.folder}.tar.gz"


PHONO3PY = Source(
    "phono3py",
    "4.10.0",
    "80bbec50d2d11c11e2629e4b52626a08f6d7d527fea0b015346b4bd56670beeb",
)
# Output files of many programs, for the tests.
PHONOPY = Source(
    "phonopy",
    "4.10.0",
    "c5ac78aeeb482cdb4d8482dffc3db9cb645f76f6c9d06a996012bebae37dbf7a",
)


class FetchError(Exception):
    """The source package cannot be obtained; the message is one line."""


def cache_folder() -> Path:
    """Return the folder of the user's cache in which this package stores its data."""
    # According to the XDG specification, relative paths are ignored.
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = stated if stated.is_absolute() else Path.home() / ".cache"
    return base / "phono3py-mlp-plugin"


def host_source(source: Source = PHONO3PY) -> Path:
    """Return the folder of an unpacked source package, and fetch it if it is missing.

    Raises
    ------
    FetchError
        If pip cannot download it, or if it is not the expected file.
    """
    cache = cache_folder()
    tree = cache / source.folder
    if tree.is_dir():
        return tree
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # In the cache folder, because a rename is atomic only within one file system.
        with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as scratch:
            archive = cache / source.archive
            if not archive.exists():
                verify(download(source, Path(scratch)), source).replace(archive)
            verify(archive, source)
            unpack(archive, Path(scratch), tree)
    except (OSError, tarfile.TarError) as error:
        raise FetchError(f"{cache}: {error}") from error
    return tree


def download(source: Source, folder: Path) -> Path:
    """Download the source package into the folder with pip; return its path."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    wanted = f"{source.package}=={source.version}"
    pip += ["--no-binary", source.package, wanted, "-d", str(folder)]
    print(f"Downloading {source.archive} with pip (once)", file=sys.stderr)
    finished = subprocess.run(pip, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        reason = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        reason = reason.removeprefix("ERROR: ")
        raise FetchError(f"{source.archive}: pip could not download it ({reason}).")
    return folder / source.archive


def verify(archive: Path, source: Source) -> Path:
    """Return the path of the archive if its SHA-256 is correct; else remove it."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != source.sha256:
        archive.unlink()
        raise FetchError(
            f"{archive}: SHA-256 = {digest}; expected {source.sha256}. The file was "
            "removed: try again."
        )
    return archive


def unpack(archive: Path, scratch: Path, tree: Path) -> None:
    """Unpack the archive in a temporary folder, then move the tree to its path."""
    extract(archive, scratch)
    try:
        (scratch / tree.name).rename(tree)
    except OSError:
        # Another process was faster; its tree has the same content.
        if not tree.is_dir():
            raise


def extract(archive: Path, folder: Path) -> None:
    """Extract an archive with any compression into a folder."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")


def main() -> int:
    """Print the folder of the source."""
    try:
        print(host_source())
    except FetchError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
