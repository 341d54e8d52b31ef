"""Run the examples of the documentation and write their output and figures.

    python docs/examples/build.py              # those whose packages are installed
    python docs/examples/build.py copper

Each example is one command in a folder with nothing but a unit cell.
"""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAIN = "import sys; from phono3py_mlp_plugin.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Example:
    """One command, from a unit cell to kappa.

    Attributes
    ----------
    name : str
        Of its output and figure.
    module : str
        That is needed.
    crystal : tuple
        Name, structure and lattice constant (angstrom) for ``ase.build.bulk``.
    repeat : int
        Number of cells along each axis in the file.
    options : str
        Options of ``phono3py-mlp kappa`` after those that all examples have.
    """

    name: str
    module: str
    crystal: tuple[str, str, float]
    options: str
    repeat: int = 1

    @property
    def command(self) -> str:
        """The command as users type it."""
        common = "--mesh 11 11 11 --ts 100 200 300 400 500 600"
        return f"phono3py-mlp kappa -c POSCAR {self.options} {common}"


EXAMPLES = {
    example.name: example
    for example in (
        Example(
            "copper",
            "ase",
            ("Cu", "fcc", 3.6),
            "--dim 2 2 2 --force-calculator emt --relax",
        ),
        Example(
            "silicon",
            "sevenn",
            ("Si", "diamond", 5.43),
            "--dim 2 2 2 --force-calculator sevennet --relax --teach 20",
        ),
        Example(
            "magnesia",
            "tblite",
            ("MgO", "rocksalt", 4.48),
            "--dim 1 1 1 --force-calculator tblite --force-calculator-options "
            '"method = GFN1-xTB" --relax --teach 8',
            repeat=2,
        ),
    )
}


def run(example: Example, folder: Path) -> str:
    """Run an example in an empty folder and return its output with its times.

    Raises
    ------
    subprocess.CalledProcessError
        If the command fails.
    """
    from ase.build import bulk, sort
    from ase.io import write

    element, structure, edge = example.crystal
    atoms = bulk(element, structure, a=edge, cubic=True).repeat(example.repeat)
    write(folder / "POSCAR", sort(atoms))
    words = [sys.executable, "-c", MAIN, *shlex.split(example.command)[1:]]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        words, cwd=folder, check=True, text=True, stdout=subprocess.PIPE
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"$ {example.command}\n{done.stdout}Processor time: {seconds:.0f} s.\n"


def shorten(text: str) -> str:
    """Return the output without banners, grid points and progress."""
    kept = "\n".join(_kept(text.splitlines())) + "\n"
    return re.sub(r"\n(\s*\n)+", "\n\n", kept)


# What begins and ends a part that says nothing about the example.
_LEFT_OUT = (
    (r"^        _ ", r"^Spglib version"),
    (r"^ +_$", r"^ +\\___\|_\|"),
    (r"^-+\[time ", r""),
    (r"^  [A-Z].*(\.\.\.|: \d+(/\d+)? \(\d+ s\))$", r""),
    (r"^(Batch: |=+ Grid point)", r"^=+ End of collection"),
    (r"^Computing fc3", r"^Expanding fc3"),
)


def _kept(lines: Sequence[str]) -> Iterator[str]:
    end = None
    for line in lines:
        if end is None:
            end = next((e for begin, e in _LEFT_OUT if re.search(begin, line)), None)
            if end is None:
                yield line.rstrip()
                continue
        if re.search(end, line):
            end = None


def is_installed(example: Example) -> bool:
    """Return whether an example can be run here."""
    return importlib.util.find_spec(example.module) is not None


def main(names: Sequence[str]) -> None:
    """Run examples and write ``NAME.txt`` and ``NAME.png`` beside this file."""
    for name in names or EXAMPLES:
        example = EXAMPLES[name]
        if not is_installed(example):
            print(f"{name}: {example.module} is not installed; its output is kept.")
            continue
        with tempfile.TemporaryDirectory() as folder:
            text = shorten(run(example, Path(folder)))
            (HERE / f"{name}.txt").write_text(text)
            figure = Path(folder) / "phono3py_mlp_report_bands.png"
            shutil.copyfile(figure, HERE / f"{name}.png")
        print(f"{name}: written.")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    main(sys.argv[1:])
