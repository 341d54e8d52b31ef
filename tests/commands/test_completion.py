"""Shells complete commands, options, plugins and files by the printed script."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from phono3py_mlp_plugin.cli import main

pytest.importorskip("shtab")

# What is typed before Tab, and one of the words that are then offered.
TYPED = [
    ("phono3py-mlp", ["kap"], "kappa"),
    ("phono3py-mlp", ["kappa", "--te"], "--teach"),
    ("phono3py-mlp", ["kappa", "--mes"], "--mesh"),
    ("phono3py-mlp", ["converge", "--si"], "--sizes"),
    ("phono3py-mlp", ["forecast", "--wor"], "--workers"),
    ("phono3py-mlp", ["label", "--force-calculator", "pyp"], "pypolymlp"),
    ("phono3py-mlp", ["plugins", "sym"], "symfc"),
    ("phono3py-mlp", ["export", "shen"], "shengbte"),
    ("phono3py", ["--scattering", "f"], "fft"),
    ("phono3py", ["--fc-calculator", "exa"], "exact"),
    ("phono3py-load", ["--unc"], "--uncertainty"),
]
FILES = [
    ("phono3py-mlp", ["convert", "da"], "dataset.yaml"),
    ("phono3py-mlp", ["kappa", "-c", "da"], "dataset.yaml"),
    ("phono3py", ["--mlp-file", "da"], "dataset.yaml"),
    ("phono3py", ["da"], "dataset.yaml"),
]

BASH = """
source ./script
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
{function} {program} "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def script(tmp_path, capsys, monkeypatch):
    """Write the script for a command; return its text."""
    # Without settings of the user.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "dataset.yaml").write_text("")

    def write(shell, program):
        assert main(["completion", shell, program]) == 0
        text = capsys.readouterr().out
        (tmp_path / "script").write_text(text)
        return text

    return write


def offered(command, folder):
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, check=True
    )
    # fish prints a description after the word.
    return [line.split("\t")[0].strip() for line in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("program", "words", "wanted"), [*TYPED, *FILES])
def test_bash_completes(script, tmp_path, program, words, wanted):
    script("bash", program)
    text = BASH.format(
        words=" ".join([program, *words]),
        function=f"_shtab_{program.replace('-', '_')}",
        program=program,
    )
    assert wanted in offered(["bash", "--norc", "-c", text], tmp_path)


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
@pytest.mark.parametrize(("program", "words", "wanted"), [*TYPED, *FILES])
def test_fish_completes(script, tmp_path, program, words, wanted):
    script("fish", program)
    text = f"source ./script; complete -C '{' '.join([program, *words])}'"
    assert wanted in offered(["fish", "-c", text], tmp_path)


@pytest.mark.parametrize("program", ["phono3py-mlp", "phono3py"])
def test_the_script_of_zsh_is_valid_and_has_all_options(script, tmp_path, program):
    text = script("zsh", program)
    assert text.startswith(f"#compdef {program}\n")
    assert all(option in text for option in ("--uncertainty", "--mesh", "exact"))
    # These characters would end a specification of an argument.
    assert 'key = value, ..."' not in text
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n", "script"], check=True, cwd=tmp_path)
