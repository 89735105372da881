"""`forecast backtest` as a user meets it: on the New York weather, and on a table of his own in the shared folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

PLAIN = ("tracker=none", "executor=serial", "backtest.history=400", "backtest.end=3400", "backtest.choose=3100")
SHORT = (*PLAIN, "backtest.test=3300", "task.horizon=2", "backtest.leads=[1,2]")


def test_the_chosen_model_stands_beside_persistence_in_every_table(forecast, tmp_path: Path) -> None:
    said = forecast("backtest", "model=climatology", "reducer=last", "reducer.rows=300", *SHORT)
    assert said.code == 0, said.err
    folder = tmp_path / "runs/default"
    text = (folder / "table.md").read_text()
    for variable in ("temperature", "wind_speed", "humidity"):
        assert f"**{variable}, horizon 2**" in text
        assert f"{variable}, horizon 2" in said.out
    table = pl.read_parquet(folder / "scores.parquet")
    assert set(table["label"]) == {"persistence", "climatology"}
    assert set(table["lead"]) == {0, 1, 2}
    assert table.filter(pl.col("lead") > 0)["n"].min() > 250, "three airports, nearly a hundred hours"
    costs = pl.read_parquet(folder / "costs.parquet")
    assert dict(costs.select("label", "rows").rows()) == {"persistence": 400, "climatology": 300}
    assert (folder / "error_by_lead_2.png").stat().st_size > 10_000
    assert "does not beat persistence: climatology" in (folder / "report.md").read_text()
    assert "does not beat persistence: climatology" in said.out


def test_the_parts_do_not_meet_and_a_second_run_fits_nothing(forecast, tmp_path: Path) -> None:
    for part in ("choose", "test", "test"):
        assert forecast("backtest", "model=persistence", "reducer=full", f"backtest.part={part}", *SHORT).code == 0
    folder = tmp_path / "runs/default/cells"
    assert len(list(folder.iterdir())) == 2, "persistence is the baseline already; one fit for each part"
    text = (tmp_path / "runs/default/table.md").read_text()
    assert "part `test`" in text


def test_a_model_that_fails_is_told_and_the_rest_is_done(forecast, tmp_path: Path) -> None:
    said = forecast("backtest", "model=seasonal_naive", "reducer=full", *SHORT)  # needs a day, the task gives 6 hours
    assert said.code == 4
    assert "1 of 2 fits failed, the others went on" in said.err
    assert "seasonal_naive, horizon 2: SchemaError" in said.err
    text = (tmp_path / "runs/default/table.md").read_text()
    assert "| persistence |" in text
    assert "Failed: seasonal_naive" in text
    again = forecast("backtest", "model=seasonal_naive", "reducer=full", "task.context=24", *SHORT)
    assert again.code == 0, again.err


def test_mlflow_has_a_child_for_each_model_and_curves_by_lead(forecast, tmp_path: Path) -> None:
    words = [w for w in SHORT if w != "tracker=none"]
    for _ in range(2):
        assert forecast("backtest", "model=climatology", "reducer=full", "fleet=bt", *words).code == 0
    from pipelines.trackers.mlflow import MlflowTracker

    tracker = MlflowTracker(tmp_path / "runs/mlflow", "bt")
    runs = tracker.runs()
    assert sorted(runs["nowcaster"]) == ["climatology", "persistence"], "what was logged is not logged again"
    assert runs["metrics.skill/temperature"].null_count() == 0
    assert (runs["metrics.fit_cpu_s"] >= 0).all()
    child = runs.filter(pl.col("nowcaster") == "climatology")["run_id"].item()
    curve = tracker.client.get_metric_history(child, "lead/mae/temperature")
    assert sorted(m.step for m in curve) == [1, 2]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("backtest.part=tset", "did you mean 'test'"),
        ("backtest.cutofs=2", "did you mean 'cutoffs'"),
        ("backtest.cutoffs=0", "backtest.cutoffs is 0: it must be a whole number of at least 1"),
        ("backtest.reference=persistance", "did you mean 'persistence'"),
        ("backtest.horizons=6", "backtest.horizons is 6: it must be a list of whole numbers, [6]"),
        ("backtest.leads=[0]", "backtest.leads"),
        ("backtest.standardise=perhaps", "must be true or false"),
        ("backtest.choose=2050-01-01", "must follow each other"),
        ("series=[JFX]", "did you mean 'JFK'"),
        ("+backtest.models={m:{_target_:os.system}}", "outside the allowed packages"),
        ("backtest.seeds=0", "backtest.seeds is 0: it must be a whole number of at least 1"),
        ("backtest.seeds=[1,2]", "backtest.seeds is [1, 2]: it must be a whole number"),
        ("backtest.pool=maybe", "backtest.pool is 'maybe': it must be true, false, or null"),
        ("backtest.policies=[never]", "backtest.policies is ['never']: it gives each label a spec"),
        ("+backtest.policies={p:{_target_:forecast.reduce.Full}}", "backtest.policies.p is no policy"),
        ("+backtest.policies={p:{_target_:forecast.policy.Every,perod:1h}}", "did you mean 'period'"),
        ("+backtest.only={persistence:[never]}", "chooses among backtest.policies, and there are none"),
        ("backtest.report.regimes={crash:soon}", "backtest.report.regimes.crash is 'soon', which is no time"),
        ("backtest.report.costs_bp=[5,-1]", "backtest.report.costs_bp is [5, -1]: it must be a list of basis points"),
        ("backtest.report.costs_bp=5", "backtest.report.costs_bp is 5: it must be a list"),
        ("backtest.report.weekdays=2", "backtest.report.weekdays is 2: it must be true or false"),
        ("backtest.report.trade=temprature", "did you mean 'temperature'"),
        ("backtest.report.references=[persistance]", "did you mean 'persistence'"),
        ("+backtest.report.weekday=true", "did you mean 'weekdays'"),
        ("backtest.report.costs_bp=[5]", "those of the rule of backtest.report.trade, and there is none"),
        ("backtest.report.regimes={a: 2013-10-01, b: 2013-10-01T00:00Z}", "begin at the same moment twice"),
        ("backtest.report.trade=temperature", "'temperature' has"),
    ],
)
def test_a_wrong_value_is_told_before_anything_is_fitted(forecast, tmp_path: Path, override: str, told: str) -> None:
    said = forecast("backtest", "model=persistence", "reducer=full", *SHORT, override)
    assert said.code == 2
    assert told in said.err
    assert "Traceback" not in said.err
    assert not list(tmp_path.rglob("cells/*"))


@pytest.mark.parametrize("name", ["site12", "nancy", "dtu", "etth1"])
def test_without_the_data_a_command_says_what_is_missing_and_where_it_is(forecast, monkeypatch, tmp_path, name) -> None:
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path / "nowhere"))
    said = forecast("backtest", f"+experiment={name}", "tracker=none")
    assert said.code == 2
    assert "set FORECAST_DATA to the folder that holds" in said.err
    assert "It comes from" in said.err
    assert "columns" in said.err


def test_predictions_as_issued_are_an_outlook(forecast, monkeypatch, tmp_path: Path) -> None:
    """A small table in the shape of the DTU building's: a prediction that is off by one errs by one."""
    hours, rng = 400, np.random.default_rng(0)
    truth = 10 + rng.normal(size=hours + 36).cumsum() * 0.5
    first = datetime(2010, 12, 15, 1, tzinfo=UTC)
    columns = {
        "time": [first + timedelta(hours=h) for h in range(hours)],
        "Taobs": truth[:hours],
        "Iobs": np.ones(hours),
    }
    for lead in range(1, 37):
        columns |= {f"Ta.k{lead}": truth[lead : lead + hours] + 1.0, f"I.k{lead}": np.ones(hours)}
    (tmp_path / "nwp").mkdir()
    pl.DataFrame(columns).write_parquet(tmp_path / "nwp/dtu_building_2010.parquet")
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path))
    said = forecast(
        "backtest", "+experiment=dtu", "~backtest.models.xgboost",
        "backtest.choose=200", "backtest.test=300", "tracker=none", "executor=serial",
    )  # fmt: skip
    assert said.code == 0, said.err
    table = pl.read_parquet(tmp_path / "runs/dtu/scores.parquet").filter(pl.col("label") == "nwp", pl.col("lead") > 0)
    np.testing.assert_allclose(table["mae"], np.ones(36), atol=1e-5)


POLICIES = ("+policy@backtest.policies.never=never", "+policy@backtest.policies.daily=every")


def test_only_and_train_are_told_beside_policies(forecast, tmp_path: Path) -> None:
    cases = {
        "+backtest.only={persistance:[never]}": "did you mean 'persistence'",
        "+backtest.only={persistence:[nevr]}": "did you mean 'never'",
        "+backtest.only={persistence:[]}": "give at least one of never, daily",
        "+backtest.only={persistence:never}": "as a list",
        "backtest.train=3000": "ask for later fits: drop one",
    }
    for override, told in cases.items():
        said = forecast("backtest", "model=persistence", "reducer=full", *SHORT, *POLICIES, override)
        assert said.code == 2, override
        assert told in said.err, override
    assert not list(tmp_path.rglob("cells/*"))


def test_policies_and_seeds_on_real_weather_with_a_report(forecast, tmp_path: Path) -> None:
    """Each policy has its row, each seed its cell; the report is printed and written; MLflow has all of it."""
    words = [w for w in SHORT if w != "tracker=none"]
    model = ("model=mlp", "model.hidden=4", "model.training.epochs=1", "reducer=full", "fleet=walk", "backtest.seeds=2")
    more = ("backtest.pool=true", "backtest.report.regimes={later: 2013-05-20}", "backtest.every=3")
    said = forecast("backtest", *model, *words, *POLICIES, *more)
    assert said.code == 0, said.err
    folder = tmp_path / "runs/default"
    table = (folder / "table.md").read_text()
    for heading in ("seeds", "sd MAE", "policy", "fits", "pretrained on", "retraining, of one seed"):
        assert heading in table
    assert "all, horizon 2" not in table, "degrees and per cent have no mean"
    assert (
        table.rstrip().splitlines()[-1].startswith("CPU seconds: with the policies that go by the clock (never, daily)")
    )
    assert ", then by policy (never, daily); origins" in table
    assert "seeds 0 to 1." in table
    costs = pl.read_parquet(folder / "costs.parquet")
    fits = {label: sorted(rows["fits"]) for (label,), rows in costs.group_by("label")}
    assert fits == {"persistence": [1], "mlp.never": [1, 1], "mlp.daily": [5, 5]}, "98 hours, one fit a day"
    assert len(list((folder / "cells").iterdir())) == 5
    report = (folder / "report.md").read_text()
    said_so = report.split("## What can be said")[1].split("## Tables")[0]
    sentences = [line[2:] for line in said_so.splitlines() if line.startswith("- ")]
    assert len(sentences) >= 4, "of every variable and of all"
    assert all(sentence in said.out for sentence in sentences)
    assert "retraining: daily, never" in report
    assert "a live fleet could not make it" in report.lower()
    assert "**all variables: errors**" in report
    assert "later" in report
    from pipelines.trackers.mlflow import MlflowTracker

    runs = MlflowTracker(tmp_path / "runs/mlflow", "walk").runs()
    by = {row["nowcaster"]: row for row in runs.iter_rows(named=True)}
    assert (by["mlp.daily"]["metrics.fits"], by["mlp.daily"]["params.policy"]) == (5.0, "daily")
    assert by["mlp.never"]["metrics.report/mae/temperature"] > 0
    assert by["mlp.never"]["metrics.sd_mae/temperature"] > 0


def test_help_says_what_can_be_set(forecast) -> None:
    out = forecast("backtest", "--help").out
    assert "backtest.cutoffs=1" in out
    assert "backtest.report.weekdays=false" in out
    assert "site12" in out


def test_every_experiment_with_models_to_compare_names_a_source_and_parts() -> None:
    folder = Path(__file__).parents[2] / "conf/experiment"
    found = {p.stem: yaml.safe_load(p.read_text()) for p in folder.glob("*.yaml")}
    compared = {k: v for k, v in found.items() if any("backtest.models" in str(d) for d in v.get("defaults", []))}
    assert {"site12", "nancy", "etth1", "dtu"} <= compared.keys()
    for name, config in compared.items():
        assert config["fleet"] == config["run"] == name
