"""Nothing is copied: memory grows by what methods hold, not by the array."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, re, sys
import numpy as np, curate

def memory(name):
    with open("/proc/self/status") as status:
        return int(re.search(name + r":\\s+(\\d+) kB", status.read())[1]) / 1024

X = np.random.default_rng(0).random((60_000, 512), dtype=np.float32)
if sys.argv[1] == "float16":
    X = X.astype(np.float16)
if sys.argv[1] == "fortran":
    X = np.asfortranarray(X)
curate.kmeans(X[:2000], 4, iterations=1, norm="any")  # starts threads
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")  # forgets the peak
before = memory("VmRSS")
curate.SemanticDedup(epsilon=0.1, clusters=100, iterations=1).run(X, norm="any")
print(json.dumps({"array": X.nbytes / 2**20, "grown": memory("VmHWM") - before}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a peak since a moment")
@pytest.mark.parametrize("kind", ["float32", "float16", "fortran"])
def test_an_array_is_not_copied(kind):
    command = [sys.executable, "-c", SCRIPT, kind]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # A copy in float32 would be 117 MiB.
    assert told["array"] > 55 and 0 < told["grown"] < 64, told
