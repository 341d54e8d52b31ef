"""What a run costs: time and memory of its stages, on one machine and on workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phono3py_mlp_plugin.wording import counted, duration


@dataclass(frozen=True)
class Stage:
    """Expected cost of a stage of a run.

    Attributes
    ----------
    name : str
    seconds : float
        Time on this machine.
    shared : float
        The part of it that workers can share.
    memory : float
        Peak memory of the process in bytes, zero if it is not the largest anywhere.
    detail : str
        What is computed.
    """

    name: str
    seconds: float
    shared: float = 0.0
    memory: float = 0.0
    detail: str = ""

    def on_workers(self, n: int) -> float:
        """Return the time on n machines such as this one."""
        return self.seconds - self.shared + self.shared / n


@dataclass(frozen=True)
class CostOfRun:
    """Expected cost of a run.

    Attributes
    ----------
    stages : tuple of Stage
    not_included : tuple of str
        Stages whose cost is not known.
    """

    stages: tuple[Stage, ...]
    not_included: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Time of the run."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def memory(self) -> float:
        """Peak memory of the run in bytes."""
        return max((stage.memory for stage in self.stages), default=0.0)

    def on_workers(self, n: int) -> float:
        """Return the time on n machines such as this one."""
        return sum(stage.on_workers(n) for stage in self.stages)


def cost_lines(cost: CostOfRun, workers: Sequence[int] = ()) -> list[str]:
    """Return the table of a forecast.

    Parameters
    ----------
    cost : CostOfRun
    workers : sequence of int
        Numbers of machines for which the time is shown, too.
    """
    head = f"{'stage':24}{'time':>10}{'memory':>10}"
    head += "".join(f"{counted(n, 'worker'):>14}" for n in workers) + "  what"
    lines = [head]
    for stage in cost.stages:
        memory = f"{stage.memory / 1e9:.1f} GB" if stage.memory else "-"
        line = f"{stage.name:24}{duration(stage.seconds):>10}{memory:>10}"
        line += "".join(f"{duration(stage.on_workers(n)):>14}" for n in workers)
        lines.append(f"{line}  {stage.detail}".rstrip())
    line = f"{'total':24}{duration(cost.seconds):>10}{cost.memory / 1e9:>7.1f} GB"
    lines.append(line + "".join(f"{duration(cost.on_workers(n)):>14}" for n in workers))
    lines += [f"Not included: {name}." for name in cost.not_included]
    return lines
