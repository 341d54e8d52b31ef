"""Whole conductivity runs, scattering by phono3py and by Fourier transform in turn.

    python benchmarks/scattering.py [--repeats N] [NAME ...]

Of each case and way: wall and processor time of the whole command in seconds, the
largest memory in GB, kappa_xx at 300 K, and what is left where scattering costs nothing
(the same command with `--read-gamma`). Both ways use the same number of threads.
"""

from __future__ import annotations

import argparse
import importlib.util
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
    """What a command took."""

    wall: float
    cpu: float
    memory: float


def source_of_host() -> Path:
    """Return the folder of phono3py's source, downloaded once."""
    path = ROOT / "example" / "NaCl-pypolymlp" / "fetch_data.py"
    spec = importlib.util.spec_from_file_location("fetch_data", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Path(module.host_source())


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
    """Print what both ways take, in turn."""
    mesh = ["--mesh", *map(str, case.mesh)]
    arguments = ["phono3py_params.yaml", "--br", *mesh, "--ts", "300"]
    warm = ["phono3py_params.yaml", "--br", "--mesh", "2", "2", "2"]
    command([*warm, "--scattering", "fft"], folder)
    best: dict[str, Measured] = {}
    kappa = {}
    for _ in range(repeats):
        for way in ("host", "fft"):
            found = command([*arguments, "--scattering", way, "--write-gamma"], folder)
            if way not in best or found.cpu < best[way].cpu:
                best[way] = found
            (file,) = folder.glob(f"kappa-m{''.join(map(str, case.mesh))}.hdf5")
            with h5py.File(file) as result:
                kappa[way] = result["kappa"][0, 0]
    best["rest"] = command([*arguments, "--read-gamma"], folder)
    for way, found in best.items():
        shown = f"{kappa[way]:.6f}" if way in kappa else ""
        print(
            f"  {way:5} {found.wall:8.1f} s wall {found.cpu:8.1f} s cpu "
            f"{found.memory:6.2f} GB  {shown}"
        )
    host, fft, rest = best["host"], best["fft"], best["rest"]
    print(
        f"  whole run: {host.wall / fft.wall:.1f} times (wall), "
        f"{host.cpu / fft.cpu:.1f} (cpu); scattering alone: "
        f"{(host.cpu - rest.cpu) / (fft.cpu - rest.cpu):.1f} (cpu)",
        flush=True,
    )


def main() -> None:
    """Measure the cases that are named, by default all."""
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
