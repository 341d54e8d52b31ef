"""Another operating system, as far as an interpreter on Linux can pretend to be one."""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import signal
import sys

# By module, the names of the standard library that a system lacks.
LACKING = {
    "darwin": {
        os: """sched_getaffinity sched_setaffinity posix_fadvise
            posix_fallocate pipe2 getrandom eventfd memfd_create pidfd_open splice
            copy_file_range""",
        signal: "sigtimedwait sigwaitinfo SIGCLD SIGPOLL SIGPWR SIGSTKFLT SIGRTMIN "
        "SIGRTMAX",
    },
    "win32": {
        os: """O_CLOEXEC O_NOFOLLOW O_NONBLOCK O_DIRECTORY O_SYNC O_DSYNC O_NOCTTY
            O_NOATIME O_PATH WNOHANG WUNTRACED WEXITSTATUS WIFSIGNALED
            chown chroot confstr ctermid fchmod fchown fdatasync fork forkpty
            fpathconf getegid geteuid getgid getgroups getloadavg getpgid getpgrp
            getpriority getsid getuid initgroups killpg lchown lockf major minor mkfifo
            mknod nice openpty pathconf pipe2 posix_fadvise posix_spawn pread preadv
            pwrite pwritev sched_getaffinity sched_setaffinity sched_yield sendfile
            seteuid setgid setpgid setsid setuid statvfs sync sysconf sysconf_names
            tcgetpgrp tcsetpgrp ttyname uname wait wait3 wait4 waitid""",
        signal: """ITIMER_REAL SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGHUP SIGIO
            SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGSTOP SIGSYS SIGTRAP
            SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU
            SIGXFSZ SIG_BLOCK SIG_SETMASK SIG_UNBLOCK Sigmasks alarm getitimer pause
            pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait
            sigwait sigwaitinfo""",
        errno: "ENOTBLK ENOMEDIUM EUCLEAN",
    },
}
MODULES = {
    "darwin": (),
    "win32": ("fcntl", "resource", "grp", "pwd", "termios", "tty", "pty", "syslog"),
}
# These look at the system when they are imported, and differ there.
LIBRARIES = (
    *("asyncio", "concurrent.futures", "ctypes.util", "multiprocessing.util"),
    *("multiprocessing.context", "multiprocessing.popen_fork", "getpass", "platform"),
    *("subprocess", "tarfile", "h5py", "matplotlib.pyplot", "numba", "scipy.linalg"),
    *("scipy.optimize", "spglib", "symfc", "threadpoolctl", "phonopy", "rich.console"),
    *("distributed", "ase.io", "ase.optimize", "hiphive", "pypolymlp"),
)


def pretend(system: str) -> None:
    """Remove what a system lacks from the standard library, except for libraries.

    Parameters
    ----------
    system : str
        Its name in ``sys.platform``.
    """
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    for module, names in LACKING[system].items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    for name in MODULES[system]:
        sys.modules[name] = None  # type: ignore[assignment]
    sys.platform = system


def import_all() -> int:
    """Import every module of the package; return their number."""
    import phono3py_mlp_plugin as package

    names = [
        module.name
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    for name in names:
        importlib.import_module(name)
    return len(names)
