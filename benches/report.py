"""A result file that is measured part by part: what the scripts beside this one share."""

import json
import os
import platform
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def driver(package, name, *flags):
    """Builds a program under a crate's `benches/` and returns its path, whose name has a hash."""
    build = ["cargo", "bench", "--quiet", "--no-run", "--message-format", "json", "--package", package,
             "--bench", name, *flags]
    out = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    messages = (json.loads(line) for line in out.stdout.splitlines() if line.startswith("{"))
    return next(m["executable"] for m in messages
                if m.get("executable") and m["target"]["name"] == name)


def save(results, part, section, command, unit, versions, bars):
    """Puts a part that was measured now beside the others, and judges every bar by what is there.

    A bar is named `PART.RATIO`; a ratio whose name ends in `_below` may be its bar at most."""
    report = json.loads(results.read_text()) if results.exists() else {"parts": {}}
    section["machine"] = {"processor": processor(), "cores": os.cpu_count(), "load_after": os.getloadavg()[0]}
    report["parts"][part] = section
    report |= {"command": command, "unit": unit, "versions": versions, "bars": bars, "passed": {}}
    for name, bar in bars.items():
        part_name, _, value = name.partition(".")
        found = report["parts"].get(part_name, {}).get("ratios", {}).get(value)
        if found is not None:
            report["passed"][name] = found <= bar if value.endswith("_below") else found >= bar
    results.write_text(json.dumps(report, indent=2) + "\n")
    print(part, json.dumps(section, indent=2), json.dumps(report["passed"], indent=2), flush=True)


def flags():
    """What the processor says it has."""
    return set(of_processor("flags").split())


def of_processor(key):
    """What Linux says of the first processor; empty elsewhere."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


QUIET = 0.5
"""The largest load at its start with which a record is kept."""

CLASSES = ["avx512_bf16", "avx512_vnni", "avx512f", "avx2"]
"""Classes of processors that have records of their own, the widest first."""


def class_of_processor(classes=CLASSES):
    return next((name for name in classes if name in flags()), platform.machine())


def wait_until_quiet(minutes=5):
    """Waits, as what was built just now still counts as load; returns the load in the end."""
    for _ in range(12 * minutes):
        if os.getloadavg()[0] <= QUIET:
            break
        time.sleep(5)
    return os.getloadavg()[0]


def processor():
    return of_processor("model name") or platform.machine()
