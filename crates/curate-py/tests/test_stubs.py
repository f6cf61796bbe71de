"""The stubs and the documentation say what the module has."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import curate
import pytest
from conftest import ROOT
from curate import _curate

PACKAGE = Path(curate.__file__).parent
STUB = ast.parse((PACKAGE / "_curate.pyi").read_text())


def parameters(function):
    """Names and kinds of a stub's parameters, without self."""
    given = function.args
    names = [(a.arg, "positional") for a in [*given.posonlyargs, *given.args]]
    names += [(given.vararg.arg, "several")] if given.vararg else []
    names += [(a.arg, "keyword") for a in given.kwonlyargs]
    return [name for name in names if name[0] not in ("self", "cls")]


def signature(function):
    """The same of what the module has."""
    kinds = {
        inspect.Parameter.POSITIONAL_ONLY: "positional",
        inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional",
        inspect.Parameter.VAR_POSITIONAL: "several",
        inspect.Parameter.KEYWORD_ONLY: "keyword",
    }
    found = inspect.signature(function).parameters.values()
    return [(p.name, kinds[p.kind]) for p in found if p.name not in ("self", "cls", "slf")]


def members(tree):
    return {node.name: node for node in tree.body if hasattr(node, "name")}


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_the_stub_has_the_modules_names():
    assert public(members(STUB)) == public(dir(_curate))
    assert public([*curate.__all__, *curate.tasks.__all__]) >= public(dir(_curate))


@pytest.mark.parametrize("name", sorted(public(dir(_curate))))
def test_the_stub_has_the_modules_signatures(name):
    found, told = getattr(_curate, name), members(STUB)[name]
    if not inspect.isclass(found):
        assert parameters(told) == signature(found)
        return
    stubs = members(told)
    assert public(stubs) == public(vars(found))
    for method in public(stubs):
        if callable(getattr(found, method)):
            assert parameters(stubs[method]) == signature(getattr(found, method)), method
    if "__new__" in stubs:
        assert parameters(stubs["__new__"]) == signature(found)


def names():
    """Everything public, by its name in `curate` or one of its modules."""
    for module in (curate, curate.tasks):
        yield from ((name, getattr(module, name)) for name in module.__all__)


def documented():
    for name, found in names():
        yield name, found
        if inspect.isclass(found) and not issubclass(found, Exception):
            for member in public(vars(found)):
                yield f"{name}.{member}", vars(found)[member]


def test_everything_public_is_documented():
    assert [name for name, found in documented() if not inspect.getdoc(found)] == []


def test_examples_in_docstrings_hold(monkeypatch, tmp_path):
    import doctest

    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    examples = finder.find(curate, "curate")
    for name, found in names():
        examples += finder.find(found, name, module=False, globs={})
    assert sum(len(test.examples) for test in examples) >= 10
    for test in examples:
        runner.run(test)
    assert runner.failures == 0


def test_types_hold_strictly(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(
        """
import curate
import numpy as np

X = np.zeros((3, 2), np.float32)
result = curate.SemanticDedup(epsilon=0.1).run(X, progress=True)
rows: int = len(result.rethreshold(0.2))
ratio: float = result.duplicate_ratio
curate.kmeans(X, 2).labels.tolist()
curate.select([1.0], count=1).evidence.to_dict()
curate.KMeans(2).fit(X).labels_
"""
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache"]
    for path in (tmp_path / "user.py", ROOT / "crates/curate-py/python/curate"):
        done = subprocess.run([*command, path], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout
