"""What a user can get wrong: one line, exit code 1, and the folder as it was.

One row for each fault: what is done to the folder, what is added to the command, and
what the line must say.
"""

import gzip
import lzma
import re
import shutil
from dataclasses import dataclass

import pytest
import yaml

from small_model import MODEL

PARAMS = "phono3py_params.yaml"
SMALL = f"{MODEL}, ntrain=20, ntest=4"


@dataclass(frozen=True)
class Fault:
    """A name, what to do, what to add, and what must be said."""

    name: str
    says: str
    options: tuple[str, ...] = ()
    spoil: object = None
    params: str = SMALL
    command: tuple[str, ...] = ("phono3py-load", PARAMS, "--pypolymlp")
    code: int = 1


def parameter(text, says):
    return Fault(f"mlp-params {text}", says, params=text)


def more(text, says):
    return Fault(f"mlp-params {text}", says, params=f"{SMALL}, {text}")


def option(*words, says):
    return Fault(" ".join(words), says, options=words)


def dataset(name, says, spoil):
    return Fault(f"dataset {name}", says, spoil=lambda folder: edit(folder, spoil))


def potential(name, says, spoil):
    """Read the potential of a finished run, spoiled; no dataset beside it."""

    def spoil_potential(folder):
        path = folder / "polymlp.yaml"
        content = spoil(path.read_bytes())
        path.unlink()
        if content is not None:
            path.write_bytes(content)

    return Fault(
        f"potential {name}",
        says,
        spoil=spoil_potential,
        params="",
        command=("phono3py-load", "phono3py.yaml", "--pypolymlp", "-d"),
    )


def edit(folder, change):
    """Change the dataset as it is read: displacements, forces, supercell_energies."""
    path = folder / PARAMS
    content = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    change(content["dataset"])
    path.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper))


def component(key, snapshot, atom, value):
    """Set the first component of a vector; snapshots and atoms from 1."""

    def change(dataset):
        dataset[key][snapshot - 1][atom - 1][0] = value

    return change


def scaled_forces(snapshot, factor):
    def change(dataset):
        forces = dataset["forces"][snapshot - 1]
        dataset["forces"][snapshot - 1] = [[factor * x for x in v] for v in forces]

    return change


def energy(snapshot, value):
    def change(dataset):
        dataset["supercell_energies"][snapshot - 1] = value

    return change


def same_displacements(one, other):
    def change(dataset):
        displacements = dataset["displacements"]
        displacements[other - 1] = displacements[one - 1]

    return change


def only_first(dataset):
    for key, values in dataset.items():
        dataset[key] = values[:1]


def text(change):
    """Change the text of the params file."""

    def spoil(folder):
        path = folder / PARAMS
        path.write_text(change(path.read_text()))

    return spoil


def without_coefficient(content):
    return re.sub(rb"(coeffs: \[)[^,]*, ", rb"\1", content)


def file_of(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def truncated_fc3(folder):
    path = folder / "fc3.hdf5"
    path.write_bytes(path.read_bytes()[:2000])


FAULTS = [
    # Parameters of the potential.
    parameter("cutof=5", "unknown parameter 'cutof'. Did you mean 'cutoff'?"),
    parameter("ntrain 20", "'ntrain 20' is not of the form 'key = value'"),
    parameter("cutoff=", "'cutoff=' is not of the form"),
    parameter("=5", "'=5' is not of the form"),
    parameter("cutoff=5, cutoff=6", "'cutoff' is given twice"),
    parameter("cutoff=abc", "cutoff = abc; expected a number"),
    parameter("cutoff=nan", "cutoff = nan; expected a finite number"),
    parameter("cutoff=inf", "cutoff = inf; expected a finite number"),
    parameter("cutoff=-1", "cutoff = -1.0; expected a positive length"),
    parameter("cutoff=0", "cutoff = 0.0; expected a positive length"),
    parameter("ntrain=abc", "ntrain = abc; expected an integer"),
    parameter("ntrain=0", "ntrain = 0; expected 1 to 23"),
    parameter("ntrain=-1", "ntrain = -1; expected 1 to 23"),
    parameter("ntest=0", "ntest = 0; expected 1 to 23"),
    parameter("ntest=-3", "ntest = -3; expected 1 to 23"),
    parameter("ntrain=24", "ntrain = 24; expected 1 to 23"),
    parameter("ntest=24", "ntest = 24; expected 1 to 23"),
    parameter("ntrain=20, ntest=10", "overlap"),
    parameter("ntrain=2.5", "ntrain = 2.5; expected an integer"),
    parameter("seed=3", "seed = 3: is for 'split = shuffled'"),
    parameter("split=shuffled, seed=x", "seed = x; expected an integer"),
    parameter("split=shuffled, seed=-1", "seed = -1; expected 0 or more"),
    parameter("split=random", "split = random; expected one of head-tail, shuffled"),
    parameter("max_p=2.0", "max_p = 2.0; expected an integer"),
    parameter("max_p=4", "max_p = 4; expected one of 1, 2, 3"),
    parameter("model_type=9", "model_type = 9; expected one of 1, 2, 3, 4"),
    parameter("model_type=x", "model_type = x; expected an integer"),
    parameter("gaussian_params2=0 4", "gaussian_params2 = 0 4; expected 3 values"),
    parameter("gaussian_params2=0 4 x", "gaussian_params2 = x; expected an integer"),
    parameter("gaussian_params2=0 4 0", "the number of values must be positive"),
    parameter("gaussian_params1=1 1", "gaussian_params1 = 1 1; expected 3 values"),
    parameter("gtinv_order=7", "gtinv_order = 7; expected one of 1, 2, 3, 4, 5, 6"),
    parameter("gtinv_maxl=4", "gtinv_maxl has 1 values; gtinv_order = 3 needs 2"),
    parameter("gtinv_maxl=4 x", "gtinv_maxl = x; expected an integer"),
    parameter("gtinv_maxl=-1 2", "gtinv_maxl of order 2 = -1; expected 0 to 20"),
    parameter("gtinv_version=3", "gtinv_version = 3; expected one of 1, 2"),
    parameter("reg_alpha_params=0 1", "reg_alpha_params = 0 1; expected 3 values"),
    parameter("reg_alpha_params=0 1 0", "the number of values must be positive"),
    parameter("reg_alpha_params=0 nan 3", "nan; expected a finite number"),
    parameter("atom_energies=Na -1", "atom_energies lacks Cl"),
    parameter("atom_energies=Na -1 Cl -2 K -3", "names K, not in the crystal"),
    parameter("atom_energies=Na x Cl 1", "atom_energies = x; expected a number"),
    parameter("atom_energies=Na -1 Cl", "expected pairs of name and value"),
    parameter("feature_type=foo", "feature_type = foo; expected one of gtinv, pair"),
    parameter("optimal=maybe", "optimal = maybe; expected true or false"),
    parameter("engine=cuda", "engine = cuda; expected one of native, pypolymlp"),
    parameter("preset=tiny", "preset = tiny; expected one of default, compact"),
    parameter("preset=compact, gtinv_maxl=8 8", "Give one of them"),
    more("memory=-1", "memory = -1.0; expected a positive size"),
    more("memory=0.0001", "Use a smaller model"),
    more("include_energy=no, include_force=no", "nothing is left to train on"),
    more("energy_weight=0", "energy_weight = 0.0; expected a positive number"),
    more("force_weight=-1", "force_weight = -1.0; expected a positive number"),
    more("engine=pypolymlp, force_weight=2", "pypolymlp has no such parameter"),
    more("distance=Na-K 3", "distance: 'Na-K' is not a pair of Na, Cl"),
    more("distance=Na-Cl -3", "expected positive lengths"),
    more("distance=3 Na-Cl", "expected names, each before its numbers"),
    # Options.
    option("--rd", "0", "-d", says="--rd = 0; expected a positive number"),
    option("--rd", "0", says="--rd = 0; expected a positive number"),
    option("--rd", "-5", says="--rd = -5; expected a positive number"),
    option("--rd", "abc", says="random_displacements = abc"),
    option("-d", "--rd", "5", says="-d and --rd: give"),
    option("--rd", "1", "--fc-calculator", "traditional", says="finite differences"),
    option("-d", "--fc-calculator", "foo", says="No force-constants solver"),
    option("-d", "--fc-calculator", "foo|symfc", says="No force-constants solver"),
    option("-d", "--fc-calculator", "symfx|", says="Did you mean 'symfc'?"),
    option("-d", "--fc-calculator", "symfx", says="Did you mean 'symfc'?"),
    option("-d", "--fc-calc-opt", "cutof=4", says="Did you mean 'cutoff'?"),
    option("-d", "--fc-calc-opt", "cutoff=x", says="cutoff = x; expected a length"),
    option("-d", "--fc-calc-opt", "cutoff=-4", says="cutoff = -4; expected a length"),
    option("-d", "--fc-calc-opt", "cutoff", says="not of the form 'key = value'"),
    option("-d", "--amplitude", "-1", says="--amplitude = -1.0; expected a positive"),
    option("-d", "--amplitude", "nan", says="--amplitude = nan; expected a positive"),
    option("-d", "--amplitude", "inf", says="--amplitude = inf; expected a positive"),
    option("-d", "--cutoff-pair", "-1", says="--cutoff-pair = -1.0; expected a pos"),
    option("--rd", "auto", "--rd-auto-factor", "0", says="--rd-auto-factor = 0.0"),
    option("--rd", "2", "--random-seed", "-1", says="--random-seed = -1; expected 0"),
    option("--rd", "2", "--rd-fc2", "2", says="--rd-fc2 = 2: there is no separate"),
    option("-d", "--amplitude-fc2", "0.1", says="--amplitude-fc2 = 0.1: there is no"),
    option("--memory", "-1", says="memory = -1.0; expected a positive size"),
    option("--memory", "0.0001", says="Use a smaller model"),
    option("--memory", "nan", says="memory = nan; expected a positive size"),
    option("--mlp-file", "no.yaml", says='"no.yaml" is not found'),
    option("--mlp-file", ".", says='"." is not found'),
    option("--force-calculator", "ase", says="give one"),
    Fault(
        "--force-calculator maze",
        "No force calculator named 'maze'. Did you mean 'mace'?",
        ("--force-calculator", "maze"),
        command=("phono3py-load", PARAMS),
    ),
    option("--force-calculator-options", "cutoff=5", says="mean the same: give one"),
    Fault(
        "--random-seed abc",
        "argument --random-seed: invalid int value: 'abc'",
        ("--random-seed", "abc", "--rd", "2"),
        code=2,
    ),
    Fault("--colour red", "unrecognized arguments", ("--colour", "red"), code=2),
    option(
        "--mesh", "a", "b", "c", says="mesh = a b c; expected three positive numbers"
    ),
    option("--mesh", "3", "4", says="mesh = 3 4; expected three positive numbers"),
    option("--mesh", "1e9", says="points need"),
    option(
        *("--br", "--mesh", "3", "3", "3", "--uncertainty", "2"),
        *("--uncertainty-mesh", "1e9"),
        says="points need",
    ),
    option("--ts", "x", says="temperatures = x: "),
    option("--cutoff-fc3", "-2", says="--cutoff-fc3 = -2.0; expected a positive"),
    option("", says="is empty. Is a variable of your script not set?"),
    # Datasets.
    dataset(
        "displacement nan",
        "displacements: snapshot 3 holds a number that is not finite",
        component("displacements", 3, 5, float("nan")),
    ),
    dataset(
        "force inf",
        "forces: snapshot 2 holds a number that is not finite",
        component("forces", 2, 5, float("inf")),
    ),
    dataset(
        "energy nan",
        "energies: snapshot 4 holds a number that is not finite",
        energy(4, float("nan")),
    ),
    dataset(
        "forces in Ry/bohr",
        "are 0.0408 times those of the others (are these in Ry/bohr (factor 25.711)",
        scaled_forces(5, 1 / 25.711),
    ),
    dataset(
        "forces in hartree/bohr",
        "are 0.0207 times those of the others (are these in hartree/bohr",
        scaled_forces(7, 1 / 51.422),
    ),
    dataset(
        "forces thirteen times too large",
        "are 13.1 times those of the others (are the others in Ry/angstrom",
        scaled_forces(24, 13.606),
    ),
    dataset("energy in Ry", "snapshot 6: energy = -16.4", energy(6, -16.45472)),
    dataset(
        "atom wrapped into the cell",
        "snapshot 2: displacement of atom 9 = 11.3",
        component("displacements", 2, 9, 11.3),
    ),
    dataset(
        "forces of one atom missing",
        "forces: snapshot 3 has 15 atoms; expected 16",
        lambda dataset: dataset["forces"][2].pop(),
    ),
    dataset(
        "force with two components",
        "forces: snapshot 3, atom 8",
        lambda dataset: dataset["forces"][2][7].pop(),
    ),
    dataset(
        "force a word",
        "forces: snapshot 4, atom 1",
        component("forces", 4, 1, "-0.0l5"),
    ),
    dataset(
        "forces of the last snapshots missing",
        "displacements of 24 supercells, forces of 22 supercells",
        lambda dataset: dataset.update(forces=dataset["forces"][:22]),
    ),
    dataset(
        "energies of the last snapshots missing",
        "energies of 20 supercells",
        lambda d: d.update(supercell_energies=d["supercell_energies"][:20]),
    ),
    dataset(
        "forces missing, no potential",
        "neither a dataset",
        lambda dataset: dataset.pop("forces"),
    ),
    dataset(
        "contradiction",
        "snapshot 2: forces do not answer to its displacements",
        same_displacements(1, 2),
    ),
    Fault("dataset empty file", PARAMS, spoil=file_of(PARAMS, b"")),
    Fault("dataset a list", PARAMS, spoil=file_of(PARAMS, b"- 1\n- 2\n")),
    Fault("dataset binary", PARAMS, spoil=file_of(PARAMS, b"\x00\xff\x12" * 99)),
    Fault(
        "dataset broken YAML",
        PARAMS,
        spoil=text(lambda content: content[:20000] + "\n  [[[{"),
    ),
    Fault("dataset truncated", PARAMS, spoil=text(lambda content: content[:40000])),
    Fault(
        "dataset of one supercell",
        "1 supercell has forces; at least 2 are needed",
        spoil=lambda folder: edit(folder, only_first),
        params=MODEL,
    ),
    # Potentials.
    potential("missing", "there is neither a dataset", lambda c: None),
    potential("empty", "polymlp.yaml: ", lambda c: b""),
    potential("truncated", "polymlp.yaml: ", lambda c: c[:4000]),
    potential("truncated early", "polymlp.yaml: ", lambda c: c[:300]),
    potential("other YAML", "polymlp.yaml: ", lambda c: b"a: 1\n"),
    potential("a list", "polymlp.yaml: ", lambda c: b"- 1\n- 2\n"),
    potential("binary", "polymlp.yaml: ", lambda c: b"\x00\xff\xfe" * 100),
    potential("HTML", "polymlp.yaml: ", lambda c: b"<html><body>404</body></html>"),
    potential("coefficient missing", "number of coefficients", without_coefficient),
    potential(
        "coefficient nan",
        "finite",
        lambda c: re.sub(rb"(coeffs: \[)[^,]*,", rb"\1nan,", c),
    ),
    potential(
        "coefficient a word",
        "polymlp.yaml: ",
        lambda c: re.sub(rb"(coeffs: \[)[^,]*,", rb"\1abc,", c),
    ),
    potential(
        "other elements", "the crystal contains", lambda c: c.replace(b"Na", b"K")
    ),
    potential(
        "cutoff negative", "cutoff", lambda c: re.sub(rb"cutoff: +", b"cutoff: -", c)
    ),
    potential("cutoff missing", "cutoff", lambda c: re.sub(rb"\ncutoff: .*", b"", c)),
    potential(
        "max_p a word", "max_p", lambda c: re.sub(rb"max_p: .*", b"max_p: two", c)
    ),
    potential(
        "model unknown",
        "model_type",
        lambda c: re.sub(rb"model_type: .*", b"model_type: 7", c),
    ),
    Fault(
        "potential compressed and truncated",
        "polymlp.yaml.xz: ",
        spoil=lambda folder: compress(folder, lzma.compress, ".xz"),
        params="",
        command=("phono3py-load", "phono3py.yaml", "--pypolymlp", "-d"),
    ),
    Fault(
        "potential gzipped and truncated",
        "polymlp.yaml.gz: ",
        spoil=lambda folder: compress(folder, gzip.compress, ".gz"),
        params="",
        command=("phono3py-load", "phono3py.yaml", "--pypolymlp", "-d"),
    ),
    # Force constants of an earlier run.
    Fault("fc3 truncated", '"fc3.hdf5" cannot be read', ("-d",), truncated_fc3),
    Fault(
        "fc2 is text",
        '"fc2.hdf5" cannot be read',
        ("-d",),
        file_of("fc2.hdf5", b"0.1 0.2 0.3\n"),
    ),
]


def compress(folder, method, suffix):
    path = folder / "polymlp.yaml"
    content = method(path.read_bytes())
    path.unlink()
    (folder / f"polymlp.yaml{suffix}").write_bytes(content[: len(content) // 2])


def contents(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_is_told_in_one_line(fault, finished, small_params, tmp_path, run):
    folder = tmp_path / "run"
    if fault.spoil is not None and "dataset" not in fault.name:
        shutil.copytree(finished, folder)
    else:
        folder.mkdir()
        shutil.copy(small_params, folder / PARAMS)
    if fault.spoil is not None:
        fault.spoil(folder)
    before = contents(folder)
    words = [*fault.command, *fault.options]
    if fault.params:
        words += ["--mlp-params", fault.params]
    done = run(words, folder)
    assert done.returncode == fault.code, done.stdout[-2000:] + done.stderr
    lines = done.stderr.strip().splitlines()
    if fault.code == 1:
        assert len(lines) == 1, done.stderr[-3000:]
        assert lines[0].startswith("ERROR: ")
    assert fault.says in lines[-1]
    assert "Traceback" not in done.stdout
    assert contents(folder) == before


def test_names_of_the_rows_differ():
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= 80
