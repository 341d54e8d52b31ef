"""Runs that are stopped, meet another run, or find the disk full."""

import os
import resource
import shutil
import signal
import subprocess
import time

import h5py
import pytest
import yaml

from conftest import SCRIPTS, TIMEOUT
from phono3py_mlp_plugin.errors import FolderInUse
from phono3py_mlp_plugin.files import FolderLock, remove_unfinished
from phono3py_mlp_plugin.files.atomic import is_running
from small_model import MODEL

pytestmark = pytest.mark.real_process

PARAMS = "phono3py_params.yaml"
LOCK = ".phono3py-mlp.lock"

# The default model: its training is long enough to be met in compiled code.
LONG = ["phono3py-load", PARAMS, "--pypolymlp", "-d"]
SMALL = ["phono3py-load", PARAMS, "--pypolymlp", "--full-fc", "--rd", "8"]
SMALL += ["--random-seed", "1", "--mlp-params", f"{MODEL}, ntrain=20, ntest=4"]


@pytest.fixture
def folder(small_params, tmp_path):
    shutil.copy(small_params, tmp_path / PARAMS)
    return tmp_path


class Started:
    """A command that runs, and the file that its output goes to."""

    def __init__(self, words, folder, log, **options):
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [SCRIPTS / words[0], *words[1:]],
                cwd=folder,
                stdout=file,
                stderr=subprocess.PIPE,
                text=True,
                **options,
            )
        self._log = log

    def wait_for(self, line):
        end = time.monotonic() + TIMEOUT
        while line not in self._log.read_text():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.02)

    def finish(self):
        _, error = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, error.strip()


@pytest.fixture
def start(folder, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "log"
    started = []

    def start_command(words, **options):
        started.append(Started(words, folder, log, **options))
        return started[-1]

    yield start_command
    for item in started:
        item.process.kill()
        item.process.communicate()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGINT, "Crystal structure was read"),
        (signal.SIGTERM, "Crystal structure was read"),
        (signal.SIGTERM, "Training on 21"),
        # Of queueing systems, before the time is over.
        pytest.param(signal.SIGUSR1, "Training on 21", marks=pytest.mark.slow),
        pytest.param(signal.SIGQUIT, "Training on 21", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, "Training on 21", marks=pytest.mark.slow),
    ],
)
def test_signal_ends_the_run_and_leaves_nothing(start, folder, number, line):
    command = start(LONG)
    command.wait_for(line)
    command.process.send_signal(number)
    code, error = command.finish()
    assert code == 128 + number
    assert error == (
        f"Stopped by {number.name}. What is finished is kept: run the same again."
    )
    assert names(folder) == [PARAMS]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("line", ["$ phono3py phon", "Evaluate forces", "mlp report"])
def test_signal_ends_all_steps_of_kappa(start, folder, number, line):
    pytest.importorskip("ase")
    from ase.build import bulk
    from ase.io import write

    write(folder / "POSCAR", bulk("Al", cubic=True, a=3.994))
    words = ["phono3py-mlp", "kappa", "-c", "POSCAR", "--dim", "2", "2", "2"]
    words += ["--force-calculator", "emt", "--mesh", "5", "5", "5"]
    command = start(words)
    command.wait_for(line)
    (step,) = children(command.process.pid)
    command.process.send_signal(number)
    code, error = command.finish()
    assert code == 128 + number
    assert error == (
        f"Stopped by {number.name}. What is finished is kept: run the same again."
    )
    assert not is_running(int(step))
    assert not (folder / LOCK).exists()


def test_run_killed_from_outside_is_told(start, folder):
    command = start(LONG)
    command.wait_for("Training on 21")
    (child,) = children(command.process.pid)
    subprocess.run(["kill", "-9", child], check=True)
    code, error = command.finish()
    assert code == 128 + signal.SIGKILL
    assert "was ended by SIGKILL from outside. Was the memory exhausted?" in error
    assert names(folder) == [PARAMS]


def children(process):
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True
    )
    return found.stdout.split()


def descendants(process):
    found = children(process)
    return [*found, *(below for child in found for below in descendants(child))]


def wait_until(condition):
    end = time.monotonic() + TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


def have_ended(processes):
    return not any(is_running(int(process)) for process in processes)


def test_a_command_ends_with_the_killed_process_that_started_it(start):
    program = (
        "from phono3py_mlp_plugin import programs\n"
        "from phono3py_mlp_plugin.cli.steps import run_command\n"
        "programs._FUNCTIONS['waiting'] = ('signal', 'pause')\n"
        "run_command(['waiting'])\n"
    )
    command = start(["python", "-c", program])
    command.wait_for("$ waiting")
    started = wait_until(lambda: children(command.process.pid))
    command.process.kill()
    wait_until(lambda: have_ended(started))


@pytest.mark.slow
def test_all_processes_of_a_campaign_end_if_it_is_killed(start, folder):
    (folder / "salts.yaml").write_text(
        f"options: {{mesh: 3 3 3}}\ncrystals:\n  a: {{dataset: {PARAMS}}}\n"
    )
    command = start(["phono3py-mlp", "campaign", "salts.yaml"])
    command.wait_for("a: started")
    log = folder / "a" / "run.log"
    wait_until(lambda: log.is_file() and "Training on" in log.read_text())
    started = descendants(command.process.pid)
    # Campaign, the supervisor of its command, and the command.
    assert len(started) == 3
    command.process.kill()
    wait_until(lambda: have_ended(started))
    assert names(folder / "a") == ["run.log"]


@pytest.mark.slow
def test_second_run_in_a_folder_is_refused(start, folder, run):
    command = start(LONG)
    command.wait_for("Training on 21")
    # Held, because a fast machine may finish it before the second has started.
    (child,) = children(command.process.pid)
    subprocess.run(["kill", "-STOP", child], check=True)
    try:
        second = run(SMALL, folder)
        assert command.process.poll() is None
    finally:
        subprocess.run(["kill", "-CONT", child], check=True)
    assert second.returncode == 1
    assert "ERROR: another run works in this folder (process " in second.stderr
    assert not (folder / "polymlp.yaml").exists()


def test_lock_of_a_dead_run_is_taken(tmp_path):
    (tmp_path / ".phono3py-mlp.lock").write_text("999999 on elsewhere\n")
    lock = FolderLock(tmp_path)
    with pytest.raises(FolderInUse, match="Wait for it, or run in another folder"):
        FolderLock(tmp_path)
    lock.release()
    assert names(tmp_path) == []


def whole(path):
    """Read a file to its end; raises where it is not complete."""
    if path.suffix == ".hdf5":
        with h5py.File(path) as file:
            return {key: file[key][()] for key in file}
    if path.suffix == ".yaml":
        content = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
        assert isinstance(content, dict)
        return content
    assert path.suffix == ".bak"
    return whole_backup(path)


def whole_backup(path):
    copy = path.with_name("copy-" + path.name.removesuffix(".bak"))
    shutil.copy(path, copy)
    content = whole(copy)
    copy.unlink()
    return content


# The potential has 9 kB, the evaluations 45 kB, fc3.hdf5 106 kB.
@pytest.mark.slow
@pytest.mark.parametrize(
    "limit",
    [
        1_000,
        10_000,
        50_000,
    ],
)
def test_full_disk_is_told_and_no_file_is_cut(start, folder, limit, run):
    command = start(
        SMALL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    code, error = command.finish()
    assert code == 1, error
    assert len(error.splitlines()) == 1
    assert error.startswith("ERROR: ")
    assert "File too large. The limit of file sizes (ulimit -f) is too low." in error
    for path in folder.iterdir():
        assert not path.name.startswith(".phono3py-mlp-")
        whole(path)
    again = run(SMALL, folder)
    assert again.returncode == 0, again.stderr


def test_old_force_constants_survive_a_full_disk(start, folder, finished):
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    old = {name: (folder / name).read_bytes() for name in ("fc2.hdf5", "fc3.hdf5")}
    command = start(
        [*SMALL, "--amplitude", "0.02"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    code, error = command.finish()
    assert code == 1
    assert "fc3.hdf5: File too large" in error
    for name, content in old.items():
        assert (folder / name).read_bytes() == content


def test_unfinished_files_of_dead_processes_are_swept(tmp_path):
    gone = subprocess.run(["true"], check=True, capture_output=True)
    assert gone.returncode == 0
    (tmp_path / ".phono3py-mlp-4194303999-x").mkdir()
    (tmp_path / ".phono3py-mlp-1-x").mkdir()
    remove_unfinished(tmp_path)
    assert names(tmp_path) == [".phono3py-mlp-1-x"]


def test_process_that_nobody_waited_for_does_not_live():
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running(process.pid)
    process.wait()
    assert is_running(os.getpid())
