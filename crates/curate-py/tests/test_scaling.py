import pickle

import curate
import numpy as np
import pytest


def runs():
    """The law's own numbers: three pools, 1 to 8 epochs."""
    table = {"pool": [], "samples": [], "unique": [], "error": []}
    for pool, b, tau in (("good", -0.30, 3.0), ("fair", -0.24, 5.0), ("poor", -0.18, 8.0)):
        for epochs in (1, 2, 4, 6, 8):
            error = 1.0
            for j in range(epochs):
                start = 4e6 if j == 0 else j * 1e7
                error *= ((j + 1) * 1e7 / start) ** (b * 0.5 ** (j / tau))
            table["pool"].append(pool)
            table["samples"].append(epochs * 1e7)
            table["unique"].append(1e7)
            table["error"].append(error + 0.1)
    return table


@pytest.fixture(scope="module")
def fit():
    return curate.fit_law(runs(), "qqt", draws=200, seed=1)


def test_parameters_are_found_again(fit):
    assert fit.law == "qqt" and fit.pools == ["good", "fair", "poor"]
    told = fit.parameters().to_dict()
    values = dict(zip(told["parameter"], told["value"]))
    assert values["b[good]"] == pytest.approx(-0.30, abs=1e-3)
    assert values["half_life[poor]"] == pytest.approx(8, abs=0.1)
    assert all(low <= value <= high for low, value, high in zip(told["low"], told["value"], told["high"]))


def test_predictions_are_a_table_with_intervals(fit):
    table = fit.predict([4e7, 1e9], ["good", "good+fair"]).to_dict()
    assert table["candidate"] == ["good", "good", "good+fair", "good+fair"]
    observed = runs()["error"][2]
    assert table["metric"][0] == pytest.approx(observed, rel=1e-3)
    assert table["low"][0] <= table["metric"][0] <= table["high"][0]
    assert table["outside"][0] is None and "samples: 1B, the runs have 10M to 80M" in table["outside"][1]
    assert len(fit.predict(4e7)) == 3


def test_decisions(fit):
    small = fit.decide(1e7, ["good", "good+fair", "good+fair+poor"]).to_dict()
    assert small["candidate"][0] == "good" and small["multiplier"][0] == 1
    assert small["wins"][0] > 0.9 and sum(small["wins"]) == pytest.approx(1)
    switches = fit.switches(["good", "good+fair"], range=(1e7, 1e9)).to_dict()
    assert (switches["from"], switches["to"]) == (["good"], ["good+fair"])
    assert 1.5e7 < switches["samples"][0] < 3e7


def test_plots_and_files(fit, tmp_path, program):
    import json

    svg = fit.plot(tmp_path / "curves.svg", title="Three pools")
    assert svg == (tmp_path / "curves.svg").read_text() and svg.startswith("<svg")
    assert fit._repr_svg_().startswith("<svg")
    fit.save(tmp_path / "fit.json")
    again = curate.LawFit.load(tmp_path / "fit.json")
    assert again.parameters().to_dict() == fit.parameters().to_dict()
    assert pickle.loads(pickle.dumps(fit)).decide(1e8).to_dict() == fit.decide(1e8).to_dict()
    told = json.loads(program("plan", "predict", tmp_path / "fit.json", "--samples", "4e7", "--json"))
    ours = fit.predict(4e7).to_dict()
    assert [row["metric"] for row in told["predictions"]] == ours["metric"]


def test_any_table_is_read(tmp_path):
    table = runs()
    wanted = curate.fit_law(table, "power", draws=0).parameters().to_dict()
    rows = [dict(zip(table, row)) for row in zip(*table.values())]
    assert curate.fit_law(rows, "power", draws=0).parameters().to_dict() == wanted
    text = "\n".join([",".join(table)] + [",".join(map(repr, row)).replace("'", "") for row in zip(*table.values())])
    (tmp_path / "runs.csv").write_text(text)
    assert curate.fit_law(tmp_path / "runs.csv", "power", draws=0).parameters().to_dict() == wanted
    for module, make in (("pandas", "DataFrame"), ("polars", "DataFrame"), ("pyarrow", "table")):
        frame = getattr(pytest.importorskip(module), make)(table)
        assert curate.fit_law(frame, "power", draws=0).parameters().to_dict() == wanted, module
    renamed = {("seen" if name == "samples" else name): column for name, column in table.items()}
    found = curate.fit_law(renamed, "power", draws=0, columns={"samples": "seen"})
    assert found.parameters().to_dict() == wanted


def test_refusals_have_the_programs_text(fit):
    bad = runs()
    bad["error"][3] = 1.5
    with pytest.raises(curate.ScalingError, match="runs:4.*field `error`"):
        curate.fit_law(bad, "power")
    with pytest.raises(curate.ScalingError, match="there is no law `best`; use one of: power"):
        curate.fit_law(runs(), "best")
    with pytest.raises(curate.InputError, match="fit again with draws above 0"):
        curate.fit_law(runs(), "power", draws=0).decide(1e8)
    with pytest.raises(curate.ScalingError, match="no pool `bad`"):
        fit.predict(1e8, ["bad"])
    with pytest.raises((curate.ParamsError, curate.ScalingError), match="samples"):
        fit.predict(-1.0)
    assert "qqt" in curate.laws()


def test_a_law_is_chosen_by_what_it_predicts():
    fit = curate.fit_law(runs(), draws=0)
    assert fit.law == fit.tried[0]["law"] and len(fit.tried) > 1
    assert np.isfinite(fit.tried[0]["holdout"]["rmse"])
    assert "parameters" in fit.left_out["chinchilla"] and all(fit.left_out.values())
    several = curate.fit_law(runs(), draws=200)
    assert "%" in several.law and len(several.tried) > 1
    decided = several.decide(1e7).to_dict()
    assert decided["candidate"][0] == "good" and decided["tied"] == [False] * 3
    assert pickle.loads(pickle.dumps(several)).law == several.law
    with pytest.raises(curate.InputError, match="`samples`: 34 is further than a factor of 10,000"):
        several.decide(34)
