"""fc2.hdf5 and fc3.hdf5 are believed only where their numbers can be."""

import os

import h5py
import numpy as np
import pytest

from phono3py_mlp_plugin.errors import SolverError, UnusableFile
from phono3py_mlp_plugin.files import (
    CHANGED,
    NUMBERS,
    STAMP,
    check_force_constants,
    hash_of_numbers,
    read_force_constants,
    read_stamp,
)

N, P2S_MAP = 6, [0, 3]
FULL = (N, N, N, 3, 3, 3)
COMPACT = (2, N, N, 3, 3, 3)


@pytest.fixture
def fc3():
    return np.random.default_rng(0).normal(size=COMPACT)


def write(path, fc3, stamp=None, **options):
    """Write a file as the host does, with our stamp where one is given."""
    with h5py.File(path, "w") as file:
        file.create_dataset("version", data=np.bytes_("4.10.0"))
        file.create_dataset("fc3", data=fc3, compression="gzip", **options)
        nonzero = np.ones(fc3.shape[:3], dtype="byte")
        file.create_dataset("fc3_nonzero_indices", data=nonzero)
        file.create_dataset("p2s_map", data=np.array(P2S_MAP))
        if stamp is not None:
            file.attrs.update({STAMP: stamp, NUMBERS: hash_of_numbers(file)})


@pytest.mark.parametrize("shape", [COMPACT, FULL])
def test_sound_file_is_read_to_the_bit(tmp_path, shape):
    array = np.random.default_rng(0).normal(size=shape)
    write(tmp_path / "fc3.hdf5", array)
    found = read_force_constants(tmp_path / "fc3.hdf5", FULL, P2S_MAP)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("name", ["fc2", "force_constants"])
@pytest.mark.parametrize("precision", ["double", "single"])
def test_fc2_is_read_under_both_names_of_the_host(tmp_path, name, precision):
    with h5py.File(tmp_path / "fc2.hdf5", "w") as file:
        file[name] = np.ones((N, N, 3, 3), dtype=precision)
    check_force_constants(tmp_path / "fc2.hdf5", (N, N, 3, 3), P2S_MAP)


def test_full_force_constants_are_of_no_primitive_cell(tmp_path):
    write(tmp_path / "fc3.hdf5", np.ones(FULL))
    check_force_constants(tmp_path / "fc3.hdf5", FULL, [0, 1])


def replaced(name, **options):
    def spoil(file):
        del file[name]
        file.create_dataset(name, **options)

    return spoil


def renamed(file):
    file.move("fc3", "fc3_old")


def group(file):
    del file["fc3"]
    file.create_group("fc3")


def set_to(name, place, value):
    def spoil(file):
        file[name][place] = value

    return spoil


def soft_link(file):
    renamed(file)
    file["fc3"] = h5py.SoftLink("/fc3_old")


def external_link(file):
    del file["fc3"]
    file["fc3"] = h5py.ExternalLink("other.hdf5", "/fc3")


def external_storage(file):
    del file["fc3"]
    path = os.path.join(os.path.dirname(file.filename), "numbers.raw")  # noqa: PTH118, PTH120
    np.zeros(COMPACT).tofile(path)
    file.create_dataset(
        "fc3", COMPACT, "double", external=[(path, 0, h5py.h5f.UNLIMITED)]
    )


def virtual(file):
    del file["fc3"]
    layout = h5py.VirtualLayout(COMPACT, "double")
    layout[...] = h5py.VirtualSource("other.hdf5", "fc3", shape=COMPACT)
    file.create_virtual_dataset("fc3", layout)


def one_part_missing(file):
    del file["fc3"]
    made = file.create_dataset("fc3", COMPACT, "double", chunks=(1, *COMPACT[1:]))
    made[0] = 1.0


DAMAGE = {
    "other name": (renamed, "expected an array 'fc3'"),
    "group": (group, "fc3 = a group"),
    "nan": (set_to("fc3", (1, 2, 3, 0, 0, 0), np.nan), "fc3 = not finite"),
    "inf": (set_to("fc3", (0, 0, 0, 0, 0, 1), -np.inf), "fc3 = not finite"),
    "objects": (
        replaced("fc3", shape=COMPACT, dtype=h5py.string_dtype()),
        "numbers of type object",
    ),
    "strings": (replaced("fc3", shape=COMPACT, dtype="S8"), "numbers of type |S8"),
    "integers": (replaced("fc3", data=np.ones(COMPACT, dtype=int)), "type int64"),
    "complex": (replaced("fc3", data=np.ones(COMPACT, dtype=complex)), "complex128"),
    "other byte order": (replaced("fc3", data=np.ones(COMPACT, dtype=">f8")), ">f8"),
    "single precision": (replaced("fc3", data=np.ones(COMPACT, dtype="f")), "float32"),
    "compound": (replaced("fc3", shape=COMPACT, dtype=[("a", "f8")]), "a compound"),
    "rank": (replaced("fc3", data=np.ones((2, N, N, 27))), "shape of fc3 = (2, 6"),
    "scalar": (replaced("fc3", data=1.0), "shape of fc3 = ()"),
    "no extent": (replaced("fc3", dtype="double", shape=None), "shape of fc3 = None"),
    "empty": (replaced("fc3", data=np.ones((0, *COMPACT[1:]))), "shape of fc3 = (0"),
    "other supercell": (replaced("fc3", data=np.ones((2, 4, 4, 3, 3, 3))), "(2, 4, 4"),
    "other primitive cell": (
        replaced("fc3", data=np.ones((3, *COMPACT[1:]))),
        "expected (6, 6, 6, 3, 3, 3) or (2, 6, 6, 3, 3, 3)",
    ),
    "never written": (
        replaced("fc3", shape=COMPACT, dtype="double"),
        "fc3 = never written",
    ),
    "one part missing": (one_part_missing, "fc3 = 1 of 2 parts"),
    "soft link": (soft_link, "a link to elsewhere"),
    "external link": (external_link, "a link to elsewhere"),
    "external storage": (external_storage, "kept in other files"),
    "virtual": (virtual, "kept in other files"),
    "atoms of p2s_map": (set_to("p2s_map", 1, 4), "p2s_map = [0, 4]; expected [0, 3]"),
    "p2s_map a number": (replaced("p2s_map", data=3), "p2s_map = no list"),
    "p2s_map of floats": (replaced("p2s_map", data=[0.0, 3.0]), "p2s_map = no list"),
    "p2s_map shorter": (replaced("p2s_map", data=[0]), "p2s_map = [0]"),
    "nonzero indices of another type": (
        replaced("fc3_nonzero_indices", data=np.ones(COMPACT[:3])),
        "expected int8 of shape (2, 6, 6)",
    ),
    "nonzero indices of other atoms": (
        replaced("fc3_nonzero_indices", data=np.ones((2, N), dtype="byte")),
        "expected int8 of shape (2, 6, 6)",
    ),
}


@pytest.mark.parametrize(("spoil", "says"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_array_is_told_in_one_line(tmp_path, fc3, spoil, says):
    path = tmp_path / "fc3.hdf5"
    write(path, fc3, "made from this")
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(SolverError) as caught:
        check_force_constants(path, FULL, P2S_MAP)
    message = str(caught.value)
    assert message.startswith(f'"{path}": ') and says in message
    assert message.endswith("Remove it to compute it anew.") and "\n" not in message
    # And the stamp does not hold for such numbers.
    assert read_stamp(path) == CHANGED


def test_truncated_numbers_are_told_in_one_line(tmp_path, fc3):
    path = tmp_path / "fc3.hdf5"
    write(path, fc3, "made from this")
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        part = file["fc3"].id.get_chunk_info(0)
    content[part.byte_offset : part.byte_offset + 40] = bytes(40)
    path.write_bytes(content)
    for read in (read_stamp, lambda path: check_force_constants(path, FULL, P2S_MAP)):
        with pytest.raises(SolverError, match=r"cannot be read .*Remove it"):
            read(path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SolverError, match=r"cannot be read .*Remove it"):
        check_force_constants(path, FULL, P2S_MAP)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["fc3"].__setitem__(..., 2 * file["fc3"][()]),
        lambda file: file["fc3"].__setitem__((0, 0, 0, 0, 0, 0), 1e-300),
        lambda file: file["p2s_map"].__setitem__(1, 4),
        lambda file: file["fc3_nonzero_indices"].__setitem__((0, 0, 0), 0),
        lambda file: file.__delitem__("fc3_nonzero_indices"),
        lambda file: file.create_dataset("fc3_cutoff", data=4.0),
    ],
)
def test_stamp_covers_all_that_the_host_reads(tmp_path, fc3, change):
    path = tmp_path / "fc3.hdf5"
    write(path, fc3, "made from this")
    assert read_stamp(path) == "made from this"
    with h5py.File(path, "r+") as file:
        change(file)
    assert read_stamp(path) == CHANGED
    with pytest.raises(SolverError, match="was changed after it was written"):
        read_force_constants(path, FULL, P2S_MAP)


def test_stamp_holds_for_another_compression(tmp_path, fc3):
    path = tmp_path / "fc3.hdf5"
    write(path, fc3, "made from this")
    with h5py.File(path, "r+") as file:
        del file["fc3"]
        file.create_dataset("fc3", data=fc3, chunks=(1, 2, 3, 3, 3, 3))
    assert read_stamp(path) == "made from this"


def test_pipes_folders_and_broken_links_are_not_opened(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "link", "pipe"):
        with pytest.raises(UnusableFile, match=f"{name}: a"):
            read_stamp(tmp_path / name)
        with pytest.raises(UnusableFile, match=f"{name}: a"):
            check_force_constants(tmp_path / name, FULL, P2S_MAP)
