"""The reason for which phono3py ended a run, from its printed output."""

from __future__ import annotations

import contextlib
import io
import traceback

from phonopy.cui.phonopy_script import print_error

# Reasons for functions that print nothing in a quiet run.
_QUIET = {
    "_check_supercell_in_yaml": "the supercell in the input file is not the one that "
    "its unit cell and supercell matrix give",
    "_produce_force_constants": "force constants could not be obtained. Were forces "
    "found?",
}

# Maximum number of lines of a message.
_MOST_LINES = 4


def reason(error: SystemExit, printed: str) -> str:
    """Return the message that phono3py printed before it exited.

    Parameters
    ----------
    error : SystemExit
    printed : str
        The last part of the output.
    """
    lines = _without_banner(printed)
    if lines:
        return " ".join(" ".join(lines).split())
    function = traceback.extract_tb(error.__traceback__)[-1].name
    return _QUIET.get(
        function,
        f"phono3py ended in {function} with exit code {error.code}. Run without "
        "--quiet to see why.",
    )


def _without_banner(printed: str) -> list[str]:
    """Return the last message: the lines after a blank line or a rule."""
    banner = io.StringIO()
    with contextlib.redirect_stdout(banner):
        print_error()  # type: ignore[no-untyped-call]
    text = printed.replace(banner.getvalue(), "").rstrip()
    message: list[str] = []
    for line in reversed(text.splitlines()):
        if not line.strip() or line.startswith("---") or line.endswith("---"):
            break
        message.insert(0, line)
    return message if len(message) <= _MOST_LINES else message[-1:]
