"""Outputs keep the links and permissions that their users gave them."""

import os
import stat

import pytest

from phono3py_mlp_plugin.errors import UnusableFile
from phono3py_mlp_plugin.files import FolderLock, back_up, remove_dead_lock, replacing
from phono3py_mlp_plugin.files.lock import NAME


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def mask():
    old = os.umask(0o027)
    yield
    os.umask(old)


def write(path, text):
    with replacing(path) as temporary:
        temporary.write_text(text)


def test_new_file_has_the_permissions_of_the_user(tmp_path, mask):
    write(tmp_path / "a.txt", "new")
    assert mode(tmp_path / "a.txt") == 0o640


@pytest.mark.parametrize("bits", [0o600, 0o664, 0o444, 0o755])
def test_permissions_of_the_file_replaced_are_kept(tmp_path, bits):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(bits)
    write(path, "new")
    assert (path.read_text(), mode(path)) == ("new", bits)


def test_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "store").mkdir()
    target = tmp_path / "store" / "real.txt"
    target.write_text("old")
    link = tmp_path / "a.txt"
    link.symlink_to("store/real.txt")
    backup = back_up(link)
    with replacing(link) as temporary:
        temporary.write_text("new")
        temporary.with_name("a.log").write_text("beside")
    assert link.is_symlink() and not target.is_symlink()
    assert target.read_text() == "new"
    assert (backup.read_text(), backup.is_symlink()) == ("old", False)
    assert (tmp_path / "a.log").read_text() == "beside"
    assert sorted(p.name for p in (tmp_path / "store").iterdir()) == ["real.txt"]


def test_link_that_leads_nowhere_yet_gets_its_target(tmp_path):
    (tmp_path / "a.txt").symlink_to("later.txt")
    write(tmp_path / "a.txt", "new")
    assert (tmp_path / "later.txt").read_text() == "new"
    assert (tmp_path / "a.txt").is_symlink()


def test_older_copy_leaves_the_permissions_of_the_file_alone(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    (tmp_path / "a.txt.bak").write_text("older")
    (tmp_path / "a.txt.bak").chmod(0o600)
    back_up(path)
    assert mode(path) == mode(tmp_path / "a.txt.bak") == 0o640


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "folder", "null"):
        with pytest.raises(UnusableFile):
            write(tmp_path / name, "new")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)  # noqa: PTH116
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("kind", ["link", "broken link", "second name", "data", "pipe"])
def test_lock_never_touches_what_is_no_lock(tmp_path, kind):
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    lock = tmp_path / NAME
    if kind == "link":
        lock.symlink_to(precious)
    elif kind == "broken link":
        lock.symlink_to(tmp_path / "nowhere")
    elif kind == "second name":
        lock.hardlink_to(precious)
    elif kind == "data":
        lock.write_text("mine\n")
    else:
        os.mkfifo(lock)
    with pytest.raises(UnusableFile, match="not a lock of this package"):
        FolderLock(tmp_path)
    remove_dead_lock(tmp_path)
    assert precious.read_text() == "precious"
    assert os.path.lexists(lock) and not (tmp_path / "nowhere").exists()
    if kind == "data":
        assert lock.read_text() == "mine\n"


def test_a_folder_that_cannot_be_written_to_is_told_with_the_name_of_the_file(tmp_path):
    with pytest.raises(OSError, match="there is no folder") as caught:
        write(tmp_path / "nothing" / "a.txt", "new")
    assert str(tmp_path / "nothing" / "a.txt") in str(caught.value)
