"""Build wheel and sdist, check their contents, and use both in empty environments.

    python tools/check_dist.py [--folder DIST] [--contents-only]

The interpreter needs the package ``build``. The wheel is built from the sdist. Both are
installed, each into an environment of its own, in which a folder without any file of
this clone is used to run ``phono3py-mlp --version`` and ``doctor``, and to compute the
thermal conductivity of a small crystal.
"""

from __future__ import annotations

import argparse
import email.parser
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator, Sequence
from email.message import Message
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "src"
PACKAGE = "phono3py_mlp_plugin"
# What the sdist must hold to build, test and document the package.
IN_SDIST = ("LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "hatch_build.py")
IN_SDIST += ("pyproject.toml", "tests/conftest.py", "docs/conf.py", "Makefile")
# Data of others are downloaded, never distributed.
DATA = {".xz", ".gz", ".bz2", ".hdf5", ".h5", ".zip"}
LARGEST_FILE = 500_000  # bytes; figures of the documentation have up to 150 kB
LARGEST_WHEEL = 2_000_000  # bytes

CRYSTAL = """
from phono3py import Phono3py
from phono3py_mlp_plugin.reference import nacl_dataset

unitcell, data = nacl_dataset(40, repeats=2)
ph3 = Phono3py(unitcell, supercell_matrix=[2, 2, 2], primitive_matrix="F")
ph3.dataset = {
    "displacements": data.displacements,
    "forces": data.forces,
    "supercell_energies": data.energies,
}
ph3.save("phono3py_params.yaml")
"""
VERSIONS = """
from importlib.metadata import version
import phono3py_mlp_plugin as package
assert package.__version__ == version("phono3py-mlp-plugin"), package.__version__
"""
COMPUTATION = (
    *(
        "phono3py",
        "phono3py_params.yaml",
        "--pypolymlp",
        "--br",
        "--mesh",
        "3",
        "3",
        "3",
    ),
    "--mlp-params",
    "cutoff=5.0, gtinv_maxl=2 2, gaussian_params2=0 4 4, ntrain=20, ntest=20",
)


class BadDistribution(Exception):
    """A built package is not as expected; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "dist")
    parser.add_argument(
        "--contents-only", action="store_true", help="install and run nothing"
    )
    args = parser.parse_args(arguments)
    try:
        wheel, sdist = build(args.folder)
        check_wheel(wheel)
        check_sdist(sdist)
        if not args.contents_only:
            for archive in (wheel, sdist):
                use(archive)
    except BadDistribution as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def build(folder: Path) -> tuple[Path, Path]:
    """Build both archives into a new folder and return their paths."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
    run(command, ROOT, "the build")
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    print(f"Built {wheel.name} ({wheel.stat().st_size / 1e3:.0f} kB)")
    print(f"Built {sdist.name} ({sdist.stat().st_size / 1e3:.0f} kB)")
    return wheel, sdist


def check_wheel(path: Path) -> None:
    """Check that a wheel holds the package, its licence, and nothing else."""
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        (metadata,) = [name for name in sizes if name.endswith(".dist-info/METADATA")]
        fields = email.parser.Parser().parsestr(archive.read(metadata).decode())
    information = PurePosixPath(metadata).parent
    for name in sizes:
        top = PurePosixPath(name).parts[0]
        if top not in (PACKAGE, str(information)):
            raise BadDistribution(
                f"{path.name}: holds {name}; expected {PACKAGE} alone."
            )
    needed = [f"{information}/entry_points.txt", f"{information}/licenses/LICENSE"]
    check_names(path, sizes, [*package_files(), *needed])
    check_fields(path, fields)
    check_sizes(path, sizes)
    if path.stat().st_size > LARGEST_WHEEL:
        raise BadDistribution(
            f"{path.name}: {path.stat().st_size} bytes; expected at most "
            f"{LARGEST_WHEEL}."
        )


def check_fields(path: Path, fields: Message) -> None:
    """Check the fields of the metadata that package indexes show."""
    version = path.name.split("-")[1]
    expected = {"Version": version, "License-Expression": "BSD-3-Clause"}
    for name, value in expected.items():
        if fields[name] != value:
            raise BadDistribution(
                f"{path.name}: {name} = {fields[name]}; expected {value}."
            )
    for name in ("Author", "Summary", "Requires-Python", "Project-URL"):
        if not fields[name]:
            raise BadDistribution(f"{path.name}: no {name}; expected one.")


def check_sdist(path: Path) -> None:
    """Check that an sdist can be built and tested, and holds no data of others."""
    with tarfile.open(path) as archive:
        sizes = {
            member.name.partition("/")[2]: member.size
            for member in archive
            if member.isfile()
        }
    sources = [f"{SOURCE}/{name}" for name in package_files()]
    check_names(path, sizes, [*IN_SDIST, *sources])
    check_sizes(path, sizes)


def package_files() -> Iterator[str]:
    """Yield the files of the package in this clone."""
    for path in (ROOT / SOURCE / PACKAGE).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(ROOT / SOURCE).as_posix()


def check_names(path: Path, found: dict[str, int], expected: Sequence[str]) -> None:
    """Raise if a file is missing in an archive."""
    for name in expected:
        if name not in found:
            raise BadDistribution(f"{path.name}: {name} is missing.")


def check_sizes(path: Path, sizes: dict[str, int]) -> None:
    """Raise if an archive holds data, or files that are too large for source."""
    for name, size in sizes.items():
        if size > LARGEST_FILE or PurePosixPath(name).suffix in DATA:
            raise BadDistribution(
                f"{path.name}: {name} ({size} bytes); expected no data and no file "
                f"above {LARGEST_FILE} bytes."
            )


def use(archive: Path) -> None:
    """Install an archive into an empty environment and compute a conductivity."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "environment", with_pip=True)
        scripts = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")
        python = scripts / "python"
        install = [python, "-m", "pip", "install", "--quiet", archive.resolve()]
        run(install, folder, f"installing {archive.name}")
        empty = folder / "empty"
        empty.mkdir()
        for words in (("phono3py-mlp", "--version"), ("phono3py-mlp", "doctor")):
            print(run([scripts / words[0], *words[1:]], empty, words[-1]), end="")
        run([python, "-c", VERSIONS], empty, "comparing versions")
        run([python, "-c", CRYSTAL], empty, "writing a crystal")
        run([scripts / COMPUTATION[0], *COMPUTATION[1:]], empty, "a computation")
        if not list(empty.glob("kappa-m*.hdf5")):
            raise BadDistribution(
                f"{archive.name}: a computation has written no kappa."
            )
        print(f"{archive.name}: installed and used in an empty environment")


def run(command: Sequence[str | Path], folder: Path, what: str) -> str:
    """Run a command without any variable of Python; return its output."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name != "PHONO3PY_MLP_PLUGIN"
    }
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        print(done.stderr, file=sys.stderr)
        raise BadDistribution(f"{what} ended with exit code {done.returncode}.")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
