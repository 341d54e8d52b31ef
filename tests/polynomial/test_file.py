"""Potential files: exact, interchangeable with pypolymlp, refused where damaged."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from damage import damaged_copies
from phono3py_mlp_plugin.errors import NotCovered, PotentialError
from phono3py_mlp_plugin.polynomial.file.read import parse_potential
from phono3py_mlp_plugin.polynomial.file.write import format_potential
from phono3py_mlp_plugin.polynomial.model.feature_list import count_features
from phono3py_mlp_plugin.polynomial.model.invariants import invariants
from phono3py_mlp_plugin.polynomial.model.parameters import (
    ModelParameters,
    gaussian_pair_params,
)

BINARY = ModelParameters(
    elements=("Na", "Cl"),
    cutoff=5.0,
    pair_params=gaussian_pair_params((0.1, 1.0, 2), (0.0, 4.0, 3)),
    gtinv_maxl=(3, 2),
    atomic_energies=(-0.1, -1 / 3),
)
UNARY = ModelParameters(("Si",), 4.5, gaussian_pair_params((1, 1, 1), (0, 3, 3)))
MODELS = {
    "binary": BINARY,
    "unary": replace(UNARY, gtinv_order=2, gtinv_maxl=(4,), model_type=4, max_p=3),
    "pairs": replace(BINARY, feature_type="pair", model_type=2, gtinv_maxl=(8, 8)),
    "version 2": replace(BINARY, gtinv_version=2, model_type=4),
    "conditional": replace(
        BINARY, conditional_pair_params={(0, 0): (0, 2), (0, 1): (1, 2, 6), (1, 1): ()}
    ),
    "more maxl than orders": replace(UNARY, gtinv_order=2, gtinv_maxl=(2, 1)),
}

PROVENANCE = {"fingerprint": "f", "parameters": {"gtinv_maxl": [3, 2]}, "penalties": []}


def coefficients_of(parameters, seed=0):
    """Coefficients of all sizes; some whose shortest text has no decimal point."""
    generator = np.random.default_rng(seed)
    n = count_features(parameters)
    values = generator.normal(size=n) * 10.0 ** generator.integers(-12, 4, size=n)
    values[: min(n, 6)] = [1e-05, 1e22, -3e-300, 0.0, -0.0, 5e-324][: min(n, 6)]
    return values


def small():
    """A model of a few coefficients, and its text."""
    parameters = replace(UNARY, gtinv_order=1, gtinv_maxl=(), max_p=1)
    coefficients = np.random.default_rng(1).normal(size=count_features(parameters))
    return format_potential(parameters, coefficients), coefficients


def old_text(parameters, coefficients, scales=None, *, newest=True):
    """The old format, with the lines that its oldest files do not have."""
    lines = [
        (parameters.elements, "ele"),
        ([parameters.cutoff], "cutoff"),
        (["gaussian"], "pair_type"),
        ([parameters.feature_type], "feature_type"),
        ([parameters.model_type], "model_type"),
        ([parameters.max_p], "max_p"),
        ([parameters.max_l], "max_l"),
    ]
    if parameters.feature_type == "gtinv":
        lines += [
            ([parameters.gtinv_order], "gtinv_order"),
            (parameters.gtinv_maxl, "gtinv_maxl"),
            ([0 for _ in parameters.gtinv_maxl], "gtinv_sym"),
        ]
    lines += [
        ([len(coefficients)], "number of coefficients"),
        (map(repr, coefficients.tolist()), "reg. coeffs"),
        (np.ones(len(coefficients)) if scales is None else scales, "scales"),
        ([parameters.n_radial], "number of params"),
        *((pair, "gaussian") for pair in parameters.pair_params),
        ([1.0 for _ in parameters.elements], "mass"),
        (["False"], "electrostatic"),
    ]
    if newest:
        if parameters.feature_type == "gtinv":
            lines.append(([parameters.gtinv_version], "gtinv_version"))
        lines.append(([len(parameters.type_pairs)], "n_type_pairs"))
        for pair in parameters.type_pairs:
            lines.append((pair, "type pair"))
            lines.append((parameters.active_pair_params(pair), "pair params"))
        lines.append(([1], "type_full"))
        lines.append((range(parameters.n_types), "type_indices"))
    return "".join(f"{' '.join(map(str, v))} # {name}\n" for v, name in lines)


def edited(text, old, new):
    assert text.count(old) == 1
    return text.replace(old, new)


def assert_equal(found, parameters, coefficients):
    energies = parameters.atomic_energies or (0.0,) * parameters.n_types
    assert found.parameters == replace(parameters, atomic_energies=energies)
    np.testing.assert_array_equal(found.coefficients, coefficients)


def refusal(text, where="a.yaml", error=PotentialError):
    with pytest.raises(error) as refused:
        parse_potential(text, where)
    message = str(refused.value)
    assert message.startswith(where) and "\n" not in message and len(message) < 400
    return message


@pytest.mark.parametrize("parameters", MODELS.values(), ids=MODELS)
def test_round_trip_is_exact(parameters):
    coefficients = coefficients_of(parameters)
    found = parse_potential(format_potential(parameters, coefficients), "here")
    assert_equal(found, parameters, coefficients)
    assert np.signbit(found.coefficients[4])


@pytest.mark.parametrize("parameters", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize(
    "write",
    [
        yaml.safe_dump,
        lambda content: yaml.safe_dump(content, default_flow_style=True, width=60),
        lambda content: yaml.safe_dump(content, sort_keys=False, default_style='"'),
        lambda content: yaml.safe_dump(content, explicit_start=True, explicit_end=True),
        lambda content: json.dumps(content, indent=1),
        json.dumps,
    ],
    ids=["block", "flow", "quoted", "document", "indented JSON", "JSON"],
)
def test_files_of_other_writers_are_read(parameters, write):
    coefficients = coefficients_of(parameters)
    content = yaml.safe_load(format_potential(parameters, coefficients))
    # Lists that are the same object become anchors and aliases.
    content["enable_spins"] = content["gtinv_sym"] = [0] * parameters.n_types
    found = parse_potential(write(content), "here")
    assert_equal(found, parameters, coefficients)


def test_coefficients_may_be_wrapped_and_followed():
    text, coefficients = small()
    wrapped = text.replace(", ", ",\n   ").replace("]", ", ]").replace("[,", "[")
    assert wrapped.count("\n") > 2 * text.count("\n") / 3
    for other in (
        wrapped,
        text.replace("\n", "\r\n"),
        f"# a comment\n{text}# another one",
        text + "\n" + yaml.safe_dump({"phono3py_mlp": PROVENANCE}),
        yaml.safe_dump({"phono3py_mlp": PROVENANCE}) + text,
        f"{text}phono3py_mlp: {json.dumps(PROVENANCE)}",
    ):
        found = parse_potential(other, "here")
        np.testing.assert_array_equal(found.coefficients, coefficients)


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("parameters", MODELS.values(), ids=MODELS)
def test_old_format(parameters, newest):
    if not newest:
        parameters = replace(parameters, gtinv_version=1, conditional_pair_params={})
    parameters = replace(parameters, atomic_energies=())
    coefficients = coefficients_of(parameters)
    scales = 2.0 ** np.random.default_rng(2).integers(0, 4, size=len(coefficients))
    text = old_text(parameters, coefficients * scales, scales, newest=newest)
    found = parse_potential(text, "here")
    assert found.parameters == parameters
    np.testing.assert_array_equal(found.coefficients, coefficients)


def cell(parameters):
    """Some atoms in no particular order, as a structure of pypolymlp."""
    from phonopy.structure.atoms import PhonopyAtoms
    from pypolymlp.utils.phonopy_utils import phonopy_cell_to_structure

    points = np.indices((2, 2, 2)).reshape(3, -1).T / 2
    points = points + np.random.default_rng(5).normal(scale=0.02, size=points.shape)
    symbols = sorted(np.resize(parameters.elements, 8), key=parameters.elements.index)
    atoms = PhonopyAtoms(cell=np.eye(3) * 5.6, scaled_positions=points, symbols=symbols)
    return phonopy_cell_to_structure(atoms)


def forces_by_pypolymlp(params, coeffs, parameters):
    from pypolymlp.calculator.properties import Properties
    from pypolymlp.core.params import PolymlpParams

    properties = Properties(params=PolymlpParams(params), coeffs=coeffs)
    energies, forces, _ = properties.eval_multiple([cell(parameters)])
    return np.array(energies), np.array(forces)


def pypolymlp_parameters(parameters):
    from pypolymlp.core.params_utils import set_all_params

    theirs = set_all_params(
        elements=parameters.elements,
        cutoff=parameters.cutoff,
        model_type=parameters.model_type,
        max_p=parameters.max_p,
        feature_type=parameters.feature_type,
        gtinv_order=parameters.gtinv_order,
        gtinv_maxl=parameters.gtinv_maxl,
        gtinv_version=parameters.gtinv_version,
        atomic_energy=parameters.atomic_energies or (0.0,) * parameters.n_types,
    )
    for model in (theirs.model, theirs.params_elements.model):
        model.pair_params = list(map(list, parameters.pair_params))
        for pair in parameters.type_pairs:
            active = list(parameters.active_pair_params(pair))
            model.pair_params_conditional[pair] = active
    return theirs


@pytest.mark.parametrize("parameters", MODELS.values(), ids=MODELS)
def test_pypolymlp_reads_what_we_write(parameters):
    pytest.importorskip("pypolymlp")
    from pypolymlp.core.io_polymlp import load_mlp

    coefficients = np.random.default_rng(3).normal(size=count_features(parameters))
    coefficients[0] = 1e-05
    text = format_potential(parameters, coefficients)
    text += "\n" + yaml.safe_dump({"phono3py_mlp": PROVENANCE})
    read, read_coefficients = load_mlp(io.StringIO(text))
    np.testing.assert_array_equal(read_coefficients, coefficients)
    assert tuple(read.elements) == parameters.elements
    assert read.atomic_energy == (parameters.atomic_energies or (0.0,))
    for found, expected in zip(
        forces_by_pypolymlp(read, read_coefficients, parameters),
        forces_by_pypolymlp(pypolymlp_parameters(parameters), coefficients, parameters),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
        assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("parameters", MODELS.values(), ids=MODELS)
def test_what_pypolymlp_writes_is_read(parameters, tmp_path):
    pytest.importorskip("pypolymlp")
    from pypolymlp.core.io_polymlp import load_mlp, save_mlp

    coefficients = coefficients_of(parameters)
    path = tmp_path / "polymlp.yaml"
    scales = np.linspace(1, 2, len(coefficients))
    # It changes how numpy prints from then on.
    with np.printoptions():
        save_mlp(pypolymlp_parameters(parameters), coefficients, scales, str(path))
    found = parse_potential(path.read_text(), str(path))
    with path.open() as file:
        _, expected = load_mlp(file)
    assert_equal(found, parameters, expected)


@pytest.mark.parametrize("newest", [False, True])
def test_old_format_is_read_as_pypolymlp_does(newest):
    pytest.importorskip("pypolymlp")
    from pypolymlp.core.io_polymlp import load_mlp

    parameters = replace(MODELS["conditional"], atomic_energies=())
    if not newest:
        parameters = replace(parameters, conditional_pair_params={})
    coefficients = coefficients_of(parameters)
    scales = np.linspace(1, 2, len(coefficients))
    text = old_text(parameters, coefficients, scales, newest=newest)
    found = parse_potential(text, "here")
    read, read_coefficients = load_mlp(io.StringIO(text))
    np.testing.assert_array_equal(found.coefficients, read_coefficients)
    for pair, active in read.model.pair_params_conditional.items():
        assert found.parameters.active_pair_params(pair) == tuple(active)


def test_masses_of_elements_that_have_none():
    parameters = replace(BINARY, elements=("Pu", "O"))
    text = format_potential(parameters, coefficients_of(parameters))
    assert "mass:          [244.0, 15.9994]" in text
    indexed = replace(BINARY, elements=("Fe1", "Fe2"))
    text = format_potential(indexed, coefficients_of(indexed))
    assert parse_potential(text, "here").parameters.elements == ("Fe1", "Fe2")


@pytest.mark.parametrize(
    "key",
    [
        *("elements", "mass", "cutoff", "pair_type", "feature_type", "model_type"),
        *("max_p", "max_l", "gtinv_order", "gtinv_maxl", "gtinv_version"),
        *("pair_params", "type_pairs", "type_full", "type_indices", "n_coeffs"),
    ],
)
def test_missing_key_is_named(key):
    content = yaml.safe_load(small()[0])
    del content[key]
    message = refusal(yaml.safe_dump(content))
    assert message.startswith(f"a.yaml: '{key}' is missing; not a complete potential.")


@pytest.mark.parametrize(
    "key", ["enable_spins", "atomic_energy", "electrostatic", "gtinv_sym"]
)
@pytest.mark.parametrize("absent", [False, True])
def test_some_keys_may_be_missing_or_null(key, absent):
    content = yaml.safe_load(small()[0])
    if absent:
        del content[key]
    else:
        content[key] = None
    found = parse_potential(yaml.safe_dump(content), "here")
    np.testing.assert_array_equal(found.coefficients, small()[1])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("elements", "Si", "elements = 'Si'; expected chemical symbols."),
        ("elements", ["Xx"], "elements = ['Xx']; expected chemical symbols."),
        ("elements", ["X"], "elements = ['X']; expected chemical symbols."),
        ("elements", ["Rf"], "elements = ['Rf']; expected chemical symbols."),
        ("elements", [["Si"]], "elements = [['Si']]; expected chemical symbols."),
        ("elements", [], "type_indices = ['0']; expected"),
        ("mass", [1.0, 2.0], "mass = ['1.0', '2.0']; expected a number for each"),
        ("mass", 28.0, "mass = '28.0'; expected a number for each element."),
        ("cutoff", -1.0, "cutoff = -1.0; expected a positive length."),
        ("cutoff", float("nan"), "cutoff = '.nan'; expected a length in angstrom."),
        ("cutoff", "inf", "cutoff = 'inf'; expected a length in angstrom."),
        ("cutoff", {}, "cutoff = {}; expected a length in angstrom."),
        ("feature_type", "x\ny", "feature_type = 'x\\ny'; expected gtinv or pair."),
        ("model_type", 5, "model_type = 5; expected one of 1, 2, 3, 4"),
        ("model_type", 1.5, "model_type = '1.5'; expected an integer."),
        ("max_p", 0, "max_p = 0; expected 1, 2 or 3."),
        ("max_p", 10**9, "max_p = 1000000000; expected 1, 2 or 3."),
        ("max_p", "1" * 5000, "max_p = '111111111111...1111111111111'; expected an"),
        ("max_l", -1, "max_l = '-1'; expected at least 0."),
        ("gtinv_order", 0, "gtinv_order = 0; expected 1 to 6."),
        ("gtinv_order", 2, "gtinv_maxl has 0 values; gtinv_order = 2 needs 1."),
        ("gtinv_maxl", 8, "gtinv_maxl = '8'; expected integers."),
        ("gtinv_version", 3, "gtinv_version = 3; expected 1 or 2."),
        ("pair_params", [], "n_pair_params = '4'; expected 0."),
        ("pair_params", [[1.0]], "pair_params = [['1.0']]; expected pairs of numbers."),
        ("n_pair_params", 5, "n_pair_params = '5'; expected 4."),
        ("n_type_pairs", 2, "n_type_pairs = '2'; expected 1."),
        ("type_pairs", [], "type_pairs = []; expected 1 pairs of types."),
        ("type_pairs", [{}], "type_pairs = [{}]; expected 1 pairs of types."),
        ("type_pairs", [1], "type_pairs = ['1']; expected 1 pairs of types."),
        ("type_full", 2, "type_full = '2'; expected 0 or 1."),
        ("type_indices", [0.5], "type_indices = ['0.5']; expected integers."),
        ("enable_spins", [3], "enable_spins = ['3']; expected 0 or 1."),
        ("atomic_energy", [1.0, 2.0], "atomic_energies = 1.0 2.0; expected 1 energies"),
        ("atomic_energy", "no", "atomic_energy = 'no'; expected energies in eV."),
        ("n_coeffs", 5, "number of coefficients = 4; expected n_coeffs = 5."),
        ("coeffs", [1.0] * 3, "number of coefficients = 3; expected n_coeffs = 4."),
        ("coeffs", None, "coeffs = 'null'; expected a list of numbers."),
        ("coeffs", [1.0, 2.0, [], 4.0], "coefficient 3 = []; expected a number."),
        ("coeffs", [1.0, "x", 2.0, 3.0], "coefficient 2 = 'x'; expected a number."),
        ("coeffs", [1.0, 2.0, 3.0, "nan"], "coefficient 4 = nan; expected a finite"),
        ("coeffs", [1.0, 2.0, "-inf", 3.0], "coefficient 3 = -inf; expected a finite"),
    ],
)
def test_wrong_values_are_named(key, value, message):
    content = yaml.safe_load(small()[0])
    content[key] = value
    assert refusal(yaml.safe_dump(content)).startswith(f"a.yaml: {message}")


def test_type_pairs_are_each_there_once():
    text = format_potential(BINARY, coefficients_of(BINARY))
    for wrong in ("[0, 0]", "[1, 0]", "[5, 7]"):
        other = edited(text, "atom_type_pair:      [0, 1]", f"atom_type_pair: {wrong}")
        assert "expected each pair of types once" in refusal(other)
    other = text.replace("[0, 1, 2, 3, 4, 5, 6]", "[0, 1, 2, 3, 4, 6, 5]")
    assert "expected known indices, ascending" in refusal(other)
    other = text.replace("[0, 1, 2, 3, 4, 5, 6]", "[0, 1, 2, 3, 4, 5, 7]")
    assert "expected known indices, ascending" in refusal(other)


def test_number_of_coefficients_is_that_of_the_features():
    text = format_potential(BINARY, coefficients_of(BINARY)[:-1])
    n = count_features(BINARY)
    assert f"n_coeffs = {n - 1}; expected {n}, the number of features" in refusal(text)
    more = count_features(replace(BINARY, gtinv_maxl=(3, 3)))
    text = edited(text, "gtinv_maxl:    [3, 2]", "gtinv_maxl:    [3, 3]")
    assert f"n_coeffs = {n - 1}; expected {more}, the number of features" in refusal(
        text
    )
    assert more > n


def test_the_features_are_counted_by_the_table_of_the_caller():
    """Beyond order 3 this package has none of its own."""
    parameters = replace(BINARY, gtinv_order=4, gtinv_maxl=(3, 2, 1))

    def table(_order, _maxl, version):
        return invariants(3, (3, 2), version)

    n = count_features(parameters, table)
    text = format_potential(parameters, np.arange(1.0, n + 1))
    assert_equal(
        parse_potential(text, "here", table), parameters, np.arange(1.0, n + 1)
    )
    assert "orders 4 to 6 need pypolymlp" in refusal(text)
    assert "coeffs = []; expected numbers" in refusal(
        format_potential(parameters, np.array([]))
    )
    short = format_potential(parameters, np.arange(1.0, n))
    with pytest.raises(PotentialError, match=f"n_coeffs = {n - 1}; expected {n}, "):
        parse_potential(short, "here", table)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pair_type:     gaussian", "pair_type:     sph_bessel"),
        ("enable_spins:  [0]", "enable_spins:  [1]"),
        ("electrostatic: 0", "electrostatic: true"),
        ("gtinv_sym:     []", "gtinv_sym:     [1]"),
        ("type_full:    1", "type_full:    0"),
        ("type_indices: [0]", "type_indices: [1]"),
    ],
)
def test_other_kinds_are_left_to_pypolymlp(old, new):
    message = refusal(edited(small()[0], old, new), error=NotCovered)
    assert message.startswith(f"a.yaml: {new.split(':')[0]} = ")
    assert message.endswith("Models of this kind need pypolymlp.")


def test_several_models_in_one_file_are_told_to_be_several_files():
    text, _ = small()
    message = refusal(f"{text}---\n{text}")
    assert "2 YAML documents; expected one." in message
    assert "split it into NAME.1, NAME.2" in message


@pytest.mark.parametrize(
    ("name", "new"),
    [("gtinv_sym", "1 0"), ("electrostatic", "True"), ("type_full", "0")],
)
def test_other_kinds_in_the_old_format(name, new):
    lines = old_text(BINARY, coefficients_of(BINARY)).splitlines()
    (number,) = (n for n, line in enumerate(lines) if line.endswith(f"# {name}"))
    lines[number] = f"{new} # {name}"
    assert f"{name} = " in refusal("\n".join(lines), error=NotCovered)


def test_damage_in_the_old_format_is_named():
    coefficients = coefficients_of(BINARY)
    n = len(coefficients)
    text = old_text(BINARY, coefficients)
    lines = text.splitlines()
    scales = np.ones(n)
    for found, expected in [
        ("\n".join(lines[:8]), "the file ends before 'gtinv_maxl'; not a complete"),
        ("\n".join(lines[:12]), "the file ends before 'scales'"),
        ("\n".join(lines[:15]), "the file ends before 'pair_params'"),
        ("\n".join([*lines[:4], " # model_type", *lines[5:]]), "line 5: 'model_type'"),
        ("\n".join([*lines[:13], "x", *lines[14:]]), "line 14: n_pair_params = 'x'"),
        (old_text(BINARY, coefficients, scales[1:]), f"number of scales = {n - 1};"),
        (old_text(BINARY, coefficients, 0 * scales), "number of scales = 0;"),
        (old_text(BINARY, coefficients, 1e-320 * scales), "= inf; expected a finite"),
        (old_text(BINARY, coefficients[1:], scales), f"scales = {n}; expected {n - 1}"),
        (text.replace("# ele", "Xx # ele"), "elements = ['Na', 'Cl', 'Xx']; expected"),
    ]:
        assert expected in refusal(found, "phono3py.pmlp")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1\n",
        "elements: [Na, Cl",
        "\x89HDF\r\n\x1a\n\x00\x00coeffs",
        "<?xml version='1.0'?>\n<modeling><coeffs/></modeling>",
        "phonopy:\n  version: 3\ndisplacements:\n- [0.1, 0.2, 0.3]\n",
        "- coeffs: [1.0]\n",
        "just text with coeffs",
        "coeffs: \ud800",
        "coeffs: &a [*a]",
        "? [1]\n: coeffs\n",
        "'coeffs': !!python/object/apply:os.system [ls]",
        "# ele\n",
    ],
)
def test_foreign_text_is_refused(text):
    assert "not a " in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        # libyaml would crash the process.
        "'coeffs': " + "[" * 200_000,
        "coeffs: [1.0]\na:\n" + "- " * 200_000,
        "coeffs: [1.0]\na:\n" + "? " * 200_000,
        "".join(f"{' ' * n}coeffs:\n" for n in range(500)),
        # 10^12 lines of radial functions are announced.
        "Na # ele\n5.0\ngaussian\npair\n1\n1\n0\n1\n1.0\n1.0\n1000000000000\n",
    ],
    ids=range(5),
)
def test_hostile_text_is_refused(text):
    refusal(text)


@pytest.mark.parametrize("key", yaml.safe_load(small()[0]))
def test_hostile_aliases_are_refused(key):
    """A value that is a list of 50^20 numbers, were it written out."""
    lists = "".join(f"n{n}: &n{n} [{f'*n{n - 1}, ' * 50}]\n" for n in range(1, 21))
    text, _ = small()
    content = yaml.safe_load(text)
    del content[key]
    rest = yaml.safe_dump(content)
    message = refusal(f"n0: &n0 [0]\n{lists}{rest}{key}: *n20\n")
    assert f"{key} = [[[" in message or "coefficient" in message


def test_hostile_parameters_are_refused():
    """The model would have 10^29 features."""
    ten = ["H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne"]
    content = yaml.safe_load(small()[0])
    content.update(
        elements=ten,
        mass=[1.0] * 10,
        enable_spins=[0] * 10,
        atomic_energy=[0.0] * 10,
        model_type=2,
        max_p=3,
        max_l=30,
        gtinv_order=3,
        gtinv_maxl=[30, 20],
        gtinv_version=2,
        n_type_pairs=55,
        type_indices=list(range(10)),
        type_pairs=[
            {"atom_type_pair": [i, j], "pair_params_indices": [0, 1, 2, 3]}
            for i in range(10)
            for j in range(i, 10)
        ],
    )
    assert "the number of features that its parameters define" in refusal(
        yaml.safe_dump(content)
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["yaml", "old"])
def test_damaged_text_is_read_as_numbers_or_refused(kind, seed):
    parameters = replace(
        BINARY, pair_params=BINARY.pair_params[-2:], gtinv_maxl=(1, 0), max_p=1
    )
    coefficients = np.random.default_rng(seed).normal(size=count_features(parameters))
    write = format_potential if kind == "yaml" else old_text
    text = write(parameters, coefficients)
    n_refused = 0
    for damaged in damaged_copies(text, 200, seed):
        try:
            found = parse_potential(damaged, "here")
        except PotentialError as error:
            n_refused += 1
            assert str(error).startswith("here") and "\n" not in str(error)
        else:
            assert np.isfinite(found.coefficients).all()
            assert np.isfinite(found.parameters.pair_params).all()
            assert len(found.coefficients) == count_features(found.parameters)
    assert 50 < n_refused < 200
