"""Only regular files are opened, and no more is read than fits into memory."""

import bz2
import gzip
import json
import lzma
import os
import socket

import h5py
import pytest

from phono3py_mlp_plugin.convergence import (
    read_convergence,
)
from phono3py_mlp_plugin.errors import UnusableFile, message_for_user
from phono3py_mlp_plugin.files import (
    check_input,
    check_inputs,
    find_kappa,
    open_text,
    read_kappa,
    read_provenance,
    read_snapshots,
    read_uncertainty,
    regular,
)

READERS = [
    open_text,
    check_input,
    read_convergence,
    read_snapshots,
    read_kappa,
    read_provenance,
    read_uncertainty,
]


@pytest.fixture
def odd(tmp_path):
    """A folder with all that is no regular file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(tmp_path)
        one.bind("socket")
        yield tmp_path


@pytest.fixture(autouse=True)
def stay(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pipe", "a named pipe"),
        ("folder", "a folder"),
        ("broken", "a link to nowhere"),
        ("device", "a device"),
        ("socket", "a socket"),
    ],
)
def test_what_is_no_file_is_refused_by_every_reader(odd, read, name, kind):
    if read is read_snapshots:
        pytest.importorskip("ase")
    with pytest.raises(UnusableFile) as caught:
        read(odd / name)
    assert message_for_user(caught.value).startswith(f"{odd / name}: {kind}")


def test_what_the_host_opens_is_looked_at_before(odd):
    for name in ("pipe", "device", "socket"):
        with pytest.raises(UnusableFile, match="expected a regular file"):
            check_inputs(odd / "folder", ["--opt", None, 3, [name]])
    # Texts that name no file, folders and links that lead nowhere are others' matter.
    check_inputs(odd / "folder", ["broken", "folder", "a\0b", "x" * 5000, "5 5 5", ""])
    for name in ("fc3.hdf5", "BORN", "FORCES_FC3", "phono3py_params.yaml", "a.pmlp"):
        os.mkfifo(odd / "folder" / name)
        with pytest.raises(UnusableFile, match=name):
            check_inputs(odd / "folder")
        with pytest.raises(UnusableFile, match=name):
            check_inputs(odd, ["folder"])
        (odd / "folder" / name).unlink()


def test_folder_in_the_place_of_force_constants_is_refused(tmp_path):
    (tmp_path / "BORN-calculation").mkdir()
    check_inputs(tmp_path)
    (tmp_path / "fc3.hdf5").mkdir()
    with pytest.raises(UnusableFile, match="a folder"):
        check_inputs(tmp_path)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".bz2", bz2.compress),
    ],
)
def test_text_that_expands_without_end_is_refused(
    tmp_path, monkeypatch, suffix, compress
):
    path = tmp_path / f"phono3py_params.yaml{suffix}"
    path.write_bytes(compress(b"0" * 3_000_000))
    with open_text(path) as file:
        assert len(file.read()) == 3_000_000
    monkeypatch.setattr(regular, "_LARGEST_TEXT", 2_000_000)
    with pytest.raises(UnusableFile, match=r"holds more than 0.002 GB"):
        check_input(path)
    if suffix:
        with pytest.raises(UnusableFile, match=r"holds more than 0.002 GB"):
            check_inputs(tmp_path)
    with (
        open_text(path) as file,
        pytest.raises(UnusableFile, match=r"holds more than 0.002 GB"),
    ):
        file.read()


def test_damaged_compression_is_left_to_the_reader(tmp_path):
    for suffix, content in ((".xz", b"no xz"), (".gz", gzip.compress(b"0" * 99)[:20])):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content)
        check_input(path)


def test_endless_brackets_in_json_are_no_points(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    assert read_convergence(path) == []
    assert read_uncertainty(path) == []
    path.write_text(json.dumps([1]))
    assert read_convergence(path) == []


def test_kappa_of_arrays_that_were_never_written_is_refused(tmp_path):
    path = tmp_path / "kappa-m111.hdf5"
    with h5py.File(path, "w") as file:
        file["mesh"] = [1, 1, 1]
        file["temperature"] = [300.0]
        file.create_dataset("kappa", (10**6, 10**6, 6), "double", chunks=(1, 1, 6))
    os.mkfifo(tmp_path / "kappa-m999.hdf5")
    assert find_kappa(tmp_path) == [path]
    with pytest.raises(Exception, match=r"kappa: 4.8e\+04 GB"):
        read_kappa(path)
