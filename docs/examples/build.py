"""Run the examples of the documentation and write their output and figures.

    python docs/examples/build.py              # those whose packages are installed
    python docs/examples/build.py copper

Each example is one command in a folder with nothing but a unit cell or a published
dataset of first-principles supercells.
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
TEMPERATURES = "--ts 100 200 300 400 500 600"


@dataclass(frozen=True)
class Example:
    """One command, to kappa.

    Attributes
    ----------
    name : str
        Of its output and figure.
    module : str
        That is needed.
    options : str
        Options of the command after those that all examples have.
    crystal : tuple, optional
        Name, structure and lattice constant (angstrom) for ``ase.build.bulk``.
    repeat : int
        Number of cells along each axis in the file.
    dataset : str
        Path of a dataset in the source package of phono3py, instead of a crystal.
    mesh : str
    """

    name: str
    module: str
    options: str
    crystal: tuple[str, str, float] | None = None
    repeat: int = 1
    dataset: str = ""
    mesh: str = "11 11 11"

    @property
    def command(self) -> str:
        """The command as users type it."""
        common = f"--mesh {self.mesh} {TEMPERATURES}"
        if self.dataset:
            return f"phono3py {Path(self.dataset).name} {self.options} {common}"
        return f"phono3py-mlp kappa -c POSCAR {self.options} {common}"

    def prepare(self, folder: Path) -> None:
        """Write the input into a folder."""
        if self.crystal is None:
            shutil.copy(host_source() / self.dataset, folder)
            return
        from ase.build import bulk, sort
        from ase.io import write

        element, structure, edge = self.crystal
        atoms = bulk(element, structure, a=edge, cubic=True).repeat(self.repeat)
        write(folder / "POSCAR", sort(atoms))


FIRST_PRINCIPLES = (
    '--pypolymlp --mlp-params "preset = compact, ntrain = 20, ntest = 20" '
    "--fc-calculator {solver} --br --uncertainty 16"
)

EXAMPLES = {
    example.name: example
    for example in (
        Example(
            "periclase",
            "phono3py",
            FIRST_PRINCIPLES.format(solver='"symfc|exact"'),
            dataset="test/phono3py_params_MgO-222rd-444rd.yaml.xz",
        ),
        Example(
            "wurtzite",
            "phono3py",
            FIRST_PRINCIPLES.format(solver="exact"),
            dataset="example/AlN-rd/phonopy_params_mp-661.yaml.xz",
            mesh="9 9 7",
        ),
        Example(
            "copper",
            "ase",
            "--dim 2 2 2 --force-calculator emt --relax",
            crystal=("Cu", "fcc", 3.6),
        ),
        Example(
            "silicon",
            "sevenn",
            "--dim 2 2 2 --force-calculator sevennet --relax --teach 20",
            crystal=("Si", "diamond", 5.43),
        ),
        Example(
            "magnesia",
            "tblite",
            "--dim 1 1 1 --force-calculator tblite --force-calculator-options "
            '"method = GFN1-xTB" --relax --teach 8',
            crystal=("MgO", "rocksalt", 4.48),
            repeat=2,
        ),
    )
}


def host_source() -> Path:
    """Return the folder of the source package of phono3py, with its datasets."""
    script = HERE.parents[1] / "example" / "NaCl-pypolymlp" / "fetch_data.py"
    found = subprocess.run(
        [sys.executable, script], check=True, text=True, stdout=subprocess.PIPE
    )
    return Path(found.stdout.strip())


def run(example: Example, folder: Path) -> str:
    """Run an example in a folder without other files; return its output and time.

    Raises
    ------
    subprocess.CalledProcessError
        If the command fails.
    """
    example.prepare(folder)
    name, *words = shlex.split(example.command)
    script = [sys.executable, "-c", MAIN] if name == "phono3py-mlp" else [name]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*script, *words], cwd=folder, check=True, text=True, stdout=subprocess.PIPE
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"$ {example.command}\n{done.stdout}Processor time: {seconds:.0f} s.\n"


def draw(example: Example, folder: Path, figure: Path) -> None:
    """Write the figure of the phonon bands; ``kappa`` has made the report already."""
    if example.dataset:
        name = Path(example.dataset).name
        words = [sys.executable, "-c", MAIN, "report", name, "-q"]
        subprocess.run(words, cwd=folder, check=True)
    shutil.copyfile(folder / "phono3py_mlp_report_bands.png", figure)


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
            draw(example, Path(folder), HERE / f"{name}.png")
        print(f"{name}: written.")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    main(sys.argv[1:])
