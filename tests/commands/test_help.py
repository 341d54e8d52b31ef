"""What commands say about themselves: short, with an example that is right."""

from __future__ import annotations

import re
import shlex

import pytest

from phono3py_mlp_plugin import cli
from phono3py_mlp_plugin.cli import main
from phono3py_mlp_plugin.cli.converge import converge_parser
from phono3py_mlp_plugin.cli.forecast import forecast_parser
from phono3py_mlp_plugin.cli.kappa import kappa_parser
from phono3py_mlp_plugin.cli.parser import commands_of
from phono3py_mlp_plugin.host.command import study_parser

COMMANDS = list(commands_of(cli._parser()).choices)
# Those that have all options of phono3py.
OTHERS = {
    "kappa": kappa_parser,
    "converge": converge_parser,
    "forecast": forecast_parser,
}


def helped(capsys, *words):
    assert main([*words]) == 0
    return capsys.readouterr().out


def test_without_arguments_all_commands_are_listed(capsys):
    text = helped(capsys)
    assert text == helped(capsys, "--help")
    for command in COMMANDS:
        assert re.search(rf"^    {command}\b", text, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_on_a_screen_and_has_a_description(capsys, command):
    text = helped(capsys, command, "--help")
    assert text.startswith(f"usage: phono3py-mlp {command} ")
    assert len(text.splitlines()) < 60
    assert re.search(r"\n\n[A-Z].*\.\n", text.partition("example:")[0], re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_accepted(capsys, command):
    lines = helped(capsys, command, "--help").partition("example:\n")[2].splitlines()
    examples = [line.split(" > ")[0] for line in lines if "phono3py" in line]
    examples = [line.strip() for line in examples if re.match(r"\s+phono3py", line)]
    assert any(line.startswith(f"phono3py-mlp {command}") for line in examples)
    for line in examples:
        name, *words = shlex.split(line)
        if name == "phono3py":
            study_parser(name, "").parse_args(words)
        elif words[0] in OTHERS:
            OTHERS[words[0]]().parse_args(words[1:])
        else:
            cli._parser().parse_args(words)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_does_not_exist_is_one_line_and_exit_code_2(capsys, command):
    needed = ["bash"] if command == "completion" else []
    assert main([command, *needed, "--no-such-option"]) == 2
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert line.startswith("ERROR: ")
    assert line.endswith(f"'phono3py-mlp {command} --help' lists the options.")
    assert output.out == ""
