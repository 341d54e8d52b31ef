"""Processes that are stopped, end in the middle, or have nobody to talk to."""

import errno
import os
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
from phonopy.structure.atoms import PhonopyAtoms

from conftest import SCRIPTS
from phono3py_mlp_plugin.convergence import (
    describe_saved_study,
    read_convergence,
    write_convergence,
)
from phono3py_mlp_plugin.errors import ParameterError
from phono3py_mlp_plugin.files import (
    read_uncertainty,
)
from phono3py_mlp_plugin.host import boundary
from phono3py_mlp_plugin.host.boundary import TRACEBACK, run_to_end
from phono3py_mlp_plugin.host.reasons import reason
from phono3py_mlp_plugin.host.streams import OutputLost, Stream
from phono3py_mlp_plugin.isolation import isolated
from phono3py_mlp_plugin.parallel import ChunkStore
from phono3py_mlp_plugin.supervision import Stopped

# A run without the host: it says that it has begun, does something, sends word.
RUN = """
import os, signal, sys, time
from phono3py_mlp_plugin.host.boundary import run_to_end
from phono3py_mlp_plugin.supervision import current_activity, supervise

def work():
    def tell(line):
        print(line, file=sys.stderr)

    supervise(lambda process: print("cleaned"), tell)
    print("begun", os.getpid(), flush=True)
    {body}
    return 0

sys.exit(run_to_end(work))
"""


class Begun:
    """A run that has begun, and the number of its child."""

    def __init__(self, body, **options):
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN.format(body=body)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A buffer would keep what follows the first line from `communicate`.
            bufsize=0,
            **options,
        )
        word, child = self.process.stdout.readline().split()
        assert word == b"begun"
        self.child = int(child)

    def finish(self):
        output, error = (pipe.decode() for pipe in self.process.communicate(timeout=60))
        return self.process.returncode, error.strip(), output.split()


# The host's end, its lines still in the buffer of a standard output that is full.
LOST = """
import os, sys
from phono3py_mlp_plugin.host.boundary import run_to_end
space = {"__name__": "phono3py.cui.phono3py_script"}
exec("def end(): raise SystemExit(0)", space)

def work():
    print("kappa")
    space["end"]()

full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 1)
sys.exit(run_to_end(work))
"""

SLEEPS = "time.sleep(60)"

ENDING = [
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGXCPU,
    signal.SIGPROF,
    signal.SIGABRT,
]


@pytest.mark.parametrize("number", ENDING)
def test_signal_that_ends_a_process_is_told_by_its_name(number):
    # The tests may have been started with nohup, which is inherited.
    run = Begun(SLEEPS, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    run.process.send_signal(number)
    code, error, _ = run.finish()
    assert code == 128 + number
    assert error.startswith(f"Stopped by {number.name}. What is finished is kept")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signal_that_the_child_alone_gets_is_told_by_its_name(number):
    run = Begun(SLEEPS)
    os.kill(run.child, number)
    code, error, _ = run.finish()
    assert code == 128 + number
    assert error.startswith(f"Stopped by {number.name}. ")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_signal_that_is_ignored_before_stays_so(number):
    # The child goes on when it gets another signal that it waits for.
    run = Begun(
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]);"
        "print('waits', flush=True); signal.sigwait([signal.SIGUSR2])",
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    )
    assert run.process.stdout.readline() == b"waits\n"
    run.process.send_signal(number)
    os.kill(run.child, number)
    os.kill(run.child, signal.SIGUSR2)
    assert run.finish() == (0, "", [])


@pytest.mark.parametrize(
    "inherited",
    [
        lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]),
    ],
    ids=["ends of children ignored", "signal blocked"],
)
def test_signals_as_they_are_inherited_do_not_hide_the_end(inherited):
    run = Begun(SLEEPS, preexec_fn=inherited)
    run.process.send_signal(signal.SIGTERM)
    assert run.finish()[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("os._exit(0)", 1, "ended with exit code 0 before the run was finished"),
        ("os._exit(7)", 7, "ended with exit code 7 before the run was finished"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            137,
            "was ended by SIGKILL from outside. Was the memory exhausted?",
        ),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 139, "the run crashed by SIGSEGV."),
    ],
)
def test_end_without_a_word_is_a_failure_of_what_was_done(body, code, message):
    run = Begun(f"exec('with current_activity(\"solver x failed\"): {body}')")
    found, error, output = run.finish()
    assert found == code
    assert error.startswith("ERROR: ")
    assert message in error
    assert error.endswith(" (solver x failed)")
    assert len(error.splitlines()) == 1
    assert output == ["cleaned"]


def test_word_counts_although_a_library_fails_when_the_process_ends():
    run = Begun("import atexit; atexit.register(os._exit, 3)")
    assert run.finish()[:2] == (0, "")


def test_regular_end_of_the_host_whose_output_is_lost_is_a_failure():
    done = subprocess.run(
        [sys.executable, "-c", LOST],
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: standard output: No space left on device.")
    assert len(done.stderr.splitlines()) == 1


def test_exit_by_code_of_others_is_a_failure():
    run = Begun("exec('sys.exit(0)', {'sys': sys, '__name__': 'plugin'})")
    code, error, _ = run.finish()
    assert code == 1
    assert error.startswith("ERROR: sys.exit(0) was called in plugin. ")


ELSEWHERE = """
import os, signal, sys
sys.modules.update(fcntl=None, resource=None)
del os.sched_getaffinity, os.sysconf
for name in ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU"):
    delattr(signal, name)
for name in ("pthread_sigmask", "sigtimedwait", "sigwait"):
    delattr(signal, name)
import phono3py
from pathlib import Path
from phono3py_mlp_plugin.cli import main
from phono3py_mlp_plugin.files import FolderLock, remove_dead_lock
from phono3py_mlp_plugin.host.bindings import is_bound
from phono3py_mlp_plugin.polynomial import memory
from phono3py_mlp_plugin import threads
assert is_bound()
memory._MEMINFO = Path("none")
memory._OWN_GROUPS = Path("none")
assert memory.available_memory() == sys.maxsize
assert threads._cores() == os.cpu_count()
FolderLock(Path()).release()
remove_dead_lock(Path())
assert not list(Path().glob(".phono3py*"))
sys.platform = "darwin"
from phono3py_mlp_plugin.host.command import work_in_folder
def work():
    work_in_folder(Path())
    os.kill(os.getpid(), signal.SIGTERM)
from phono3py_mlp_plugin.host.boundary import run_to_end
sys.exit(run_to_end(work))
"""


def test_systems_without_our_locks_limits_and_signals_run_the_same(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == (
        "Stopped by SIGTERM. What is finished is kept: run the same again.\n"
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())


# What a shell does to the streams of a command; its exit code then.
NOBODY = [
    (">&-", 0),
    ("2>&-", 0),
    ("<&- >&- 2>&-", 0),
    (">/dev/full", 1),
    ("2>/dev/full", 0),
    ("| true", 141),
]


@pytest.mark.parametrize(("streams", "expected"), NOBODY)
def test_streams_that_lead_nowhere_are_no_traceback(streams, expected):
    words = f"{SCRIPTS / 'phono3py-mlp'} plugins"
    done = subprocess.run(
        ["bash", "-c", f"sleep 0.1; {words} {streams}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == expected
    told = "ERROR: standard output: No space left on device. Free space on the disk"
    assert done.stderr.startswith(told if "full" in streams and expected else "")
    assert len(done.stderr.splitlines()) == ("full" in streams and expected)


@pytest.mark.parametrize(
    ("streams", "code", "buffered"),
    [
        (">&-", 1, ""),
        ("2>&-", 1, ""),
        (">/dev/full", 1, ""),
        (">/dev/full", 1, "1"),
        ("| true", 141, "1"),
    ],
)
def test_streams_that_lead_nowhere_leave_no_file(
    streams, code, buffered, small_params, tmp_path
):
    words = f"{SCRIPTS / 'phono3py-load'} {small_params} --pypolymlp --br"
    done = subprocess.run(
        ["bash", "-c", f"{words} {streams}; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == (0 if streams in ("2>&-", "| true") else 1)
    assert not list(tmp_path.iterdir())


class Full:
    """A file on a full disk."""

    closed = False

    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    flush = close = write


@pytest.fixture
def descriptor(tmp_path):
    number = os.open(tmp_path / "stream", os.O_CREAT | os.O_WRONLY)
    yield number
    os.close(number)


def test_output_that_cannot_be_written_stops_a_run_once(descriptor):
    stream = Stream(Full(), descriptor, is_result=True)
    with pytest.raises(OutputLost, match="standard output: No space left on device"):
        stream.write("kappa")
    stream.write("more")
    assert stream.printed == "kappamore"


def test_message_that_cannot_be_written_stops_nothing(descriptor):
    stream = Stream(Full(), descriptor, is_result=False)
    stream.write("a warning")
    assert stream.failure.errno == errno.ENOSPC


def raises(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ParameterError("--rd = 0; expected 1."), 1, "ERROR: --rd = 0; expected 1."),
        (Stopped(signal.SIGUSR1), 138, "Stopped by SIGUSR1. What is finished is kept"),
        (KeyboardInterrupt(), 130, ""),
        (
            OSError(errno.EACCES, "", "fc3.hdf5"),
            1,
            "ERROR: fc3.hdf5: Permission denied.",
        ),
        (MemoryError("1 GB"), 1, "ERROR: the memory does not suffice (1 GB)."),
        (SystemExit("ERROR: not active"), 1, "ERROR: not active"),
        (
            SystemExit(0),
            1,
            f"ERROR: sys.exit(0) was called in {__name__}. A plugin or library has",
        ),
    ],
)
def test_error_of_a_user_is_one_line(error, code, line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_to_end(raises(error)) == code
    told = capsys.readouterr().err
    assert told.startswith(line)
    assert len(told.splitlines()) == bool(line)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error", [KeyError("factor"), IndexError("9 of 3"), AssertionError(), ValueError()]
)
def test_error_of_ours_is_one_line_and_a_traceback_in_a_file(
    error, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run_to_end(raises(error)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ERROR: {type(error).__name__}")
    assert f"(unexpected, in {__name__}: a bug there, in phono3py-mlp-" in line
    assert line.endswith(f'The traceback is in "{TRACEBACK}": please report it.')
    text = (tmp_path / TRACEBACK).read_text()
    assert "raise error" in text
    assert "phono3py-mlp-plugin: " in text


def test_traceback_is_shown_to_who_asks_for_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_to_end(raises(KeyError("factor")), verbose=True)
    told = capsys.readouterr().err
    assert "Traceback (most recent call last)" in told
    assert told.splitlines()[-1].startswith("ERROR: KeyError: 'factor'")


def test_traceback_is_written_elsewhere_where_the_folder_cannot_be_written(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    # Root may write anywhere: a folder of that name stands in the way instead.
    (tmp_path / TRACEBACK / "x").mkdir(parents=True)
    monkeypatch.setattr(boundary.tempfile, "gettempdir", lambda: str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    run_to_end(raises(KeyError("factor")))
    assert f'The traceback is in "{tmp_path / "t" / TRACEBACK}"' in (
        capsys.readouterr().err
    )


def exit_of(function):
    """Return the SystemExit raised in a function of this name."""
    space = {}
    exec(f"def {function}():\n    raise SystemExit(1)", space)
    try:
        space[function]()
    except SystemExit as error:
        return error


@pytest.fixture
def banner(capsys):
    """What the host shows where it has failed."""
    from phonopy.cui.phonopy_script import print_error

    print_error()
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("NAC\n\nMesh numbers have to be\nspecified.\n\n", "Mesh numbers have to be"),
        ("--- Force constants ---\nfc3 could not be obtained.\n", "fc3 could not be"),
        ("".join(f"line {n}\n" for n in range(9)) + "The reason.\n", "The reason."),
    ],
)
def test_reason_of_the_host_is_what_it_printed_last(banner, printed, expected):
    found = reason(exit_of("main"), printed + banner)
    assert found.startswith(expected)
    assert "___" not in found


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("_check_supercell_in_yaml", "the supercell in the input file is not the one"),
        ("run", "phono3py ended in run with exit code 1. Run without --quiet"),
    ],
)
def test_quiet_end_of_the_host_is_told_too(banner, function, expected):
    assert reason(exit_of(function), banner).startswith(expected)


def test_state_of_the_process_survives_code_of_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mask, errors = os.umask(0o022), np.geterr()
    drawn = np.random.get_state()[1].copy()
    output = sys.stdout
    with isolated() as changes:
        os.chdir(os.sep)
        os.umask(0o777)
        np.seterr(all="ignore")
        np.random.seed(1)
        sys.stdout = None
    assert changes.directory == os.sep
    assert Path.cwd() == tmp_path
    assert os.umask(mask) == 0o022
    assert np.geterr() == errors
    assert np.array_equal(np.random.get_state()[1], drawn)
    assert sys.stdout is output


def test_folder_that_code_of_others_removed_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    with isolated() as changes:
        os.chdir("gone")
        (tmp_path / "gone").rmdir()
    assert changes.directory == "a folder that no longer exists"
    assert Path.cwd() == tmp_path


NESTED = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "content", [NESTED, f'{{"format_version": 1, "points": {NESTED}}}', "[]", "1"]
)
def test_json_nested_without_end_is_a_damaged_file(content, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(content)
    assert read_convergence(path) == []
    assert read_uncertainty(path) == []


def test_study_that_is_stopped_says_what_it_keeps(tmp_path):
    path = tmp_path / "phono3py_mlp_convergence.json"
    write_convergence(path, [{"key": "a"}], {})
    assert describe_saved_study(tmp_path) == "1 point is kept"
    store = ChunkStore(tmp_path, "kappa")
    for number in range(3):
        store.add(str(number), {"kappa": np.zeros((1, 6))})
    store.write()
    assert (
        describe_saved_study(tmp_path)
        == "1 point and 3 members of unfinished points are kept"
    )


def test_limit_of_blas_survives_calls_that_overlap():
    from threadpoolctl import threadpool_info, threadpool_limits

    from phono3py_mlp_plugin.threads import default_threads, threads

    def of_blas():
        return {
            pool["num_threads"]
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        }

    first_is_in, second_is_in = threading.Event(), threading.Event()
    asked = []

    def first():
        with threads(1):
            first_is_in.set()
            second_is_in.wait(30)

    def second():
        first_is_in.wait(30)
        asked.append(default_threads())
        with threads(1):
            second_is_in.set()
            thread.join(30)
            asked.append(of_blas())

    with threadpool_limits({"blas": 2, "openmp": 1}):
        thread = threading.Thread(target=first)
        other = threading.Thread(target=second)
        thread.start(), other.start()
        other.join(60)
        # As many as without the first call; one while the second goes on.
        assert asked == [2, {1}]
        assert of_blas() == {2}


def settings(**given):
    from phono3py.cui.settings import Phono3pySettings

    found = Phono3pySettings(load_phono3py_yaml=True)
    for name, value in given.items():
        assert hasattr(found, name)
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"is_bterta": True, "is_lbte": True}, "--br and --lbte: give one"),
        ({"read_phonon": True, "write_phonon": True}, "--read-phonon and --write-"),
        ({"temperatures": [300, -5]}, "--ts = -5; expected a number that is not neg"),
        ({"temperatures": [np.nan]}, "--ts = nan; expected"),
        ({"min_temperature": 300, "max_temperature": 100}, "--tmax = 100; expected"),
        ({"temperature_step": 0}, "--tstep = 0; expected a positive number"),
        ({"sigma": [0.1, -1]}, "--sigma = -1; expected a positive number"),
        ({"boundary_mfp": 0.0}, "--bmfp = 0.0; expected a positive number"),
        ({"mass_variances": [-1e-4]}, "--mass-variances = -0.0001; expected"),
        ({"nac_method": "foo"}, "--nac-method = foo; expected gonze or wang"),
        ({"transport_type": "foo"}, "--transport-type = foo; expected one of ibdb19,"),
        (
            {"transport_type": "njc32", "is_lbte": True},
            "--transport-type = njc32; expected one of ibdb19, njc23, smm19, std. Did "
            "you mean 'njc23'?",
        ),
        ({"is_gruneisen": True}, "--gruneisen: needs --mesh, --band or --qpoints"),
        ({"symfc_memory_size": -1.0}, "--symfc-memsize = -1.0; expected"),
        (
            {"symfc_memory_size": 1.0, "cutoff_pair_distance": 4.0},
            "--symfc-memsize and --cutoff-pair: both set the cutoff",
        ),
        (
            {"rd_number_estimation_factor": 2.0, "random_displacements": 8},
            "--rd-auto-factor = 2: is for --rd auto",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_before_the_work(given, message):
    from phono3py_mlp_plugin.host.preflight import check_settings

    with pytest.raises(ParameterError) as caught:
        check_settings(settings(**given))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"is_bterta": True, "temperatures": [0.0, 300.0], "sigma": 0.1},
        {"is_lbte": True, "min_temperature": 300, "max_temperature": 300},
        {"is_gruneisen": True, "mesh_numbers": [3, 3, 3], "nac_method": "wang"},
        {"random_displacements": "auto", "rd_number_estimation_factor": 2.0},
        {"symfc_memory_size": 1.0, "random_displacements": 8},
        {"transport_type": "SMM19", "is_bterta": True},
        {"transport_type": "njc23", "is_lbte": True},
    ],
)
def test_settings_of_users_pass(given):
    from phono3py_mlp_plugin.host.preflight import check_settings

    check_settings(settings(**given))


@pytest.fixture(scope="module")
def crystal(nacl_params):
    import phono3py

    return phono3py.load(nacl_params, produce_fc=False, log_level=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"grid_points": [9999]}, "--gp = 9999; expected numbers from 0 to"),
        ({"grid_points": [-1]}, "--gp = -1; expected"),
        ({"band_indices": [np.array([98])]}, "--bi = 99; expected numbers from 1 to 6"),
        ({"mass_variances": [1e-4]}, "--mass-variances: 1 given; expected 2"),
    ],
)
def test_what_the_crystal_does_not_have_is_refused_before_the_work(
    crystal, given, message
):
    from phono3py_mlp_plugin.host.preflight import check_cell

    with pytest.raises(ParameterError) as caught:
        check_cell(crystal, settings(mesh_numbers=[3, 3, 3], **given))
    assert str(caught.value).startswith(message)


def test_isotopes_that_the_host_does_not_know_are_refused_before_the_work():
    from phono3py_mlp_plugin.host.preflight import check_cell

    cell = types.SimpleNamespace(
        phonon_primitive=PhonopyAtoms(
            symbols=["Na", "Pu"],
            cell=np.eye(3),
            scaled_positions=np.zeros((2, 3)),
            masses=[23, 244],
        )
    )
    with pytest.raises(ParameterError, match=r"--isotope: the isotopes of Pu are not"):
        check_cell(cell, settings(is_isotope=True))


def test_what_the_crystal_has_passes(crystal):
    from phono3py_mlp_plugin.host.preflight import check_cell

    check_cell(
        crystal,
        settings(
            mesh_numbers=[3, 3, 3],
            grid_points=[0, 26],
            band_indices=[np.array([0, 1, 2]), np.array([5])],
            is_isotope=True,
            mass_variances=[1e-4, 0.0],
        ),
    )


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["phono3py-mlp", "converge", "--foo"], "ERROR: "),
        (["phono3py-mlp", "kapa"], "ERROR: argument COMMAND: invalid choice: 'kapa'"),
        (
            ["phono3py-load", "x.yaml", "--pypolymlp", "--mesh"],
            "ERROR: argument --mesh: expected at least one argument. 'phono3py-load",
        ),
        (["phono3py-load", "--force-calculator=ase", "--foo"], "ERROR: unrecognized"),
    ],
)
def test_wrong_usage_is_one_line(words, start, run, tmp_path):
    done = run(words, tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(start)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--br", "-q"], "Mesh numbers have to be specified."),
        (["--ise", "--mesh", "3"], "Grid point(s) has to be specified."),
        (["--jdos", "--mesh", "3", "3", "3", "--gp", "999"], "--gp = 999; expected"),
        (["--br", "--mesh", "3", "3", "3", "--ts", "-5"], "--ts = -5.0; expected"),
    ],
)
def test_failure_of_the_host_is_one_line_before_the_work(
    options, message, run, small_params, tmp_path
):
    words = ["phono3py-load", str(small_params), "--pypolymlp", *options]
    done = run(words, tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ERROR: {message}")
    assert "Training" not in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_cell_that_does_not_fit_is_one_line(quiet, run, small_params, tmp_path):
    text = small_params.read_text()
    path = tmp_path / "phono3py_params.yaml"
    head, matrix, tail = text.partition("supercell_matrix:\n- [")
    rest = tail.partition("2")
    path.write_text(head + matrix + rest[0] + "1" + rest[2])
    done = run(["phono3py-load", path.name, "--pypolymlp", *quiet], tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("ERROR: ")
    assert "supercell" in line
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
