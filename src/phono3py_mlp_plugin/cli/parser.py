"""A parser of arguments whose errors are one line."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that reports an error on one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with the message on one line, without the usage."""
        one = " ".join(message.split())
        self.exit(2, f"ERROR: {one}. '{self.prog} --help' lists the options.\n")
