"""The report as a whole: literal loops, invariances, gaps, one origin, bad input, identical forecasts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from forecast.errors import NoFreshDataError, SchemaError, UnknownNameError
from forecast.evaluation import Answer, Asked, Question, Report, Trade, Views, diebold_mariano, holm, report
from forecast.evaluation.compare import Versus
from forecast.panel import Panel
from tests.evaluation.asking import START, ask, far, hold, near, walks

EVERYTHING = Asked(
    views=Views(weekdays=True, regimes={"later": "2021-03-01"}, filled=True), trade=Trade("v0", (0, 10)), pool=True
)


def value(made: Report, label: str, measure: str, group: str = "all", of: str = "all", variable: str = "v0") -> float:
    keys = {"label": label, "variable": variable, "group": group, "of": of, "measure": measure}
    rows = made.numbers.filter(*(pl.col(k) == v for k, v in keys.items()))
    assert len(rows) == 1, (keys, rows)
    return float(rows["value"][0])


def company(question: Question) -> list[Answer]:
    return [hold(question), near(question, "good", 3.0, 2), far(question, "bad", 30.0, 3), near(question, "ok", 12.0)]


def test_errors_and_skill_are_those_of_a_loop_over_single_pairs() -> None:
    """Per series in units of its naive error, counted by hand from the history, Fridays only."""
    q = ask(walks(2))
    made = report(q, company(q), Asked())
    values = q.history.values[..., 0]
    fridays = [t for t in range(values.shape[1]) if t % 7 == 4]
    scale = {}
    for n in range(2):
        for h in range(1, 8):
            gaps = [abs(values[n, t + h] - values[n, t]) for t in fridays if t + h < values.shape[1]]
            scale[n, h] = np.mean([g for g in gaps if not np.isnan(g)]) if h > 2 else np.nan
    unit = [np.nanmean([scale[n, h] for h in range(1, 8)]) for n in range(2)]
    total = dict.fromkeys(("n", "mae", "mse", "mase", "mine", "theirs"), 0.0)
    bad = company(q)[2].points
    for b, n, h in np.argwhere(~np.isnan(q.truth[..., 0])):
        errors = [abs(p[b, n, h, 0] - q.truth[b, n, h, 0]) for p in bad]
        total["n"] += 1
        total["mae"] += np.mean(errors)
        total["mse"] += np.mean(np.square(errors))
        total["mase"] += np.mean(errors) / scale[n, h + 1]
        total["mine"] += np.mean(errors) / unit[n]
        total["theirs"] += abs(q.last[b, n, 0] - q.truth[b, n, h, 0]) / unit[n]
    np.testing.assert_allclose(value(made, "bad", "mae"), total["mae"] / total["n"])
    np.testing.assert_allclose(value(made, "bad", "rmse"), np.sqrt(total["mse"] / total["n"]))
    np.testing.assert_allclose(value(made, "bad", "mase"), total["mase"] / total["n"])
    np.testing.assert_allclose(value(made, "bad", "skill_mae"), 1 - total["mine"] / total["theirs"])


def test_skill_of_one_series_is_the_ratio_of_the_errors_shown() -> None:
    q = ask(walks())
    made = report(q, company(q))
    for measure in ("mae", "rmse"):
        ratio = value(made, "good", measure) / value(made, "persistence", measure)
        np.testing.assert_allclose(value(made, "good", f"skill_{measure}"), 1 - ratio)
        low, high = (value(made, "good", f"{end}_{measure}", "reference", "persistence") for end in ("low", "high"))
        assert low < 1 - ratio < high


def test_the_p_value_is_that_of_weekly_means_against_the_reference() -> None:
    q = ask(walks())
    answers = company(q)
    losses = [np.nanmean(np.abs(a.points - q.truth).mean(axis=0), axis=(1, 2, 3)) for a in answers]
    made = report(q, answers)
    p = value(made, "ok", "p_mae", "reference", "persistence")
    np.testing.assert_allclose(p, diebold_mariano(losses[3], losses[0]), rtol=1e-9)
    assert p <= value(made, "ok", "holm_mae", "reference", "persistence")


def test_origins_that_share_truths_are_averaged_over_a_horizon() -> None:
    """Daily origins of a week ahead: blocks of seven, one lag, so a walk's noise is not called skill."""
    q = ask(walks(weekends=True), stride=1, patience=0)
    answers = [hold(q), far(q, "other", 1.0)]
    losses = [np.abs(a.points - q.truth).mean(axis=(0, 2, 3, 4)) for a in answers]
    found = value(report(q, answers), "other", "p_mae", "reference", "persistence")
    np.testing.assert_allclose(found, diebold_mariano(losses[1], losses[0], 7, 7), rtol=1e-9)


def test_the_words_follow_the_figures() -> None:
    q = ask(walks())
    text = report(q, [*company(q), Answer("same", hold(q).points)], EVERYTHING).markdown("Title")
    assert text.startswith("# Title\n\n- origins: 56")
    assert "v0, absolute errors: does not beat persistence, is worse: bad" in text
    assert "v0, absolute errors: does not beat persistence: same (skill 0)." in text
    assert "v0, absolute errors: beats persistence: good" in text
    assert "RMSE / mean (level ratio, not skill)" in text


def test_verdicts() -> None:
    """A skill above zero is one only where the test says so after the correction for all contestants."""
    skill = np.array([0.2, 0.2, 0.2, 0.2, -0.2, -0.2, 0.0, np.nan])
    p = np.array([0.001, 0.02, 0.3, np.nan, 0.001, 0.3, 1.0, np.nan])
    shaped, ps = (
        np.broadcast_to(skill[:, None, None, None], (8, 2, 1, 1)),
        p[:, None, None, None] + np.zeros((8, 2, 1, 1)),
    )
    ends = shaped[:, :, 0]
    made = Versus("x", tuple("abcdefgh"), shaped, ends, ends, ps, holm(ps), shaped > 0)
    assert [made.verdict(a, 0, 0) for a in range(8)] == [
        "beats x",
        "ahead of x, may be chance among 8",
        "ahead of x, may be chance",
        "ahead of x, too few origins for a test",
        "does not beat x, is worse",
        "does not beat x",
        "does not beat x",
        "-",
    ]
    other = replace(made, lower=~made.lower)
    assert [other.verdict(a, 0, 0) for a in (0, 2, 4)] == [
        "ahead of x, but not in the mean over origins that is tested",
        "ahead of x, but not in the mean over origins that is tested",
        "does not beat x",
    ]


def test_levels_that_pass_zero_have_no_ratio_to_their_mean() -> None:
    q = ask(walks() - 1000)
    assert "level ratio" not in report(q, company(q)).markdown()


@pytest.mark.parametrize("factor", [10.0, 1e-3])
def test_another_unit_changes_no_skill_test_or_direction(factor: float) -> None:
    values = walks(3, variables=2)
    one, other = ask(values), ask(values * factor)
    first = company(one)
    made = [report(one, first, EVERYTHING)]
    made += [report(other, [replace(a, points=a.points * factor) for a in first], EVERYTHING)]
    a, b = (r.numbers.filter(~pl.col("measure").is_in(["mae", "rmse"])) for r in made)
    assert a.drop("value").equals(b.drop("value"))
    np.testing.assert_allclose(a["value"].to_numpy(), b["value"].to_numpy(), rtol=1e-6, atol=2e-3)


def test_the_order_of_series_contestants_and_seeds_does_not_matter() -> None:
    values = walks(3)
    q, turned = ask(values), ask(values[::-1])
    answers = company(q)
    back = [replace(a, points=a.points[::-1, :, ::-1]) for a in answers[::-1]]
    keep = ["label", "measure", "group", "of"]
    drop = pl.col("group").is_in(["seed", "trade"])
    a, b = (report(*x, EVERYTHING).numbers.filter(~drop).sort(*keep) for x in ((q, answers), (turned, back)))
    assert a.drop("value").equals(b.drop("value"))
    close = pl.col("measure").str.starts_with("confidence")  # twins in distribution may change places of the bootstrap
    for one in (close, ~close):
        x, y = (t.filter(one)["value"].to_numpy() for t in (a, b))
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)


def test_weekdays_leads_and_regimes_are_parts_of_the_whole() -> None:
    q = ask(walks(2), stride=1)
    made = report(q, company(q), EVERYTHING)
    whole = value(made, "bad", "n")
    for group in ("weekday", "regime", "lead"):
        rows = made.numbers.filter(pl.col("group") == group, pl.col("label") == "bad", pl.col("variable") == "v0")
        counts, errors = (rows.filter(pl.col("measure") == m)["value"].to_numpy() for m in ("n", "mae"))
        assert counts.sum() == whole
        np.testing.assert_allclose((counts * errors).sum() / whole, value(made, "bad", "mae"))
    day = q.times[..., None, None].swapaxes(1, 2)  # (B, 1, H, 1)
    tuesday = ((day - START) // np.timedelta64(1, "D")) % 7 == 1
    want = np.nanmean(np.where(tuesday, np.abs(company(q)[2].points - q.truth).mean(axis=0), np.nan))
    np.testing.assert_allclose(value(made, "bad", "mae", "weekday", "Tue"), want)
    later = day >= np.datetime64("2021-03-01")
    want = np.nanmean(np.where(later, np.abs(company(q)[2].points - q.truth).mean(axis=0), np.nan))
    np.testing.assert_allclose(value(made, "bad", "mae", "regime", "later"), want)


def test_only_pairs_that_all_seeds_of_all_contestants_have_are_scored() -> None:
    q = ask(walks(2))
    answers = company(q)
    answers[2].points[1, 10:20, 0] = np.nan
    fewer = q.truth.copy()
    fewer[10:20, 0] = np.nan
    a, b = report(q, answers, Asked()), report(replace(q, truth=fewer), answers, Asked())
    assert a.numbers.equals(b.numbers)
    assert any("50 of 560 truths are not scored" in s for s in a.statements)


def test_gaps_are_filled_only_in_the_table_that_says_so() -> None:
    """A Wednesday without a session: filled, it has Tuesday's value; the weekend stays empty."""
    values = walks()
    values[:, 7 * 50 + 2] = np.nan
    q = ask(values)
    made = report(q, [hold(q), far(q, "other", 20.0)], Asked(views=Views(filled=True)))
    assert value(made, "other", "n") == 279
    b = next(b for b in range(56) if np.isnan(q.truth[b, 0, 4, 0]))
    full = q.truth.copy()
    full[b, 0, 4] = full[b, 0, 3]
    gaps = np.abs(far(q, "other", 20.0).points[0] - full)
    np.testing.assert_allclose(value(made, "other", "mae", "filled"), np.nanmean(gaps))
    assert int((~np.isnan(gaps)).sum()) == 280
    assert any("279 real truths, and 280 with" in sheet.title for sheet in made.sheets)


def test_one_origin_has_errors_and_no_tests() -> None:
    q = ask(walks(2, 315), first=305)
    assert len(q.origins) == 1
    made = report(q, company(q), EVERYTHING)
    assert not made.numbers.filter(pl.col("measure").str.contains("^(p|p_.*|holm.*|confidence.*|low.*|high.*)$"))[
        "value"
    ].len()
    assert any("too few origins for a test" in s for s in made.statements)
    sheet = next(s for s in made.sheets if s.title == "v0: absolute errors against persistence")
    assert all(row[2:5] == ("-", "-", "-") for row in sheet.rows)


def test_alone_and_in_pairs_there_is_no_confidence_set() -> None:
    q = ask(walks())
    assert report(q, [hold(q)]).statements == []
    pair = report(q, company(q)[:2])
    assert not any("confidence set" in sheet.title for sheet in pair.sheets)
    assert any("confidence set" in sheet.title for sheet in report(q, company(q)).sheets)


def test_every_comparison_says_what_a_model_was_pretrained_on() -> None:
    q = ask(walks())
    answers = company(q)
    about = {"policy": "drift", "fits": "4", "pretrained on": "M4", "seed words": "same"}
    answers[1] = replace(answers[1], about=about)
    made = report(q, answers, EVERYTHING)
    for sheet in made.sheets:
        assert sheet.head[-3:] == ("policy", "fits", "pretrained on") or sheet.title == "Contestants"
        assert all(len(row) == len(sheet.head) for row in sheet.rows)
        row = next((r for r in sheet.rows if r[0] == "good"), None)
        assert row is None or "M4" in row
    for sheet in report(q, company(q), EVERYTHING).sheets:
        assert "pretrained on" in sheet.head
        assert "policy" not in sheet.head


def test_seeds_are_averaged_as_losses_and_shown_with_their_deviation() -> None:
    q = ask(walks())
    three = far(q, "three", 20.0, 3)
    made = report(q, [hold(q), three])
    singles = [report(q, [hold(q), Answer("three", three.points[[s]])]) for s in range(3)]
    each = np.array([value(r, "three", "mae") for r in singles])
    np.testing.assert_allclose([value(made, "three", "mae", "seed", str(s)) for s in range(3)], each)
    np.testing.assert_allclose(value(made, "three", "mae"), each.mean())
    sheet = next(s for s in made.sheets if "over seeds" in s.title)
    assert f"{each.mean():.2f} ± {each.std(ddof=1):.2f}" in next(r for r in sheet.rows if r[0] == "three")
    assert any("not of the best" in note for note in made.notes)


def test_series_that_never_changed_are_named_and_pooled_nowhere() -> None:
    values = walks(2)
    values[1, :306] = 500.0
    q = ask(values)
    made = report(q, company(q))
    assert any("Never changed in the history" in s and "s01 (v0)" in s for s in made.statements)
    alone = ask(values[:1])
    answers = [replace(a, points=a.points[:, :, :1]) for a in company(q)]
    np.testing.assert_allclose(value(made, "bad", "skill_mae"), value(report(alone, answers), "bad", "skill_mae"))


def test_without_a_history_losses_are_pooled_as_they_are() -> None:
    q = ask(walks(2))
    empty = Panel(np.empty((2, 0, 1)), np.empty(0, "datetime64[us]"), q.history.series, ["v0"], q.history.step)
    made = report(replace(q, history=empty), company(q))
    ratio = value(made, "bad", "mae") / value(made, "persistence", "mae")
    np.testing.assert_allclose(value(made, "bad", "skill_mae"), 1 - ratio)
    assert not len(made.numbers.filter(pl.col("measure") == "mase"))


def test_bad_input_is_named() -> None:
    q = ask(walks())
    good = hold(q)
    with pytest.raises(UnknownNameError, match="did you mean 'persistence'"):
        report(q, [good], Asked(reference="persistance"))
    with pytest.raises(UnknownNameError, match="'v9'"):
        report(q, [good], Asked(trade=Trade("v9")))
    with pytest.raises(SchemaError, match=r"\['persistence'\] are there more than once"):
        report(q, [good, good])
    with pytest.raises(SchemaError, match=r"points of 'x' have shape .* the truths"):
        report(q, [good, Answer("x", good.points[:, 1:])])
    with pytest.raises(NoFreshDataError, match="no truth of v0 is known where all of 2"):
        report(q, [good, Answer("x", np.full(good.points.shape, np.nan))])
    with pytest.raises(SchemaError, match=r"leads \[9\] are outside 1 to 7"):
        report(q, [good], Asked(views=Views(leads=[3, 9])))
    with pytest.raises(SchemaError, match="one row per seed"):
        Answer("x", good.points[0])
    with pytest.raises(SchemaError, match="infinite values"):
        Answer("x", np.full(good.points.shape, np.inf))
    with pytest.raises(SchemaError, match="infinite values"):
        replace(q, last=np.full(q.last.shape, np.inf))
    with pytest.raises(SchemaError, match=r"origins are .* apart, expected stride 7"):
        replace(q, origins=q.origins[::-1])
    with pytest.raises(SchemaError, match=r"expected \(B, N, H, C\)"):
        replace(q, truth=q.truth[..., 0])
    with pytest.raises(SchemaError, match="give the same targets"):
        replace(q, last=q.last[..., 0])
    with pytest.raises(SchemaError, match="stride is 0"):
        replace(q, stride=0)
    with pytest.raises(SchemaError, match="block is 0"):
        Asked(block=0)
    with pytest.raises(SchemaError, match="'crash' begins at 'March', which is no moment"):
        Views(regimes={"crash": "March"})
    with pytest.raises(SchemaError, match="same moment twice"):
        Views(regimes={"a": "2020-01-01", "b": "2020-01-01"})
    with pytest.raises(SchemaError, match="costs_bp is"):
        Trade("v0", (-1,))


def test_the_libraries_of_the_tests_are_loaded_by_reports_alone() -> None:
    code = "import forecast.evaluation, sys; print([m for m in ('statsmodels', 'arch', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_tables_show_the_figures() -> None:
    """Text against numbers: the best first, regimes with their own p, filled gaps, seeds, the sale net of costs."""
    values = walks() + np.arange(700)[:, None]  # rising, so that doing nothing earns less than holding
    values[:, 7 * 60 + 2] = np.nan
    q = ask(values)
    made = report(q, [*company(q), far(q, "so so", 2.0)], EVERYTHING)
    shown = {
        sheet.title: {row[0]: dict(zip(sheet.head, row, strict=True)) for row in sheet.rows} for sheet in made.sheets
    }
    assert list(shown["v0: errors"])[:3] == ["good", "ok", "persistence"]
    regime = next(rows for title, rows in shown.items() if "regime later" in title)
    p, whole = (value(made, "so so", "p_mae", *place) for place in (("regime", "later"), ("reference", "persistence")))
    assert regime["so so"]["p, MAE"] == f"{p:.3f}" != f"{whole:.3f}"
    assert regime["persistence"]["p, MAE"] == "-"
    filled = next(rows for title, rows in shown.items() if "279 real truths" in title)
    ratio = value(made, "bad", "mae", "filled") / value(made, "persistence", "mae", "filled")
    assert filled["bad"]["skill in MAE, scaled, filled"] == f"{1 - ratio:+.3f}"
    seeds = next(rows for title, rows in shown.items() if "over seeds" in title and "v0" in title)
    assert seeds["bad"]["skill in MAE, scaled"].startswith(f"{value(made, 'bad', 'skill_mae'):+.3f} ± ")
    rule = next(rows for title, rows in shown.items() if "long/flat" in title)
    total = value(made, "good", "total_10bp", "trade", "s00")
    assert rule["good"]["return, 10 bp"] == f"{100 * total:.1f} %"
    hold_total = value(made, "buy and hold", "total_10bp", "trade", "s00")
    said = next(s for s in made.statements if "Long/flat" in s)
    totals = {name: value(made, name, "total_10bp", "trade", "s00") for name in ("good", "ok", "bad", "persistence")}
    assert totals["persistence"] == 0 < hold_total
    for name, x in totals.items():
        assert (f"{name} ({100 * x:.1f} %)" in said) == (x > hold_total)
    assert f"buy and hold ({100 * hold_total:.1f} %)" in said
