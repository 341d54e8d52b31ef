"""``phono3py-mlp plugins``: what is installed, what works, and why not."""

from __future__ import annotations

from typing import Any

from phono3py_mlp_plugin.contracts import ForceCalculator
from phono3py_mlp_plugin.errors import PluginNotFound, did_you_mean
from phono3py_mlp_plugin.options import describe_options
from phono3py_mlp_plugin.plugins import Offered, Registry, registry


def list_plugins(name: str | None) -> int:
    """Print all plugins, or the options of one."""
    found = registry()
    if name is None:
        _print_all(found)
    else:
        _print_options(found, name)
    return 0


def _print_all(found: Registry) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    groups: dict[str, dict[str, Any]] = {
        "Force calculators (--force-calculator)": dict(found.calculators),
        "Force-constants solvers (--fc-calculator)": dict(found.solvers),
    }
    for title, offered in groups.items():
        table = Table(title=title, title_justify="left", expand=False)
        for column in ("name", "package", "version", "status", "what it is"):
            table.add_column(column, overflow="fold")
        for name, item in sorted(offered.items()):
            obstacle = item.record.obstacle()
            table.add_row(
                name,
                item.origin.distribution,
                item.origin.version,
                "ok" if obstacle is None else "not usable",
                item.record.summary if obstacle is None else obstacle,
            )
        console.print(table)
    for reason in found.broken:
        console.print(f"not loaded: {reason}", markup=False)


def _print_options(found: Registry, name: str) -> None:
    offered: list[Offered[Any]] = [
        group[name] for group in (found.calculators, found.solvers) if name in group
    ]
    if not offered:
        known = [*found.calculators, *found.solvers]
        raise PluginNotFound(
            f"No plugin named {name!r}.{did_you_mean(name, known)} "
            f"Installed: {', '.join(sorted(known))}."
        )
    for item in offered:
        kind = (
            "Force calculator" if isinstance(item.record, ForceCalculator) else "Solver"
        )
        print(f"{kind} {name} ({item.origin}): {item.record.summary}")
        if item.record.citation:
            print(f"  cite: {item.record.citation}")
        for option, default, text in describe_options(item.record.options):
            print(f"  {option} = {default}" + (f"  # {text}" if text else ""))
