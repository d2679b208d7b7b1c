"""Jinja2 templates: types kept, hostile values inert, output bounded."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.expressions import (
    Schema,
    TemplateError,
    TemplateProblem,
    TemplateTooLarge,
    check_template,
    is_template,
    render,
)

BIG = "x" * 60_000
VALUES = {
    "incident": {
        "key": "INC-1", "user": None, "hosts": ["b", "a"], "count": 3, "late": True, "items": [1], "id": UUID(int=1),
        "at": datetime(2026, 1, 1, 12, tzinfo=UTC), "evil": "{{ 7*7 }}{% for %}",
    },
    "big": BIG,
}  # fmt: skip


@pytest.mark.parametrize(("template", "value"), [
    ("plain", "plain"),
    ("{{ incident.key }}", "INC-1"),
    ("{{ incident.count }}", 3),
    ("{{ incident.count }}\n", 3),
    ("{{ incident.count + 1 }}", 4),
    ("n={{ incident.count }}", "n=3"),
    ("{{ incident.hosts }}", ["b", "a"]),
    ("{{ {'a': incident.count} }}", {"a": 3}),
    ("{{ incident.items }}", [1]),
    ("{{ incident.user }}", None),
    ("{{ incident.at }}", datetime(2026, 1, 1, 12, tzinfo=UTC)),
    ("{{ incident.late }}/{{ incident.at }}/{{ incident.user }}/{{ incident.hosts }}",
     'true/2026-01-01T12:00:00Z//["b", "a"]'),
    ("{{ incident.hosts|map('upper')|list }}", ["B", "A"]),
    ("{{ incident.hosts|sort|join(', ') }}", "a, b"),
    ("{{ incident.key ~ '-' ~ incident.count }}", "INC-1-3"),
    ("{% for h in incident.hosts %}{{ loop.index }}{{ h }}{% endfor %}", "1b2a"),
    ("{% set n = incident.count %}{% if n > 2 %}many{% endif %}", "many"),
    ("{{ incident.nothing | default('none') }}", "none"),
    ("{{ incident.user | default('nobody') }}", "nobody"),
    ("{{ incident.nothing.at['all'] | default('none') }}", "none"),
    ("{{ 'a/b?c&d' | urlencode }}", "a%2Fb%3Fc%26d"),
    ("{{ {'a': 'b c'} | urlencode }}", "a=b+c"),
    ("{{ incident.at | date('minute', 'Europe/Madrid') }}", "2026-01-01 13:00"),
    ("{{ '2026-01-01T12:00:00' | date('%d.%m.') }}", "01.01."),
    ("{{ incident.hosts | tojson }}", '["b", "a"]'),
    ("{{ 'abcdef' | truncate(3) }}", "ab…"),
    ("{{ 2.345 | round(2) }}", 2.35),
    ("{{ incident.hosts | length }}", 2),
    ("{{ {'a': 1}.items() }}", [["a", 1]]),
    ("{{ 'yes' if incident.user }}", None),
    ({"a": ["{{ incident.count }}", 5], "b": {"c": "x {{ incident.key }}"}}, {"a": [3, 5], "b": {"c": "x INC-1"}}),
])  # fmt: skip
def test_renders(template: object, value: object) -> None:
    made = render(template, VALUES)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(("template", "sentence"), [
    ("{{ incident.usr }}", 'there is no "usr" here; did you mean "user"?'),
    ("{{ nope }}", 'there is no "nope"'),
    ("x {{ nope }}", 'there is no "nope"'),
    ("x {{ nope.a.b }}", 'there is no "nope"'),
    ("{{ incident.user.name }}", "empty (null) value"),
    ("{{ incident.hosts[9] }}", "no item 9"),
    ("{{ incident.key", "line 1"),
    ("{{ incident.key|uper }}", 'there is no filter "uper"; did you mean "upper"?'),
    ("{{ 1 / 0 }}", "division by zero"),
    ("{{ incident.key + 1 }}", "use ~"),
    ("{{ incident.key.upper }}", "is () missing"),
    ("{% macro a() %}{% endmacro %}", "only if, for and set"),
    ("{% set x %}a{% endset %}", "only if, for and set"),
    ("{% include 'x' %}", "only if, for and set"),
    ("{{ ''.__class__.__mro__ }}", "__class__"),
    ("{{ incident.hosts.append(1) }}", "append"),
    ("{{ '{:9}'.format(1) }}", "format"),
    ("{{ 'a'.ljust(9) }}", "ljust"),
    ("{{ '%9d' % 1 }}", "does not format"),
    ("{{ self }}", "no plain value"),
    ("{{ lipsum() }}", 'no "lipsum"'),
    ("{{ 'x' | date }}", "not a time"),
    ("{{ incident.at | date('%1000d') }}", "date knows"),
    ("{{ incident.at | date('iso', 'Mars/Base') }}", "no time zone"),
    ("{{ [] | first }}", "empty"),
    ({"with": {"host": ["{{ incident.usr }}"]}}, "with.host[0]: there is no"),
])  # fmt: skip
def test_refused(template: object, sentence: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(template, VALUES)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("template", [
    "{{ 'a' * 100000000 }}", "{{ 100000000 * [1] }}", "{{ 2 ** 100000000 }}", "{{ big ~ big }}", "{{ big + big }}",
    "{{ big }}{{ big }}", "{{ incident.key | replace('', big) }}", "{{ [big, big] | join }}", "{{ [big, big] }}",
    "{{ range(100000) | list }}", "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
    "{% set x = [1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}",
    "{% set x = [1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x | tojson }}",
    "{% set x = 'a' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}", "{{ " + "x" * 40_000 + " }}",
    "{{ " + "*".join(["99999999999999999999"] * 60) + " }}",
    "{% for i in range(1000) %}{{ 'a' * 100 }}{% endfor %}",
])  # fmt: skip
def test_output_is_bounded(template: str) -> None:
    with pytest.raises(TemplateTooLarge):
        render(template, VALUES)


def test_the_limit_holds_for_all_parts_together() -> None:
    assert len(render(["{{ big }}"], VALUES)[0]) == 60_000
    with pytest.raises(TemplateTooLarge):
        render(["{{ big }}", "{{ big }}"], VALUES)
    assert len(render(["{{ big }}", "{{ big }}"], VALUES, limit=200_000)) == 2


def test_null_can_be_refused_in_text() -> None:
    with pytest.raises(TemplateError, match="empty"):
        render("/users/{{ incident.user }}", VALUES, null=None)
    assert render("/users/{{ incident.user }}", VALUES, null="-") == "/users/-"


def test_check_finds_names_filters_and_syntax_with_their_place() -> None:
    schema = Schema({"incident": {"key": "str", "observables": {"ip": ["str"]}}, "steps": "any"})
    source = {
        "a": "{{ incident.key }}\n{{ incidnt.key }} {{ steps.x.y }}",
        "b": ["{% for h in incident.observables.ip %}{{ h.x }}{% endfor %}", "{{ incident.ky }}", "{{ a"],
    }
    assert check_template(source, schema) == [
        TemplateProblem("a", 2, 'there is no "incidnt"; did you mean "incident"?'),
        TemplateProblem("b[1]", 1, 'there is no "ky" here; did you mean "key"?'),
        TemplateProblem("b[2]", 1, "unexpected end of template, expected 'end of print statement'"),
    ]
    assert check_template("{{ incident.anything }}", ["incident"]) == []
    assert str(check_template("{{ x }}", ["y"])[0]) == 'line 1: there is no "x"; there are: y'
    assert is_template("{{ x }}")
    assert not is_template("x")


@given(
    st.text()
    | st.sampled_from(["{{ 7*7 }}", "{% raw %}", "{{ incident.key }}", "{# x #}", "10", "1e999", "None"])
)
def test_a_value_from_an_alert_is_never_rendered_again(value: str) -> None:
    variables = {"v": value, "incident": {"key": "secret"}}
    assert render("{{ v }}", variables) == value
    assert render("a{{ v }}b", variables) == f"a{value}b"
    assert render("{{ v }}{{ v }}", variables) == value + value
    assert render({"x": ["{{ [v, v] }}"]}, variables) == {"x": [[value, value]]}


@given(st.text(alphabet="{}%| abinforst()[]'\"*~+19.,_", max_size=80))
def test_any_template_renders_within_bounds_or_is_refused(source: str) -> None:
    made: object
    try:
        made = render("{{" + source + "}}", {"a": BIG, "b": [1, 2], "f": 3}, limit=70_000)
    except TemplateError as error:
        made = str(error)
    assert 0 < len(str(made)) < 500_000 or made == ""
