"""Work leaves the interpreter to others, tells progress, and ends at Ctrl-C."""

import os
import signal
import subprocess
import sys
import threading
import time

import curate
import numpy as np
import pytest
from conftest import unit

LONG = dict(iterations=100_000, tolerance=0, batch_rows=256)


class Enough(Exception):
    pass


def test_an_exception_of_the_listener_ends_the_work():
    heard = []

    def listener(*told):
        heard.append(told)
        if len(heard) == 3:
            raise Enough

    with pytest.raises(Enough):
        curate.kmeans(unit(50_000, 32), 100, progress=listener, **LONG)
    assert len(heard) == 3
    task, done, total, unit_name = heard[0]
    assert isinstance(task, str) and 0 <= done <= total and unit_name == "rows"


def test_other_threads_run_meanwhile():
    counted = 0
    stop = threading.Event()

    def count():
        nonlocal counted
        while not stop.is_set():
            counted += 1
            time.sleep(0.001)

    def listener(*_):
        if counted > 20:
            raise Enough

    other = threading.Thread(target=count)
    other.start()
    try:
        with pytest.raises(Enough):
            curate.kmeans(unit(50_000, 32), 100, progress=listener, **LONG)
    finally:
        stop.set()
        other.join()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent otherwise there")
def test_ctrl_c_ends_long_work():
    script = """
import curate, numpy as np
X = np.random.default_rng(0).normal(size=(50_000, 32)).astype("f4")
print("ready", flush=True)
try:
    curate.kmeans(X, 200, norm="any", iterations=100_000, tolerance=0, batch_rows=256)
except KeyboardInterrupt:
    print("stopped", X.flags.writeable, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=30)[0] == "stopped True\n"
    assert child.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no FIFOs there")
def test_ctrl_c_ends_a_call_that_reads(tmp_path):
    # A file that nobody writes, as of a disk that does not answer. Pools and subsets that are pipes are refused,
    # a run's own files are taken for what they are.
    os.mkfifo(tmp_path / "manifest.json")
    script = """
import os, signal, threading, time
import curate

def interrupt():
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
try:
    curate.explain(".", "f" * 32)
except KeyboardInterrupt:
    print("stopped")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("stopped\n", 0), done.stderr


def test_work_after_a_fork_has_threads_of_its_own():
    multiprocessing = pytest.importorskip("multiprocessing")
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("there is no fork here")
    X = unit(2000, 8)
    expected = curate.kmeans(X, 5).centroids
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply_async(_centroids, (X,)).get(timeout=60)
    assert np.array_equal(found, expected)


def _centroids(X):
    return curate.kmeans(X, 5).centroids


def test_bars_and_lines(capsys, monkeypatch):
    X = unit(5000, 8)
    curate.kmeans(X, 5, progress=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    curate.kmeans(X, 5, progress=True)
    assert "check vectors: 5000 of 5000 rows (100 %)" in capsys.readouterr().err
