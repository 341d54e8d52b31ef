"""A forked child ends, prints and writes as a process of its own does."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from conftest import TIMEOUT
from fork_server import AVAILABLE, SCRIPTS
from small_model import MODEL

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.skipif(not AVAILABLE, reason="commands are not forked here"),
]


@pytest.fixture
def server(fork_server):
    found = fork_server(False)
    if found is None:
        pytest.skip("asked not to fork, or an environment of its own")
    return found


WAYS_TO_END = {
    "quietly": "",
    "exit code": "import sys; print('x'); sys.exit(3)",
    "exit code beyond a byte": "raise SystemExit(256 + 7)",
    "exit by a message": "import sys; sys.exit('ERROR: enough')",
    "exit by an object": "raise SystemExit((1, 2))",
    "exception": "print('before'); 1 / 0",
    "exception told by a hook": (
        "import sys\n"
        "sys.excepthook = lambda *e: print('ERROR:', e[1], file=sys.stderr)\n"
        "raise ValueError('wrong')"
    ),
    "hook that fails": "import sys\nsys.excepthook = 1\nraise ValueError('wrong')",
    "interruption": "raise KeyboardInterrupt",
    "at once": "import os; print('lost'); os._exit(4)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "terminated": "import os; os.kill(os.getpid(), 15)",
    "functions at exit": (
        "import atexit; atexit.register(print, 'last'); print('first'); exit(1)"
    ),
    "exit of a thread": (
        "import threading, time\nthreading.Timer(0.1, print, ['from a thread']).start()"
    ),
    "closed output": "import os; os.close(1); print('x')",
    "lines of all kinds": r"print('a\rb\r\nc', end='')",
    "order of both": "import sys; print(1); print(2, file=sys.stderr); print(3)",
    "much of both": (
        "import sys\n"
        "for k in range(3000):\n"
        "    print('x' * 99); print('y' * 99, file=sys.stderr)"
    ),
    "no input": "import sys; print(repr(sys.stdin.read()))",
    "what it is": (
        "import sys, os, __main__\n"
        "print(__name__, __file__, sys.argv, os.getcwd(), sys.path[0])\n"
        "print(vars(__main__) is globals(), __main__.__file__)"
    ),
    "environment": "import os; print(os.environ['ASKED'], os.getenv('NOT_ASKED'))",
    "signals": (
        "import signal\n"
        "print([signal.getsignal(n) for n in (2, 15, 1, 17, 13)])\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    ),
    "open files": "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:3])",
    "watched by its parent": (
        "import os, sys, time\n"
        "from phono3py_mlp_plugin.supervision import supervise\n"
        "supervise(lambda pid: print('cleaned'), lambda line: print(line))\n"
        # Where the signal meets it is not settled.
        "sys.excepthook = lambda *error: print(error[0].__name__)\n"
        "os.kill(os.getppid(), 15)\n"
        "time.sleep(60)"
    ),
}


def in_process(script, cwd):
    return subprocess.run(
        [sys.executable, script, "word"], cwd=cwd, capture_output=True, text=True
    )


def without_server(error, script):
    """Drop the frames of what ran the script, and the program's own path."""
    kept = re.sub(r'  File "\S*fork_server\.py".*\n(    .*\n)*', "", error)
    return kept.replace(str(script), "SCRIPT")


@pytest.mark.parametrize("way", WAYS_TO_END)
def test_ends_as_a_process_does(server, way, tmp_path, monkeypatch):
    monkeypatch.setenv("ASKED", "yes")
    script = tmp_path / "bin" / "program"
    script.parent.mkdir()
    script.write_text(WAYS_TO_END[way])
    expected = in_process(script, tmp_path)
    found = server.run([str(script), "word"], tmp_path, TIMEOUT)
    assert found.returncode == expected.returncode
    # Where a program lies is the first place that it imports from.
    assert found.stdout.replace(str(SCRIPTS), str(script.parent)) == expected.stdout
    error = without_server(found.stderr, script)
    assert error == without_server(expected.stderr, script)


def test_state_of_a_command_is_not_seen_by_the_next(server, tmp_path):
    script = tmp_path / "program"
    script.write_text(
        "import sys, os, phono3py\n"
        "print(hasattr(phono3py, 'spoilt'), 'SPOILT' in os.environ, sys.excepthook)\n"
        "phono3py.spoilt = os.environ['SPOILT'] = '1'; sys.excepthook = print"
    )
    first, second = (server.run([str(script)], tmp_path, TIMEOUT) for _ in range(2))
    assert first.stdout.startswith("False False")
    assert first.stdout == second.stdout


def test_commands_draw_different_random_numbers(server, tmp_path):
    script = tmp_path / "program"
    script.write_text(
        "import random, numpy; print(random.random(), numpy.random.rand())"
    )
    drawn = [
        server.run([str(script)], tmp_path, TIMEOUT).stdout.split() for _ in range(2)
    ]
    assert len({*drawn[0], *drawn[1]}) == 4


def test_command_that_takes_too_long_is_killed_with_its_children(server, tmp_path):
    script = tmp_path / "program"
    script.write_text(
        "import os, time\n"
        "os.fork()\n"
        "open(str(os.getpid()), 'w').close()\n"
        "time.sleep(600)"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        server.run([str(script)], tmp_path, timeout=2)
    script.unlink()
    processes = [int(path.name) for path in tmp_path.iterdir()]
    assert len(processes) == 2
    for process in processes:
        wait_for_the_end_of(process)
    script.write_text("print('the next one runs')")
    assert server.run([str(script)], tmp_path, TIMEOUT).stdout.startswith("the next")


def wait_for_the_end_of(process):
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        try:
            os.kill(process, signal.SIG_DFL)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {process} is still there")


def test_what_is_read_at_the_start_needs_a_process(fork_server, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert fork_server(False) is None


PARAMS = "phono3py_params.yaml"
TRAINED = ["--mlp-params", f"{MODEL}, ntrain=20, ntest=20"]
SETUP = ["-d", "--dim", "1", "1", "1", "-c", PARAMS]
COMMANDS = {
    "training to kappa": [
        *("phono3py-load", PARAMS, "--pypolymlp", "--rd", "8", "--random-seed", "1"),
        *(*TRAINED, "--mesh", "3", "3", "3", "--br", "--ts", "300"),
    ],
    "systematic displacements": [
        "phono3py-load",
        PARAMS,
        "--pypolymlp",
        "-d",
        *TRAINED,
    ],
    "host alone": ["phono3py-load", PARAMS, "--symfc", "--fc-calc-opt", "cutoff = 4"],
    "setup of another command": [
        "phono3py",
        "-d",
        "--dim",
        "2",
        "2",
        "2",
        "-c",
        PARAMS,
    ],
    "init": ["phono3py-init", "-d", "--dim", "2", "2", "2", "-c", PARAMS],
    "refused parameter": [
        *("phono3py-load", PARAMS, "--pypolymlp", "--mlp-params", "cutof = 3"),
    ],
    "refused option": ["phono3py-load", PARAMS, "--no-such-option"],
    "missing file": ["phono3py-load", "nothing.yaml", "--pypolymlp"],
    "help": ["phono3py-load", "--help"],
    "plugins": ["phono3py-mlp", "plugins"],
    "doctor": ["phono3py-mlp", "doctor"],
    "unknown command": ["phono3py-mlp", "plugin"],
}


def masked(text):
    """Leave out dates, times and durations."""
    text = re.sub(
        r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?", "DATE", text
    )
    return re.sub(r"\d+(\.\d+)? (s|ms|min)\b", "TIME", text)


def contents(folder):
    """All that the files hold, arrays bit for bit."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".hdf5":
            with h5py.File(path) as file:
                found[path.name] = {key: np.array(file[key]).tolist() for key in file}
        else:
            found[path.name] = masked(path.read_text())
    return found


FAST = ("help", "refused parameter", "missing file")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow])
        for name in COMMANDS
    ],
)
def test_command_does_what_it_does_as_a_process(
    name, server, run_process, analytic_params, tmp_path
):
    done, found = [], []
    for way in ("process", "forked"):
        folder = tmp_path / way / "run"
        folder.mkdir(parents=True)
        shutil.copy(analytic_params, folder / PARAMS)
        program, *options = COMMANDS[name]
        if way == "process":
            done.append(run_process([program, *options], folder))
        else:
            words = [str(SCRIPTS / program), *options]
            done.append(server.run(words, folder, TIMEOUT))
        found.append(contents(folder))
    assert done[1].returncode == done[0].returncode
    outputs = [
        [masked(text).replace(str(tmp_path / way), "") for text in (d.stdout, d.stderr)]
        for way, d in zip(("process", "forked"), done, strict=True)
    ]
    assert outputs[1] == outputs[0]
    assert found[1] == found[0]
