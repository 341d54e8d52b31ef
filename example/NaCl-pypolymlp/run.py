"""Compute the thermal conductivity of NaCl from first-principles supercells.

    python run.py           the documented steps 1-7 with the default model
    python run.py --demo    the same with a compact model and few supercells

A line is printed for each step, with its time. All files are written into a folder
below run/, among them log.txt with the commands and their output. Results that exist
there are reused if they were made from the same input.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import phono3py
from fetch_data import FetchError, extract, host_source
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import phono3py_mlp_plugin as mlp
from phono3py_mlp_plugin.reference import nacl_dataset

HERE = Path(__file__).resolve().parent
DISPLACEMENTS = "phono3py_disp.yaml"
PARAMS = "phono3py_params.yaml"
POTENTIAL = "polymlp.yaml"
FIGURE = "figure.png"
FINISHED = "finished.txt"
LOG = "log.txt"
# Lines of the log that are shown if a step has failed.
SHOWN = 20
UNITCELL = "POSCAR-unitcell"
BORN = "BORN"
DIMENSION = 2
TEMPERATURES = (100, 200, 300, 400, 500, 600, 700, 800)
TEMPERATURE = 300

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """Model, numbers of supercells and mesh of a calculation."""

    name: str
    model: str
    n_training: int
    n_test: int
    mesh: tuple[str, ...]

    @property
    def mlp_params(self) -> str:
        """Value of --mlp-params."""
        split = (f"ntrain = {self.n_training}", f"ntest = {self.n_test}")
        return ", ".join((self.model, *split) if self.model else split)


FULL = Job("full", "", 80, 20, ("50",))
DEMO = Job("demo", "gtinv_maxl = 4 4", 20, 20, ("11", "11", "11"))


@dataclass(frozen=True, eq=False)
class Parity:
    """Reference and predicted forces and energies of one part of the dataset."""

    forces: FloatArray
    predicted_forces: FloatArray
    energies: FloatArray
    predicted_energies: FloatArray

    @property
    def force_error(self) -> float:
        """Root mean square error in eV/angstrom."""
        return rms(self.predicted_forces - self.forces)

    @property
    def energy_error(self) -> float:
        """Root mean square error in eV/atom."""
        return rms(self.predicted_energies - self.energies) / self.forces.shape[1]


@dataclass(frozen=True, eq=False)
class Conductivity:
    """Lattice thermal conductivity of a cubic crystal (W/m-K) by temperature (K)."""

    path: Path
    mesh: tuple[int, ...]
    temperatures: FloatArray
    kappa: FloatArray

    def at(self, temperature: float) -> float:
        """Return the value at one of the temperatures."""
        index = int(np.flatnonzero(np.isclose(self.temperatures, temperature))[0])
        return float(self.kappa[index])


def rms(values: FloatArray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(values**2)))


class StepFailed(Exception):
    """A command of a step that has failed."""


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show on one line what is done, and its time when it is finished."""
    console = Console()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    started = time.monotonic()
    with ExitStack() as shown:
        if console.is_terminal:
            progress = Progress(*columns, console=console, transient=True)
            shown.enter_context(progress).add_task(title, total=None)
        else:
            print(f"{title:<64}", end="", flush=True)
        try:
            yield
        except BaseException:
            print("" if console.is_terminal else " failed", flush=True)
            raise
    seconds = f"{time.monotonic() - started:7.1f} s"
    print(f"{title:<64}{seconds}" if console.is_terminal else seconds, flush=True)


def command(folder: Path, *words: str, shown: str | None = None) -> None:
    """Run a command of this environment in the folder, its output into the log.

    Raises
    ------
    StepFailed
        If its exit code is not 0.
    """
    script = Path(sys.executable).parent / words[0]
    with (folder / LOG).open("a", encoding="utf-8") as log:
        log.write(f"\n$ {shown or shlex.join(words)}\n")
        log.flush()
        finished = subprocess.run(
            [str(script), *words[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if finished.returncode != 0:
        end = (folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(end[-SHOWN:]), file=sys.stderr)
        raise StepFailed(
            f"{words[0]} ended with exit code {finished.returncode}. Its output, whose "
            f'end is above, is in "{os.path.relpath(folder / LOG)}".'
        )


def first_principles_dataset(folder: Path, source: Path) -> str:
    """Run steps 1 to 3 on the published results; return a description of the data."""
    data = source / "example" / "NaCl-rd"
    for name in (UNITCELL, BORN):
        shutil.copy(HERE / name, folder / name)

    with step("Step 1: supercells with random displacements"):
        dimension = (str(DIMENSION),) * 3
        setup = ("--pa", "auto", "--rd", "100", "-c", UNITCELL, "--dim", *dimension)
        command(folder, "phono3py", *setup)

    # VASP is not run here.
    with step("Step 2: published displacements and results of VASP for them"):
        written = write_displacements(folder, data / "phono3py_params_NaCl.yaml.xz")
        extract(data / "vasprun_xmls.tar.xz", folder)

    with step("Step 3: the dataset"):
        results = [f"vasprun_xmls/vasprun-{n:05d}.xml" for n in range(1, written + 1)]
        shown = f"vasprun_xmls/vasprun-{{00001..{written:05d}}}.xml"
        collect = ("phono3py", "--sp", "--cf3")
        command(folder, *collect, *results, shown=shlex.join(collect) + f" {shown}")
    return "first principles (PBEsol, VASP), phono3py's example NaCl-rd"


def write_displacements(folder: Path, published: Path) -> int:
    """Write the published displacements as in step 1; return their number."""
    host = phono3py.load(published, produce_fc=False, is_nac=False, log_level=0)
    written = phono3py.Phono3py(
        host.unitcell,
        supercell_matrix=host.supercell_matrix,
        primitive_matrix=host.primitive_matrix,
    )
    written.dataset = {"displacements": host.displacements}
    written.save(folder / DISPLACEMENTS)
    return len(host.displacements)


def analytic_dataset(folder: Path, n_supercells: int) -> str:
    """Write a dataset of an analytic potential; return a description of the data."""
    unitcell, dataset = nacl_dataset(n_supercells, repeats=DIMENSION)
    written = phono3py.Phono3py(
        unitcell, supercell_matrix=[DIMENSION] * 3, primitive_matrix="F"
    )
    written.dataset = {
        "displacements": dataset.displacements,
        "forces": dataset.forces,
        "supercell_energies": dataset.energies,
    }
    written.save(folder / PARAMS)
    return "NOT first principles: an analytic potential, rigid-ion NaCl"


def prepare(job: Job) -> tuple[Path, str]:
    """Return the folder with the dataset and a description of the data."""
    try:
        source = host_source()
    except FetchError as error:
        print(
            f"{error}\nThe first-principles dataset cannot be obtained. A dataset of "
            "an analytic potential\nis used instead. Its conductivity is not that of "
            "real NaCl.",
            flush=True,
        )
        folder = new_folder(f"{job.name}-analytic")
        return folder, analytic_dataset(folder, job.n_training + job.n_test)
    folder = new_folder(job.name)
    return folder, first_principles_dataset(folder, source)


def fingerprint(job: Job) -> str:
    """Return the job and the versions of the packages as text."""
    versions = [version(name) for name in ("phono3py-mlp-plugin", "phono3py")]
    return f"{job} {' '.join(versions)}"


def finished_run(job: Job) -> tuple[Path, str, Conductivity] | None:
    """Return folder, data and result of the same run if it is already finished."""
    record = HERE / "run" / job.name / FINISHED
    if not record.is_file():
        return None
    made, data, path = record.read_text().splitlines()
    if made != fingerprint(job) or not Path(path).is_file():
        return None
    return record.parent, data, read_conductivity(Path(path))


def new_folder(name: str) -> Path:
    """Return a folder below run/ with an empty log; create it if it is missing."""
    folder = HERE / "run" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOG).write_text("", encoding="utf-8")
    print(f'Output of all commands: "{os.path.relpath(folder / LOG)}"', flush=True)
    return folder


def conductivity(folder: Path, job: Job) -> Conductivity:
    """Run steps 4 to 7: potential, forces, force constants, conductivity."""
    load = ("phono3py", PARAMS, "--pypolymlp", "--mlp-params", job.mlp_params)
    with step("Step 4: the potential"):
        command(folder, *load)
    with step("Steps 5 to 7: forces, force constants, conductivity"):
        temperatures = [str(temperature) for temperature in TEMPERATURES]
        command(folder, *load, "-d", "--br", "--mesh", *job.mesh, "--ts", *temperatures)
    newest = max(folder.glob("kappa-m*.hdf5"), key=lambda path: path.stat().st_mtime)
    return read_conductivity(newest)


def read_conductivity(path: Path) -> Conductivity:
    """Read the conductivity in the relaxation time approximation from a file."""
    with h5py.File(path) as file:
        mesh = tuple(int(n) for n in file["mesh"][:])
        # The columns are xx, yy, zz, yz, xz, xy. The crystal is cubic.
        return Conductivity(path, mesh, file["temperature"][:], file["kappa"][:, 0])


def parities(folder: Path, job: Job) -> dict[str, Parity]:
    """Compare the potential with its training and test sets."""
    host = phono3py.load(folder / PARAMS, produce_fc=False, is_nac=False, log_level=0)
    dataset = mlp.Dataset(
        host.supercell, host.displacements, host.forces, host.supercell_energies
    )
    potential = mlp.load_potential(folder / POTENTIAL)
    # The first supercells are used for training, the last for testing.
    parts = {
        "training": np.arange(job.n_training),
        "test": np.arange(len(dataset) - job.n_test, len(dataset)),
    }
    return {
        name: compare(potential, dataset.select(rows)) for name, rows in parts.items()
    }


def compare(potential: mlp.Potential, dataset: mlp.Dataset) -> Parity:
    """Return forces and energies of the dataset and those from the potential."""
    predicted = potential.evaluate(dataset.supercells())
    return Parity(
        dataset.forces, predicted.forces, dataset.energies, predicted.energies
    )


def draw(path: Path, test: Parity, result: Conductivity) -> None:
    """Plot the parity of the test forces and the conductivity by temperature."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)

    limit = 1.05 * float(np.abs(test.forces).max())
    left.plot([-limit, limit], [-limit, limit], color="0.7", linewidth=1, zorder=0)
    left.plot(test.forces.ravel(), test.predicted_forces.ravel(), ".", markersize=2)
    left.set(
        title=f"Test forces, RMSE {1000 * test.force_error:.2g} meV/Å",
        xlabel="Dataset (eV/Å)",
        ylabel="Potential (eV/Å)",
        xlim=(-limit, limit),
        ylim=(-limit, limit),
        aspect="equal",
    )

    value = result.at(TEMPERATURE)
    right.plot(result.temperatures, result.kappa, "o-", markersize=4)
    right.plot(TEMPERATURE, value, "o", color="C3", zorder=3)
    right.annotate(
        f"{value:.2f} W/m-K at {TEMPERATURE} K",
        (TEMPERATURE, value),
        xytext=(10, 10),
        textcoords="offset points",
        color="C3",
    )
    mesh = " x ".join(map(str, result.mesh))
    right.set(
        title=f"NaCl, mesh {mesh}",
        xlabel="Temperature (K)",
        ylabel="Lattice thermal conductivity (W/m-K)",
        ylim=(0, None),
    )
    figure.savefig(path, dpi=150)


def summary(job: Job, parts: dict[str, Parity], result: Conductivity) -> Table:
    """Return a table of the settings and the results."""
    table = Table("NaCl", *parts, title="Summary", title_justify="left")
    table.add_row("model", job.model or "default")
    n_supercells = {"training": job.n_training, "test": job.n_test}
    table.add_row("supercells", *(str(n_supercells[name]) for name in parts))
    table.add_row(
        "RMSE of forces (meV/Å)",
        *(f"{1000 * part.force_error:.2g}" for part in parts.values()),
    )
    table.add_row(
        "RMSE of energies (meV/atom)",
        *(f"{1000 * part.energy_error:.2g}" for part in parts.values()),
        end_section=True,
    )
    table.add_row(
        f"kappa at {TEMPERATURE} K (W/m-K)", f"{result.at(TEMPERATURE):.2f}", ""
    )
    table.add_row("mesh", " ".join(map(str, result.mesh)), "")
    return table


def run(job: Job) -> None:
    """Run the steps, plot the figure and print the summary."""
    started = time.monotonic()
    finished = finished_run(job)
    if finished is None:
        folder, data = prepare(job)
        result = conductivity(folder, job)
        (folder / FINISHED).write_text(f"{fingerprint(job)}\n{data}\n{result.path}\n")
    else:
        folder, data, result = finished
        print(f"All results are in {os.path.relpath(folder)}; remove it to run again.")
    with step("Errors of the potential, and the figure"):
        parts = parities(folder, job)
        draw(folder / FIGURE, parts["test"], result)

    print()
    Console().print(summary(job, parts, result))
    print(f"Data: {data}")
    print(f"Done in {time.monotonic() - started:.0f} s. Files:")
    for path in (folder / FIGURE, folder / POTENTIAL, result.path, folder / LOG):
        print(f"  {os.path.relpath(path)}")


def main() -> int:
    """Run the example; return 1 if a step has failed, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--demo", action="store_true", help="compact model, 40 cells")
    job = DEMO if parser.parse_args().demo else FULL
    try:
        run(job)
    except StepFailed as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. What is finished is kept: run the same again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
