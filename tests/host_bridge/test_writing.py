"""Files of the host: whole, or as they were."""

from types import ModuleType

import h5py
import numpy as np
import pytest

from phono3py_mlp_plugin.files import CHANGED, STAMP, read_stamp
from phono3py_mlp_plugin.host.writing import HostFiles

NAME = "phono3py.file_IO"


@pytest.fixture
def files():
    return HostFiles()


@pytest.fixture
def module(files):
    """A module that writes as the host's do."""
    host = ModuleType(NAME)
    host.h5py = h5py
    files.install({NAME: host})
    return host


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_takes_its_place_when_it_is_closed(module, tmp_path):
    path = tmp_path / "phono3py.yaml"
    path.write_text("old")
    with module.open(path, "w") as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["phono3py.yaml"]


@pytest.mark.parametrize("name", ["a.yaml", "a.hdf5"])
def test_what_fails_on_its_way_leaves_the_old_file(module, tmp_path, name):
    path = tmp_path / name
    path.write_text("old")

    def write():
        opener = module.open if name == "a.yaml" else module.h5py.File
        with opener(path, "w"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == [name]


def test_error_of_the_disk_names_the_file(module, tmp_path):
    def write():
        with module.h5py.File(tmp_path / "fc3.hdf5", "w"):
            raise OSError("Can't write data (file write failed: errno = 28, ...)")

    with pytest.raises(OSError, match="No space left on device") as caught:
        write()
    assert caught.value.filename == str(tmp_path / "fc3.hdf5")


def test_attributes_are_there_with_the_file_and_the_old_one_is_kept(
    files, module, tmp_path
):
    path = tmp_path / "fc2.hdf5"
    path.write_text("old")
    files.attributes = {"fc2.hdf5": {"made_from": "x"}}
    with module.h5py.File(path, "w") as file:
        file.create_dataset("fc2", data=np.arange(3))
    with h5py.File(path) as file:
        assert file.attrs["made_from"] == "x"
        assert file["fc2"][()].tolist() == [0, 1, 2]
    assert (tmp_path / "fc2.hdf5.bak").read_text() == "old"


def test_reading_is_left_alone(module, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("content")
    with module.open(path) as file:
        assert file.read() == "content"
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["x"] = 1
    with module.h5py.File(tmp_path / "a.hdf5", "r") as file:
        assert type(file) is h5py.File


def test_stamp_of_the_host_s_file_holds_for_its_numbers(files, module, tmp_path):
    path = tmp_path / "fc3.hdf5"
    files.attributes = {"fc3.hdf5": {STAMP: "made from this"}}
    with module.h5py.File(path, "w") as file:
        file.create_dataset("fc3", data=np.arange(9.0), compression="gzip")
    assert read_stamp(path) == "made from this"
    with h5py.File(path, "r+") as file:
        file["fc3"][0] = 1e-300
    assert read_stamp(path) == CHANGED
