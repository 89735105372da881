"""No word stronger than its evidence: few origins, dead seeds, missing forecasts, constants, what is no price."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
import pytest

from forecast.errors import NoFreshDataError, SchemaError
from forecast.evaluation import Answer, Asked, Question, Report, Sheet, Trade, Views, report
from forecast.evaluation.trading import earned
from tests.evaluation.asking import ask, far, hold, near, walks
from tests.evaluation.test_report import EVERYTHING, company, value


def units(question: Question, *names: str) -> Question:
    variables = [replace(v, unit=name) for v, name in zip(question.variables, names, strict=True)]
    return replace(question, variables=variables)


def sheet(made: Report, words: str) -> Sheet:
    (found,) = (one for one in made.sheets if words in one.title)
    return found


def rows(found: Sheet) -> dict[str, dict[str, str]]:
    return {row[0]: dict(zip(found.head, row, strict=True)) for row in found.rows}


class TestRawSkill:
    """Of several variables in one unit, and of one variable of several series."""

    def test_it_is_that_of_a_loop_over_single_pairs(self) -> None:
        values = walks(3, variables=2) * np.array([1.0, 30.0])
        values[1] *= 50
        q = units(ask(values), "people", "people")
        answers = [hold(q), near(q, "good", 3.0, 2), far(q, "bad", 400.0, 3)]
        made = report(q, answers, Asked(pool=True, views=Views(regimes={"later": "2021-03-01"})))
        later = np.datetime64("2021-03-01", "us")
        for label, c, when in product(("good", "bad"), (0, 1, None), ("all", "later")):
            points = next(a for a in answers if a.label == label).points
            total = {"mae": [0.0, 0.0], "rmse": [0.0, 0.0], "n": [0, 0]}
            for b, n, h, k in np.argwhere(~np.isnan(q.truth)):
                if (c is not None and k != c) or (when == "later" and q.times[b, h] < later):
                    continue
                truth = q.truth[b, n, h, k]
                errors = [np.abs(p[b, n, h, k] - truth) for p in points], [abs(q.last[b, n, k] - truth)]
                for side, some in enumerate(errors):
                    total["n"][side] += 1
                    total["mae"][side] += float(np.mean(some))
                    total["rmse"][side] += float(np.mean(np.square(some)))
            place = {"group": "regime" if when == "later" else "all", "of": when}
            place["variable"] = "all" if c is None else f"v{c}"
            mine, theirs = (total["mae"][side] / total["n"][side] for side in (0, 1))
            np.testing.assert_allclose(value(made, label, "mae", **place), mine)
            np.testing.assert_allclose(value(made, label, "raw_skill_mae", **place), 1 - mine / theirs)
            mine, theirs = (np.sqrt(total["rmse"][side] / total["n"][side]) for side in (0, 1))
            np.testing.assert_allclose(value(made, label, "rmse", **place), mine)
            np.testing.assert_allclose(value(made, label, "raw_skill_rmse", **place), 1 - mine / theirs)
        assert abs(value(made, "bad", "skill_mae") - value(made, "bad", "raw_skill_mae")) > 0.1, "they differ"

    def test_it_stands_in_the_table_and_the_regimes(self) -> None:
        q = units(ask(walks(2, variables=2)), "people", "people")
        made = report(q, company(q), replace(EVERYTHING, trade=Trade()))
        for title, group, of in (
            ("all variables, people: errors", "all", "all"),
            (": regime later", "regime", "later"),
        ):
            found = next(s for s in made.sheets if title in s.title and s.title.startswith("all variables"))
            for head, measure in (("skill in MAE, raw", "raw_skill_mae"), ("skill in RMSE, raw", "raw_skill_rmse")):
                assert rows(found)["bad"][head] == f"{value(made, 'bad', measure, group, of, 'all'):+.3f}"
        assert any("Raw skill is of the errors as they are" in note for note in made.notes)

    def test_errors_in_several_units_are_not_added_up(self) -> None:
        q = units(ask(walks(2, variables=2)), "degC", "%")
        made = report(q, company(q), replace(EVERYTHING, trade=Trade()))
        pooled = made.numbers.filter(pl.col("variable") == "all")
        assert not len(pooled.filter(pl.col("measure").is_in(["mae", "rmse", "raw_skill_mae", "raw_skill_rmse"])))
        assert len(pooled.filter(pl.col("measure") == "skill_mae"))
        assert "skill in MAE, raw" not in sheet(made, "all variables: errors").head
        assert "skill in MAE, raw" in sheet(made, "v0, degC: errors").head, "of several series"
        titles = [s.title for s in made.sheets if "regime later" in s.title]
        assert len({title.rpartition(":")[2] for title in titles}) == 1, "as many origins for all variables together"
        assert len(titles) == 3

    def test_one_series_of_one_variable_has_one_skill(self) -> None:
        q = ask(walks())
        assert not any("raw" in word for s in report(q, company(q)).sheets for word in s.head)

    def test_a_variable_that_never_changed_is_not_added_to_naive_errors_as_it_is(self) -> None:
        values = walks(2, variables=2)
        values[:, :306, 1] = 500.0
        q, alone = ask(values), ask(values[..., :1])
        made = report(q, company(q), Asked(pool=True))
        cut = [replace(a, points=a.points[..., :1]) for a in company(q)]
        want = value(report(alone, cut), "bad", "skill_mae")
        np.testing.assert_allclose(value(made, "bad", "skill_mae", variable="all"), want)
        p = [value(r, "bad", "p_mae", "reference", "persistence", v) for r, v in ((made, "all"), (made, "v0"))]
        np.testing.assert_allclose(*p)


class TestFew:
    @pytest.mark.parametrize(("days", "count"), [(312 + 7 * 6, 7), (312 + 7 * 7, 8)])
    def test_below_eight_blocks_nothing_is_tested(self, days: int, count: int) -> None:
        q = ask(walks(2, days + 1), first=305)
        assert len(q.origins) == count
        made = report(q, company(q), EVERYTHING)
        told = made.numbers.filter(pl.col("measure").str.contains("^(p_.*|holm.*|confidence.*|low.*|high.*)$"))
        assert bool(len(told)) == (count == 8)
        assert any("confidence set" in s.title for s in made.sheets) == (count == 8)
        assert any("confidence set:" in note for note in made.notes) == (count == 8)

    def test_origins_that_share_their_truths_are_not_counted_one_by_one(self) -> None:
        """Twenty days of a week ahead are not three independent weeks."""
        q = ask(walks(1, 333, weekends=True), stride=1, patience=0)
        assert len(q.origins) == 21
        made = report(q, company(q), Asked())
        assert rows(sheet(made, "absolute errors against"))["good"]["95 % interval"] == "-"
        assert not any("confidence set" in s.title for s in made.sheets)
        assert any("ahead of persistence, too few origins for a test: good" in s for s in made.statements)

    def test_a_regime_says_how_many_origins_it_has_and_that_they_are_too_few(self) -> None:
        q = units(ask(walks(2, variables=2)), "degC", "%")
        last = str(q.times[-1, 0])[:10]
        made = report(q, company(q), Asked(pool=True, views=Views(regimes={"end": last, "never": "2030-01-01"})))
        for name in ("v0, degC", "v1, %", "all variables"):
            found = sheet(made, f"{name}: regime end")
            assert found.title.endswith("regime end, 1 origin, too few for a test")
            assert not any(word.startswith("p,") for word in found.head)
            before = sheet(made, f"{name}: regime before")
            assert before.title.endswith("55 origins")
            assert "p, MAE" in before.head
        assert "Regime never: no truth lies in it." in made.statements

    def test_one_origin_and_two_contestants_make_a_report_that_can_be_read(self) -> None:
        q = ask(walks(1, 315), first=305)
        made = report(q, [hold(q), Answer("constant", np.full((1, *q.truth.shape), 1000.0))], EVERYTHING)
        assert "regime" not in made.markdown()[made.markdown().find("## Tables") :] or "1 origin" in made.markdown()
        assert all(len(row) == len(one.head) for one in made.sheets for row in one.rows)
        assert any("persistence" in s for s in made.statements)


class TestVerdict:
    def test_skill_and_test_that_point_apart_prove_nothing(self) -> None:
        """Slightly better in most weeks, much worse in those of a single truth: the test counts weeks, skill truths."""
        values = walks(seed=3)
        q = ask(values)
        few = np.arange(len(q.origins)) % 2 == 1
        truth = q.truth.copy()
        truth[few, :, 3:] = np.nan
        q = replace(q, truth=truth)
        off = np.where(few, 2.0, -1.5)[:, None, None, None]
        base = np.where(np.isnan(q.truth), 0.0, q.truth)
        answers = [Answer("persistence", base[None] + 4.0), Answer("other", base[None] + 4.0 + off)]
        made = report(q, answers)
        assert value(made, "other", "skill_mae") > 0
        assert value(made, "other", "p_mae", "reference", "persistence") < 0.3
        assert not any("beats persistence: other" in s for s in made.statements)
        assert any("not in the mean over origins that is tested: other" in s for s in made.statements)

    def test_the_sentence_is_literally_there(self) -> None:
        q = ask(walks())
        made = report(q, [hold(q), far(q, "bad", 30.0), Answer("same", hold(q).points)])
        assert sum("does not beat persistence" in s for s in made.statements) == 4
        verdicts = {row[0]: row[5] for row in sheet(made, "absolute errors against persistence").rows}
        assert verdicts == {"same": "does not beat persistence", "bad": "does not beat persistence, is worse"}


class TestSeeds:
    def test_one_dead_seed_does_not_hide_what_the_others_do(self) -> None:
        q = ask(walks())
        one = near(q, "net", 12.0, 3)
        points = one.points.copy()
        points[1] += 4146.0
        made = report(q, [hold(q), replace(one, points=points)])
        shown = rows(sheet(made, "over seeds"))["net"]
        each = [value(made, "net", "rmse", "seed", str(s)) for s in range(3)]
        assert float(shown["median RMSE"]) == pytest.approx(sorted(each)[1], rel=1e-2)
        assert sorted(each)[1] < 20
        assert shown["RMSE"].startswith("1390 ± 2387"), shown
        mean = np.sqrt(np.mean(np.square(each)))
        np.testing.assert_allclose(value(made, "net", "rmse"), mean)
        assert any("the median of each training's own" in note for note in made.notes)

    @pytest.mark.parametrize("size", [1e8, 1e30])
    def test_huge_errors_keep_a_table_narrow(self, size: float) -> None:
        q = ask(walks())
        made = report(q, [hold(q), Answer("far off", hold(q).points + size), near(q, "ok", 5.0)], EVERYTHING)
        for one in made.sheets:
            assert max(len(cell) for row in one.rows for cell in row) < 40, one.title
        assert "e+" in rows(sheet(made, "v0: errors"))["far off"]["MAE"]


class TestMissing:
    def test_who_lacks_forecasts_is_named(self) -> None:
        q = ask(walks(2))
        answers = company(q)
        answers[2].points[1, 10:20, 0] = np.nan
        said = [s for s in report(q, answers).statements if "are not scored" in s]
        assert said == ["50 of 560 truths are not scored, as not all forecast them: bad lacks 50."]

    def test_who_has_none_is_named(self) -> None:
        q = ask(walks())
        answers = company(q)
        answers[2].points[1] = np.nan
        with pytest.raises(NoFreshDataError, match=r"leave out bad$"):
            report(q, answers)


class TestTrade:
    def test_what_is_no_price_is_not_traded(self) -> None:
        q = ask(walks() - 1000)
        with pytest.raises(SchemaError, match=r"'v0' has \d+ values at or below zero"):
            report(q, [hold(q)], Asked(trade=Trade("v0")))

    def test_sessions_of_five_days_a_week_are_260_periods_a_year(self) -> None:
        days = np.arange(7 * 40 + 1)
        price = np.where(days % 7 < 5, 100 * np.exp(0.01 * np.sin(days * 1.7)).cumprod(), np.nan)[:, None]  # (B, 1)
        made = earned(np.ones((1, len(price)), bool), price, stride=1)
        known = price[~np.isnan(price)]
        returns = known[1:] / known[:-1] - 1
        want = returns.mean() / returns.std(ddof=1) * np.sqrt(260)
        np.testing.assert_allclose(made.sharpe, want, rtol=1e-2)
