"""The examples of the documentation: their commands, and kappa of their output."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _build() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "build_examples", DOCS / "examples" / "build.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look for annotations.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


BUILD = _build()


def kappas(text: str) -> dict[float, float]:
    """Return kappa_xx by temperature."""
    rows = re.findall(r"^ *(\d+\.\d) +(\d+\.\d+) +\d+\.\d+ +\d+\.\d+ ", text, re.M)
    return {float(temperature): float(value) for temperature, value in rows}


@pytest.mark.parametrize("name", BUILD.EXAMPLES)
def test_output_in_the_documentation_is_of_the_command_there(name):
    text = (DOCS / "examples" / f"{name}.txt").read_text()
    assert text.startswith(f"$ {BUILD.EXAMPLES[name].command}\n")
    assert len(kappas(text)) == 6
    page = (DOCS / "gallery.md").read_text().replace(" \\\n    ", " ")
    for part in (f"examples/{name}.txt", f"examples/{name}.png"):
        assert part in page
    assert BUILD.EXAMPLES[name].command in page


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILD.EXAMPLES)
def test_examples_give_the_conductivity_that_is_documented(tmp_path, name):
    example = BUILD.EXAMPLES[name]
    if example.crystal:
        pytest.importorskip("ase")
    if not BUILD.is_installed(example):
        pytest.skip(f"{example.module} is not installed")
    found = kappas(BUILD.run(example, tmp_path))
    expected = kappas((DOCS / "examples" / f"{name}.txt").read_text())
    # Single precision and the convergence of charges, through relaxation and training.
    tolerance = 1e-3 if name == "copper" else 0.05
    assert found == pytest.approx(expected, rel=tolerance)
