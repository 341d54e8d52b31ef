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

PACKAGE = "phono3py"
VERSION = "4.10.0"
SHA256 = "80bbec50d2d11c11e2629e4b52626a08f6d7d527fea0b015346b4bd56670beeb"
ARCHIVE = f"{PACKAGE}-{VERSION}.tar.gz"


class FetchError(Exception):
    """The source package cannot be obtained; the message is one line."""


def cache_folder() -> Path:
    """Return the folder of the user's cache in which this package stores its data."""
    # According to the XDG specification, relative paths are ignored.
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = stated if stated.is_absolute() else Path.home() / ".cache"
    return base / "phono3py-mlp-plugin"


def host_source() -> Path:
    """Return the folder of phono3py's unpacked source, and fetch it if it is missing.

    Raises
    ------
    FetchError
        If pip cannot download it, or if it is not the expected file.
    """
    cache = cache_folder()
    tree = cache / f"{PACKAGE}-{VERSION}"
    if tree.is_dir():
        return tree
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # In the cache folder, because a rename is atomic only within one file system.
        with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as scratch:
            archive = cache / ARCHIVE
            if not archive.exists():
                verify(download(Path(scratch))).replace(archive)
            verify(archive)
            unpack(archive, Path(scratch), tree)
    except (OSError, tarfile.TarError) as error:
        raise FetchError(f"{cache}: {error}") from error
    return tree


def download(folder: Path) -> Path:
    """Download the source package into the folder with pip; return its path."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    source = ["--no-binary", PACKAGE, f"{PACKAGE}=={VERSION}", "-d", str(folder)]
    print(f"Downloading {ARCHIVE} with pip (once)", file=sys.stderr)
    finished = subprocess.run(pip + source, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        reason = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        reason = reason.removeprefix("ERROR: ")
        raise FetchError(f"{ARCHIVE}: pip could not download it ({reason}).")
    return folder / ARCHIVE


def verify(archive: Path) -> Path:
    """Return the path of the archive if its SHA-256 is correct; else remove it."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        archive.unlink()
        raise FetchError(
            f"{archive}: SHA-256 = {digest}; expected {SHA256}. The file was removed: "
            "try again."
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
