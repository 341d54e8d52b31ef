"""``phono3py-mlp plugins``: list installed plugins and their options."""

from __future__ import annotations

import argparse
from typing import Any

from phono3py_mlp_plugin.api.installation import Plugins, find_plugins
from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.errors import PluginNotFound, did_you_mean
from phono3py_mlp_plugin.plugins import DISTRIBUTION, version_of


def add_plugins(commands: Any) -> None:
    """Add ``plugins`` to the commands."""
    parser = commands.add_parser(
        "plugins",
        help="list force calculators and force-constants solvers",
        description="List force calculators and force-constants solvers, whether they "
        "can be used here, and what others need; or show the options of one.",
        epilog=example("phono3py-mlp plugins", "phono3py-mlp plugins pypolymlp"),
    )
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="show the options of this plugin"
    )
    parser.set_defaults(run=_list)


def _list(args: argparse.Namespace) -> int:
    plugins = find_plugins()
    if args.name is None:
        _print_all(plugins)
    else:
        _print_options(plugins, args.name)
    return 0


def _print_all(plugins: Plugins) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    groups = {
        "Force calculators (--force-calculator)": plugins.force_calculators,
        "Force-constants solvers (--fc-calculator)": plugins.force_constants_solvers,
    }
    notes = []
    for title, found in groups.items():
        table = Table(title=title, title_justify="left", box=SIMPLE)
        for column in ("name", "status"):
            table.add_column(column, no_wrap=True)
        table.add_column("description", ratio=1, overflow="fold")
        table.add_column("package", overflow="fold")
        for one in found.values():
            status = "ok" if one.unavailable_reason is None else "not usable"
            # Its name and version would leave no width for descriptions.
            package = "built in" if one.is_built_in else one.package
            table.add_row(one.name, status, escape(one.summary), package)
            if one.unavailable_reason is not None:
                notes.append(f"{one.name}: {one.unavailable_reason}")
        console.print(table)
    built_in = f"Built in: {DISTRIBUTION} {version_of(DISTRIBUTION)}."
    for note in [built_in, *notes, *plugins.broken]:
        # Commands are copied from these lines: only the terminal wraps them.
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _print_options(plugins: Plugins, name: str) -> None:
    kinds = {
        "Force calculator": plugins.force_calculators,
        "Solver": plugins.force_constants_solvers,
    }
    found = [(kind, group[name]) for kind, group in kinds.items() if name in group]
    if not found:
        known = [name for group in kinds.values() for name in group]
        raise PluginNotFound(
            f"No plugin named {name!r}.{did_you_mean(name, known)} "
            f"Installed: {', '.join(sorted(known))}."
        )
    for kind, one in found:
        print(f"{kind} {name} ({one.package}): {one.summary}")
        if one.citation:
            print(f"  cite: {one.citation}")
        for option, default, text in one.options:
            print(f"  {option} = {default}" + (f"  # {text}" if text else ""))
