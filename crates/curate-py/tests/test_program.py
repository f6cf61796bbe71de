"""The command `curate` that comes with the wheel."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT


def command(*words, **how):
    return subprocess.run(
        [sys.executable, "-m", "curate", *map(str, words)],
        capture_output=True, text=True, timeout=300, **how,
    )


def test_it_is_the_program(program, tmp_path):
    ours = command("run", ROOT / "demo/recipe.toml", "--out", tmp_path / "ours")
    assert ours.returncode == 0, ours.stderr
    assert ours.stderr == ""
    program("run", ROOT / "demo/recipe.toml", "--out", tmp_path / "other")
    for name in ["subset.npy", "evidence.parquet"]:
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_its_help_and_its_errors_are_the_programs(program, tmp_path):
    assert command("inspect", "--help").stdout == program("inspect", "--help")
    missing = command("inspect", tmp_path / "none")
    assert missing.returncode == 1 and "does not exist" in missing.stderr
    assert command("inspect").returncode == 2
    installed = os.path.join(os.path.dirname(sys.executable), "curate")
    if os.path.exists(installed):
        said = subprocess.run([installed, "--version"], capture_output=True, text=True).stdout
        assert said.startswith("curate ")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_ctrl_c_ends_it_with_its_code_and_says_what_is_kept(tmp_path):
    rows = np.random.default_rng(0).normal(size=(60_000, 64)).astype("f4")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.save(tmp_path / "rows.npy", rows)
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        '[pool]\npath = "rows.npy"\n[[stage]]\nkind = "semantic-dedup"\nembedding = "embedding"\n'
        "clusters = 2000\nk-means = { iterations = 500, tolerance = 0 }\n"
    )
    words = [sys.executable, "-m", "curate", "run", recipe, "--out", tmp_path / "out", "--progress", "json"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stderr:
            if "k-means pass" in line:
                break
        sent = time.monotonic()
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
    assert running.returncode == 130 and time.monotonic() - sent < 5
    assert "interrupted; what was finished is kept" in rest
