"""Compare conductivity runs with scattering by phono3py and by Fourier transform.

    python benchmarks/scattering.py [--repeats N] [NAME ...]

For each case, the two methods alternate with the same number of threads. Printed are
wall and CPU time of the whole command, peak memory, kappa_xx at 300 K, and the time of
the same command with `--read-gamma`, which does not compute scattering. The exponent of
the cost on meshes of NaCl is printed last.
"""

from __future__ import annotations

import argparse
import itertools
import lzma
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from engine import machine
from history import Entry, add

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sys.executable).parent
PARAMS = "phono3py_params.yaml"


@dataclass(frozen=True)
class Crystal:
    """A dataset of phono3py and the options with which force constants are computed.

    Without a file, a crystal of 40 atoms in the primitive cell without symmetry, in
    which atoms are connected by anharmonic springs.
    """

    file: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A crystal on a mesh."""

    crystal: Crystal
    mesh: tuple[int, int, int]


NACL = Crystal(
    "example/NaCl-rd/phono3py_params_NaCl.yaml.xz", ("--fc-calculator", "symfc")
)
ALN = Crystal("test/phono3py_params_AlN332.yaml.xz", ("--fc-calculator", "traditional"))
# Systematic displacements of a compact potential: symfc needs an hour and 10 GB.
ALN_128 = Crystal(
    "example/AlN-rd/phonopy_params_mp-661.yaml.xz",
    ("--pypolymlp", "-d", "--mlp-params", "preset = compact, ntrain = 20, ntest = 10"),
)
FORTY_ATOMS = Crystal()

CASES = {
    "NaCl-11": Case(NACL, (11, 11, 11)),
    "NaCl-15": Case(NACL, (15, 15, 15)),
    "NaCl-19": Case(NACL, (19, 19, 19)),
    "AlN-9": Case(ALN, (9, 9, 7)),
    "AlN-15": Case(ALN, (15, 15, 9)),
    "AlN-128-atoms": Case(ALN_128, (15, 15, 9)),
    "40-atoms": Case(FORTY_ATOMS, (3, 3, 3)),
}


@dataclass(frozen=True)
class Measured:
    """Time (s) and memory (GB) of a command."""

    wall: float
    cpu: float
    memory: float


def source_of_host() -> Path:
    """Return the folder of phono3py's source, downloaded once."""
    sys.path.insert(0, str(ROOT / "example" / "NaCl-pypolymlp"))
    from fetch_data import host_source

    return Path(host_source())


def command(arguments: Sequence[str], folder: Path) -> Measured:
    """Run phono3py-load in a folder and measure it."""
    start = time.perf_counter()
    process = os.fork()
    if process == 0:
        os.chdir(folder)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        program = str(SCRIPTS / "phono3py-load")
        os.execv(program, [program, *arguments])
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"ERROR: phono3py-load {' '.join(arguments)} has failed.")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6)


def prepare(crystal: Crystal, folder: Path) -> None:
    """Compute force constants."""
    if not crystal.file:
        write_forty_atoms(folder)
        return
    text = lzma.decompress((source_of_host() / crystal.file).read_bytes())
    (folder / PARAMS).write_bytes(text)
    command([PARAMS, *crystal.options], folder)


def write_forty_atoms(folder: Path) -> None:
    """Write a perovskite of 2x2x2 cells whose atoms are displaced at random."""
    sys.path.insert(0, str(ROOT / "tests"))
    import spring_crystal

    sites = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2
    cells = np.array(list(itertools.product(range(2), repeat=3)))
    positions = (sites[:, None] + cells).reshape(-1, 3) * 3.9
    positions += np.random.default_rng(0).normal(0, 0.1, positions.shape)
    spring_crystal.CRYSTALS["forty atoms"] = {
        "symbols": ["Sr"] * 8 + ["Ti"] * 8 + ["O"] * 24,
        "cell": np.eye(3) * 7.8,
        "positions": positions / 7.8,
        "supercell": [1, 1, 1],
        "cutoff": 3.8,
    }
    spring_crystal.write_spring_crystal("forty atoms", folder)
    (folder / "phono3py.yaml").rename(folder / PARAMS)


def measure(case: Case, folder: Path, repeats: int) -> tuple[float, float]:
    """Measure both methods alternately and print the results.

    Returns
    -------
    float
        CPU time of scattering by Fourier transform, in s.
    float
        CPU time of the whole run by phono3py divided by that by Fourier transform.
    """
    mesh = ["--mesh", *map(str, case.mesh)]
    arguments = [PARAMS, "--br", *mesh, "--ts", "300"]
    warm = [PARAMS, "--br", "--mesh", "1", "1", "1"]
    command([*warm, "--scattering", "fft"], folder)
    best: dict[str, Measured] = {}
    kappa = {}
    for _ in range(repeats):
        for way in ("host", "fft"):
            measured = command(
                [*arguments, "--scattering", way, "--write-gamma"], folder
            )
            if way not in best or measured.cpu < best[way].cpu:
                best[way] = measured
            (file,) = folder.glob(f"kappa-m{''.join(map(str, case.mesh))}.hdf5")
            with h5py.File(file) as result:
                kappa[way] = result["kappa"][0, 0]
    rest_only = ["--scattering", "fft", "--read-gamma"]
    best["rest"] = command([*arguments, *rest_only], folder)
    for way, measured in best.items():
        shown = f"{kappa[way]:.6f}" if way in kappa else ""
        print(
            f"  {way:5} {measured.wall:8.1f} s wall {measured.cpu:8.1f} s cpu "
            f"{measured.memory:6.2f} GB  {shown}"
        )
    host, fft, rest = best["host"], best["fft"], best["rest"]
    print(
        f"  whole run: {host.wall / fft.wall:.1f} times (wall), "
        f"{host.cpu / fft.cpu:.1f} (cpu); scattering alone: "
        f"{(host.cpu - rest.cpu) / (fft.cpu - rest.cpu):.1f} (cpu)",
        flush=True,
    )
    return fft.cpu - rest.cpu, host.cpu / fft.cpu


def main() -> None:
    """Measure the named cases, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CASES), metavar="NAME")
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    prepared: dict[Crystal, Path] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names:
            case = CASES[name]
            if case.crystal not in prepared:
                prepared[case.crystal] = Path(folder) / name
                prepared[case.crystal].mkdir()
                prepare(case.crystal, prepared[case.crystal])
            here = Path(folder) / f"{name}-run"
            shutil.copytree(prepared[case.crystal], here)
            print(f"{name}: mesh {' '.join(map(str, case.mesh))}", flush=True)
            seconds[name], ratio = measure(case, here, args.repeats)
            add(Entry.of(f"scattering, {name}", "phono3py", ratio, machine()))
    cubic = [name for name in seconds if CASES[name].crystal == NACL]
    if len(cubic) > 1:
        points = [np.prod(CASES[name].mesh) for name in cubic]
        exponent, _ = np.polyfit(
            np.log(points), np.log([seconds[name] for name in cubic]), 1
        )
        print(f"scattering of NaCl: (mesh points) ^ {exponent:.2f} over {cubic}")


if __name__ == "__main__":
    main()
