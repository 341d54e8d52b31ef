"""What a command changes in its process, undone when the command ends.

A command may be called from Python, where other calls follow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

_changes = contextlib.ExitStack()
_was_changed = False


def when_command_ends(undo: Callable[[], object]) -> None:
    """Call a function when the running command ends, the last one first."""
    global _was_changed
    _was_changed = True
    _changes.callback(undo)


def put(owner: Any, name: str, value: Any) -> None:
    """Set an attribute until the running command ends."""
    before = vars(owner).get(name, _changes)
    if before is _changes:
        when_command_ends(lambda: delattr(owner, name))
    else:
        when_command_ends(lambda: setattr(owner, name, before))
    setattr(owner, name, value)


def has_run_command() -> bool:
    """Return whether a command has started in this process."""
    return _was_changed


def end_command() -> None:
    """Undo what the command has changed."""
    _changes.close()
