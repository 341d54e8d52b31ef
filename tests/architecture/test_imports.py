"""Importing costs what it must and no more; plugins load at first use."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.real_process


def modules_after(statement):
    program = f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_phono3py_does_not_pay_for_plugins():
    loaded = modules_after("import phono3py")
    assert "phono3py_mlp_plugin.host.bindings" in loaded
    for name in ("pluggy", "ase", "rich", "phono3py_mlp_plugin.workflow"):
        assert name not in loaded


def test_our_package_alone_imports_no_host():
    loaded = modules_after("import phono3py_mlp_plugin")
    for name in ("phono3py", "numpy", "pluggy"):
        assert name not in loaded


def test_plugins_are_listed_without_their_libraries():
    loaded = modules_after(
        "from phono3py_mlp_plugin.plugins import registry\nregistry()"
    )
    for name in ("pypolymlp", "ase", "hiphive", "symfc", "phono3py"):
        assert name not in loaded


def test_commands_do_not_wait_for_what_they_do_not_use():
    loaded = modules_after("import phono3py_mlp_plugin.host.command")
    for name in ("scipy.stats", "scipy.optimize", "matplotlib"):
        assert name not in loaded


def test_every_public_name_is_there():
    import phono3py_mlp_plugin as package

    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))


def test_every_type_that_plugins_and_users_see_is_public():
    from phono3py_mlp_plugin import __all__ as public
    from phono3py_mlp_plugin import api, contracts, errors

    defined = [
        name
        for module in (contracts, errors)
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and name[0] != "_"
    ]
    functions = ("one_line", "message_for_user", "describe_os_error", "in_file")
    inner = {*functions, "did_you_mean"}
    assert set(defined) - inner <= set(public)
    assert set(api.__all__) <= set(public)


def test_no_public_name_is_hidden_by_a_module():
    import importlib
    import pkgutil

    import phono3py_mlp_plugin as package

    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(package.__all__)
    importlib.import_module("phono3py_mlp_plugin.api")
    assert callable(package.report)


def test_the_version_is_that_of_the_installed_package():
    import importlib.metadata

    import phono3py_mlp_plugin as package

    assert package.__version__ == importlib.metadata.version("phono3py-mlp-plugin")
