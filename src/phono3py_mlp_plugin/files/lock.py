"""A lock that allows one run at a time in a folder, or many parts of one run."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import stat
import sys
import time
from pathlib import Path

from phono3py_mlp_plugin.errors import FolderInUse, UnusableFile
from phono3py_mlp_plugin.operating_system import open_flags

try:
    import fcntl
except ImportError:
    # Windows has no fcntl. This is handled as for file systems without locks.
    fcntl = None  # type: ignore[assignment]

NAME = ".phono3py-mlp.lock"

# Errors of file systems without locks, on which other runs cannot be detected.
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}

# Content of the file while it is locked, or after a run was killed.
_OWNER = re.compile(rb"\d+(?: on [^\n]*\n?)?")


class FolderLock:
    """The lock of a folder, which the kernel releases when its process ends.

    Parameters
    ----------
    folder : Path
    shared : bool
        Allow others that share the folder, too: parts of a run, which write finished
        chunks only.
    name : str
        Name of the lock file.

    Raises
    ------
    FolderInUse
        If another run uses the folder.
    UnusableFile
        If the lock file is not a lock of this package.
    OSError
        If the folder is not writable.
    """

    def __init__(self, folder: Path, *, shared: bool = False, name: str = NAME) -> None:
        self._path = folder / name
        self._process = os.getpid()
        self._shared = shared
        self._descriptor = self._acquire()
        if shared:
            return
        owner = f"{self._process} on {socket.gethostname()} since {time.ctime()}\n"
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, owner.encode())

    def _acquire(self) -> int:
        while True:
            descriptor = _open(self._path, os.O_CREAT)
            try:
                _lock(descriptor, shared=self._shared)
            except OSError as error:
                if error.errno in _UNSUPPORTED:
                    return descriptor
                owner = os.read(descriptor, 200).decode(errors="replace").strip()
                os.close(descriptor)
                if not isinstance(error, BlockingIOError):
                    raise
                by = f"process {owner}" if owner else "parts of a run, by --part"
                raise FolderInUse(
                    f"another run works in this folder ({by}). Wait for it, or run in "
                    "another folder: their files would be mixed."
                ) from error
            # Its previous owner may have removed the file between opening and locking.
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            os.close(descriptor)

    def release(self) -> None:
        """Release the lock, except in a forked process."""
        if os.getpid() != self._process or self._descriptor < 0:
            return
        if fcntl is None:
            # Windows cannot remove an open file.
            os.close(self._descriptor)
            self._path.unlink(missing_ok=True)
        elif self._shared and not self._is_last():
            os.close(self._descriptor)
        else:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
        self._descriptor = -1

    def _is_last(self) -> bool:
        """Return whether nobody else shares the folder."""
        try:
            _lock(self._descriptor)
        except OSError:
            return False
        return True


def _lock(descriptor: int, *, shared: bool = False) -> None:
    """Lock an open file; raise an error if another process has locked it."""
    if fcntl is None or sys.platform == "win32":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)


def remove_dead_lock(folder: Path) -> None:
    """Remove the lock file of a process that has ended."""
    path = folder / NAME
    with contextlib.suppress(OSError):
        descriptor = _open(path)
        try:
            _lock(descriptor)
            path.unlink()
        finally:
            os.close(descriptor)


def _open(path: Path, flags: int = 0) -> int:
    """Open a lock file, which will be overwritten and removed later.

    Links and files with other content raise an error.
    """
    # Do not block if it is a pipe or a device.
    flags |= open_flags("O_RDWR", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC")
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _not_a_lock(path) from error
        raise
    status = os.fstat(descriptor)
    content = b""
    if stat.S_ISREG(status.st_mode):
        content = os.read(descriptor, 400)
        os.lseek(descriptor, 0, os.SEEK_SET)
    if (
        not stat.S_ISREG(status.st_mode)
        or status.st_nlink > 1
        or (content and not _OWNER.fullmatch(content))
    ):
        os.close(descriptor)
        raise _not_a_lock(path)
    return descriptor


def _not_a_lock(path: Path) -> UnusableFile:
    return UnusableFile(
        f"{path}: not a lock of this package but a link, or a file that holds "
        "something else. Move it away, or run in another folder."
    )
