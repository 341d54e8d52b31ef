"""A parser of arguments whose errors are one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from phono3py_mlp_plugin.host.arguments import exit_with_error


class Parser(argparse.ArgumentParser):
    """A parser that reports an error on one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with the message on one line, without the usage."""
        exit_with_error(self, message)
