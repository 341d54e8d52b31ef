"""Compare conductivity runs with scattering by phono3py and by Fourier transform.

    python benchmarks/scattering.py [--repeats N] [NAME ...]

For each case, the two methods alternate with the same number of threads. Printed are
wall and CPU time of the whole command, peak memory, kappa_xx at 300 K, and the time of
the same command with `--read-gamma`, which does not compute scattering.
"""

from __future__ import annotations

import argparse
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

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sys.executable).parent
NACL = "example/NaCl-rd/phono3py_params_NaCl.yaml.xz"
ALN = "test/phono3py_params_AlN332.yaml.xz"


@dataclass(frozen=True)
class Case:
    """A crystal on a mesh."""

    file: str
    solver: str
    mesh: tuple[int, int, int]


CASES = {
    "NaCl-15": Case(NACL, "symfc", (15, 15, 15)),
    "NaCl-19": Case(NACL, "symfc", (19, 19, 19)),
    "AlN-9": Case(ALN, "traditional", (9, 9, 7)),
    "AlN-15": Case(ALN, "traditional", (15, 15, 9)),
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


def prepare(source: Path, case: Case, folder: Path) -> None:
    """Compute force constants."""
    text = lzma.decompress((source / case.file).read_bytes())
    (folder / "phono3py_params.yaml").write_bytes(text)
    command(["phono3py_params.yaml", "--fc-calculator", case.solver], folder)


def measure(case: Case, folder: Path, repeats: int) -> None:
    """Measure both methods alternately and print the results."""
    mesh = ["--mesh", *map(str, case.mesh)]
    arguments = ["phono3py_params.yaml", "--br", *mesh, "--ts", "300"]
    warm = ["phono3py_params.yaml", "--br", "--mesh", "2", "2", "2"]
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
    best["rest"] = command([*arguments, "--read-gamma"], folder)
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


def main() -> None:
    """Measure the named cases, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CASES), metavar="NAME")
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    source = source_of_host()
    prepared: dict[str, Path] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names:
            case = CASES[name]
            if case.file not in prepared:
                prepared[case.file] = Path(folder) / name
                prepared[case.file].mkdir()
                prepare(source, case, prepared[case.file])
            here = Path(folder) / f"{name}-run"
            shutil.copytree(prepared[case.file], here)
            print(f"{name}: mesh {' '.join(map(str, case.mesh))}", flush=True)
            measure(case, here, args.repeats)


if __name__ == "__main__":
    main()
