"""The start of the command ``phono3py-mlp``, also of ``python -m phono3py_mlp_plugin``.

Only the standard library is imported at module level: an installation that lacks a
required package is told in one line, as other errors are.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command and return its exit code."""
    try:
        from phono3py_mlp_plugin.cli import main as run
    except ImportError as error:
        raise SystemExit(
            f"ERROR: phono3py-mlp cannot start: {' '.join(str(error).split())}; "
            "expected all requirements of phono3py-mlp-plugin. Install them by 'pip "
            "install phono3py-mlp-plugin', or 'pip install -e .' in a clone."
        ) from error
    return run()


if __name__ == "__main__":
    sys.exit(main())
