"""The command line: our options, and the input file given back."""

import argparse

import pytest

from phono3py_mlp_plugin.host.arguments import add_options, restore_filename


@pytest.fixture
def parser():
    """Part of the host's parser."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mesh", nargs="+", dest="mesh_numbers")
    parser.add_argument("--ts", nargs="+", dest="temperatures")
    parser.add_argument("--amplitude", action="store_true", help="refused by the host")
    parser.add_argument("filename", nargs="*")
    add_options(parser)
    return parser


@pytest.mark.parametrize(
    ("line", "filename", "mesh"),
    [
        ("--mesh 40 phono3py_params.yaml", ["phono3py_params.yaml"], ["40"]),
        ("--mesh 9 9 9 a.yaml.xz", ["a.yaml.xz"], ["9", "9", "9"]),
        ("a.yaml --mesh 9 9 9", ["a.yaml"], ["9", "9", "9"]),
        ("--mesh 9 9 9", [], ["9", "9", "9"]),
        ("--mesh phono3py_params.yaml", [], ["phono3py_params.yaml"]),
    ],
)
def test_file_is_given_back_from_mesh(parser, line, filename, mesh):
    args = parser.parse_args(line.split())
    restore_filename(parser, args)
    assert args.filename == filename
    assert args.mesh_numbers == mesh


def test_file_of_any_name_that_exists_is_given_back(parser, tmp_path):
    path = tmp_path / "dataset"
    path.touch()
    args = parser.parse_args(["--ts", "300", str(path)])
    restore_filename(parser, args)
    assert args.filename == [str(path)]
    assert args.temperatures == ["300"]


def test_option_that_the_host_refuses_is_ours(parser):
    args = parser.parse_args(["--amplitude", "0.02", "a.yaml"])
    assert args.displacement_distance == 0.02


@pytest.mark.parametrize("line", ["-c POSCAR --dim 2 2 2", "--cf3 a b", "--cfs"])
def test_setup_operations_are_noted(parser, line):
    args = parser.parse_args(line.split())
    assert args.setup_operation in line


def test_run_has_no_setup_operation(parser):
    assert not hasattr(parser.parse_args(["a.yaml"]), "setup_operation")
