"""The product file: defaults, all problems at once, with lines and nearest matches."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volant.core.product import json_schema, locate, parse, parse_duration, read
from volant.errors import BadInput

LEAST = 'version = 1\nname = "churn"\n[task]\ntype = "classify"\ntarget = "churned"\n[data]\nsource = "c.csv"\n'


def problems(text):
    with pytest.raises(BadInput) as bad:
        parse(text)
    assert bad.value.exit_status == 2
    return bad.value


def test_the_least_file_has_every_default():
    file = parse(LEAST)
    assert file.train.budget == "60s"
    assert file.quality.alpha == 0.05
    assert file.serve.host == "127.0.0.1"


def test_all_problems_are_told_at_once_with_their_lines():
    bad = problems(
        'version = 1\nname = "1 bad"\n[task]\ntype = "clasify"\ntarget = ""\n[data]\nsource = "c.csv"\n'
        '[data.split]\nby = "randm"\njugde = 0.2\n[columns.age]\nrole = "inptu"\n[colums.b]\ntype = "number"\n'
        '[train]\nbudget = "soon"\nthreads = 0\n'
    )
    wheres = " ".join(t.where for t in bad.troubles)
    for line, key in ((2, "name"), (5, "task.target"), (9, "data.split.by"), (10, "data.split.jugde")):
        assert f"line {line}, {key}" in wheres
    for line, key in ((12, "columns.age.role"), (16, "train.budget"), (17, "train.threads")):
        assert f"line {line}, {key}" in wheres
    meant = {t.meant for t in bad.troubles}
    assert {"random", "judge", "input", "columns"} <= meant


def test_names_of_plugins_are_checked_with_nearest_matches():
    bad = problems(LEAST.replace("classify", "clasify") + '[train]\nlearners = ["boosted_tres"]\n')
    assert {t.meant for t in bad.troubles} == {"classify", "boosted_trees"}
    assert "line 4" in bad.troubles[0].where


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("version = ", "product-file-syntax"),
        (LEAST.replace("version = 1", "version = 9"), "product-file-version"),
        (LEAST.replace("version = 1\n", ""), "product-file-invalid"),
        (LEAST.replace("version = 1", "version = true"), "product-file-invalid"),
        (LEAST.replace("version = 1", "version = 1.0"), "product-file-invalid"),
        (LEAST + "[data.split]\njudge = 0.6\ntest = 0.4\n", "product-file-invalid"),
        (LEAST + "[quality]\nalpha = nan\n", "product-file-invalid"),
    ],
)
def test_codes(text, code):
    assert problems(text).code == code


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(BadInput) as bad:
        read(tmp_path)
    assert bad.value.code == "product-file-missing"
    assert "volant new" in str(bad.value)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "volant.toml").write_bytes("name = 'é'".encode("latin-1"))
    with pytest.raises(BadInput) as bad:
        read(tmp_path)
    assert bad.value.code == "product-file-syntax"


def test_values_of_the_file_are_told_but_never_a_key():
    bad = problems(LEAST + '[serve]\nport = "secret"\nkey = 7\n')
    assert len(bad.troubles) == 2


def test_locate_understands_quotes_dots_and_inline_tables():
    lines = locate('[a."b.c"]\nx = 1\n"y z" = 2\nd.e = 3\n# [no]\n[[f]]\n')
    assert lines[("a", "b.c")] == 1
    assert lines[("a", "b.c", "y z")] == 3
    assert lines[("a", "b.c", "d", "e")] == 4
    assert lines[("f",)] == 6


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_clear_error(text):
    told = ""
    try:
        parse(text)
    except BadInput as bad:
        told = bad.code
    assert told.startswith("product-file-")


def test_the_schema_describes_every_key():
    def described(schema):
        for name, value in schema.get("properties", {}).items():
            assert value.get("description") or "$ref" in value, name
        return schema

    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        described(part)


def test_durations():
    assert [parse_duration(t) for t in ("30s", "5m", "1.5h", "7d")] == [30, 300, 5400, 604800]
    with pytest.raises(ValueError, match="duration"):
        parse_duration("a week")


@pytest.mark.parametrize(
    ("extra", "where"),
    [
        ('[data.split]\njudge = "0.1"\n', "data.split.judge"),
        ("[data.split]\njudge = 0\n", "data.split"),
        ('[train]\nensemble = "yes"\n', "train.ensemble"),
        ("[quality]\nmin_gain = inf\n", "quality.min_gain"),
        ("[quality.minimum]\naccuracy = nan\n", "quality.minimum.accuracy"),
        ("[quality.minimum]\nacuracy = 0.9\n", "quality.minimum.acuracy"),
        ('[quality]\nmetric = "rmse"\n', "quality.metric"),
        ('[quality]\nslices = "plan"\n', "quality.slices"),
        ('[columns]\nage = "number"\n', "columns.age"),
        ('[columns]\nage = { role = "target" }\n', "columns.age.role"),
        ('[columns]\nchurned = { role = "ignored" }\n', "columns.churned.role"),
        ('[columns]\na = { role = "weight" }\nb = { role = "weight" }\n', "columns.b.role"),
    ],
)
def test_what_would_only_go_wrong_later_is_refused_by_line(extra, where):
    whole = 'version = 1\nname = "p"\n[task]\ntype = "classify"\ntarget = "churned"\n[data]\nsource = "a.csv"\n'
    with pytest.raises(BadInput) as refused:
        parse(whole + extra)
    assert refused.value.code == "product-file-invalid"
    (trouble,) = refused.value.troubles
    assert trouble.where.endswith(where)
    assert "line " in trouble.where


@pytest.mark.parametrize(
    ("task", "interval", "quality", "where", "said"),
    [
        ("classify", "interval = 0.9", "", "task.interval", "gives no intervals"),
        ("regress", "interval = 1.0", "", "task.interval", "less than or equal to 0.99"),
        ("regress", "", "minimum = { coverage = 0.8 }", "quality.minimum.coverage", "none are given"),
        ("regress", "interval = 0.9", 'metric = "coverage"', "quality.metric", "not what decides"),
    ],
)
def test_intervals_that_cannot_be_kept_or_judged_are_refused_by_line(task, interval, quality, where, said):
    text = f'version = 1\nname = "p"\n[task]\ntype = "{task}"\ntarget = "y"\n{interval}\n[data]\nsource = "a.csv"\n'
    with pytest.raises(BadInput) as refused:
        parse(f"{text}[quality]\n{quality}\n")
    (trouble,) = refused.value.troubles
    assert where in trouble.where
    assert "line " in trouble.where
    assert said in trouble.what


def test_intervals_can_be_asked_for_and_held_to_a_minimum():
    text = 'version = 1\nname = "p"\n[task]\ntype = "regress"\ntarget = "y"\ninterval = 0.9\n[data]\nsource = "a.csv"\n'
    file = parse(text + "[quality]\nminimum = { coverage = 0.85, interval_score = 40.0 }\n")
    assert file.task.interval == 0.9
