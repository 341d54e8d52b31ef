"""One run at a time in a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
import time
from pathlib import Path

from phono3py_mlp_plugin.errors import FolderInUse, UnusableFile

try:
    import fcntl
except ImportError:
    # Windows has none: as file systems without locks.
    fcntl = None  # type: ignore[assignment]

NAME = ".phono3py-mlp.lock"

# File systems without locks answer so: two runs cannot be told apart there.
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}

# What the file says while it is locked, and after a run that was killed.
_OWNER = re.compile(rb"\d+(?: on [^\n]*\n?)?")


class FolderLock:
    """The lock of a folder; the kernel frees it however its owner ends.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    FolderInUse
        Another run works there.
    UnusableFile
        Something else than a lock has its name.
    OSError
        The folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._process = os.getpid()
        self._descriptor = self._acquire()
        owner = f"{self._process} on {socket.gethostname()} since {time.ctime()}\n"
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, owner.encode())

    def _acquire(self) -> int:
        while True:
            descriptor = _open(self._path, os.O_CREAT)
            try:
                _lock(descriptor)
            except OSError as error:
                if error.errno in _UNSUPPORTED:
                    return descriptor
                owner = os.read(descriptor, 200).decode(errors="replace").strip()
                os.close(descriptor)
                if not isinstance(error, BlockingIOError):
                    raise
                raise FolderInUse(
                    f"another run works in this folder (process {owner}). Wait for it, "
                    "or run in another folder: their files would be mixed."
                ) from error
            # The owner before may have removed the file between opening and locking.
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            os.close(descriptor)

    def release(self) -> None:
        """Free the folder; in a process forked meanwhile nothing is done."""
        if os.getpid() != self._process or self._descriptor < 0:
            return
        if fcntl is None:
            # Windows removes no open file.
            os.close(self._descriptor)
            self._path.unlink(missing_ok=True)
        else:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
        self._descriptor = -1


def _lock(descriptor: int) -> None:
    """Lock an open file; raises where somebody else has."""
    if fcntl is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_dead_lock(folder: Path) -> None:
    """Remove the lock file of an owner that is gone, for a tidy folder."""
    path = folder / NAME
    with contextlib.suppress(OSError):
        descriptor = _open(path)
        try:
            _lock(descriptor)
            path.unlink()
        finally:
            os.close(descriptor)


def _open(path: Path, flags: int = 0) -> int:
    """Open a lock file: never through a link, never a file that holds something else.

    It is overwritten and removed later.
    """
    # A pipe or device is not waited for.
    flags |= os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _no_lock(path) from error
        raise
    status = os.fstat(descriptor)
    content = b""
    if stat.S_ISREG(status.st_mode):
        content = os.pread(descriptor, 400, 0)
    if (
        not stat.S_ISREG(status.st_mode)
        or status.st_nlink > 1
        or (content and not _OWNER.fullmatch(content))
    ):
        os.close(descriptor)
        raise _no_lock(path)
    return descriptor


def _no_lock(path: Path) -> UnusableFile:
    return UnusableFile(
        f"{path}: not a lock of this package but a link, or a file that holds "
        "something else. Move it away, or run in another folder."
    )
