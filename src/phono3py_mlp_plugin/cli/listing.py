"""``phono3py-mlp plugins``: list installed plugins and their options."""

from __future__ import annotations

from typing import Any

from phono3py_mlp_plugin.cli.parser import example
from phono3py_mlp_plugin.contracts import ForceCalculator
from phono3py_mlp_plugin.errors import PluginNotFound, did_you_mean
from phono3py_mlp_plugin.options import describe_options
from phono3py_mlp_plugin.plugins import (
    DISTRIBUTION,
    PluginEntry,
    Registry,
    registry,
    version_of,
)


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
    parser.set_defaults(run=lambda args: list_plugins(args.name))


def list_plugins(name: str | None) -> int:
    """Print all plugins, or the options of one."""
    plugins = registry()
    if name is None:
        _print_all(plugins)
    else:
        _print_options(plugins, name)
    return 0


def _print_all(plugins: Registry) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    groups: dict[str, dict[str, Any]] = {
        "Force calculators (--force-calculator)": dict(plugins.calculators),
        "Force-constants solvers (--fc-calculator)": dict(plugins.solvers),
    }
    notes = []
    for title, entries in groups.items():
        table = Table(title=title, title_justify="left", box=SIMPLE)
        for column in ("name", "status"):
            table.add_column(column, no_wrap=True)
        table.add_column("description", ratio=1, overflow="fold")
        table.add_column("package", overflow="fold")
        for name, item in sorted(entries.items()):
            reason = item.record.unavailable_reason()
            status = "ok" if reason is None else "not usable"
            # Its name and version would leave no width for descriptions.
            is_own = item.origin.distribution == DISTRIBUTION
            package = "built in" if is_own else str(item.origin)
            table.add_row(name, status, escape(item.record.summary), package)
            if reason is not None:
                notes.append(f"{name}: {reason}")
        console.print(table)
    built_in = f"Built in: {DISTRIBUTION} {version_of(DISTRIBUTION)}."
    for note in [built_in, *notes, *plugins.broken]:
        # Commands are copied from these lines: only the terminal wraps them.
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _print_options(plugins: Registry, name: str) -> None:
    entries: list[PluginEntry[Any]] = [
        group[name] for group in (plugins.calculators, plugins.solvers) if name in group
    ]
    if not entries:
        known = [*plugins.calculators, *plugins.solvers]
        raise PluginNotFound(
            f"No plugin named {name!r}.{did_you_mean(name, known)} "
            f"Installed: {', '.join(sorted(known))}."
        )
    for item in entries:
        kind = (
            "Force calculator" if isinstance(item.record, ForceCalculator) else "Solver"
        )
        print(f"{kind} {name} ({item.origin}): {item.record.summary}")
        if item.record.citation:
            print(f"  cite: {item.record.citation}")
        for option, default, text in describe_options(item.record.options):
            print(f"  {option} = {default}" + (f"  # {text}" if text else ""))
