"""Templates from strangers: bounded in time and memory."""

import pytest
from models import write_llama

from llmparams_cli.errors import ExitCode
from llmparams_cli.text import jinja

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
DOUBLED = (
    "{% set ns = namespace(x=input) %}"
    "{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}"
)
HUGE = [
    "{{ input * 500000000 }}",
    "{{ 'x' * 50000000000 }}",
    "{{ input | center(100000000000) }}",
    "{{ '%1000000000000s' % input }}",
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(jinja, "SECONDS", 0.5)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (LOOP, "not done after 0.5 s"),
        (DOUBLED, "it "),  # whichever comes first
        *((template, "of memory") for template in HUGE),
    ],
)
def test_a_preset_that_wants_too_much(program, template, reason):
    (program.place / "p.yaml").write_text(f'prompt: "{template}{{{{ input }}}}"\n')
    line = program.call("generate", "Hello you", "-p", "p.yaml").complaint(ExitCode.PRESET)
    assert "p.yaml:1" in line and reason in line


@pytest.mark.parametrize(
    ("template", "reason"),
    [(LOOP, "not done after"), ("{{ 'x' * 50000000000 }}", "of memory"), ("{{ 9**9**9 }}", "")],
)
def test_a_chat_template_that_wants_too_much(program, tmp_path, template, reason):
    model = write_llama(tmp_path / "m.gguf", chat_template=template + "{{ messages[0].content }}")
    done = program.call("generate", "hi", "-n", "1", "-q", "-m", str(model))
    if reason:
        assert reason in done.complaint(ExitCode.MODEL)
    else:  # computed from the left: a small number
        assert done.code == 0


def test_a_power_that_takes_for_ever_is_refused():
    environment = jinja.Sandbox()
    for text in ("{{ 9 ** (9 ** 9) }}", "{{ n ** n }}"):
        with jinja.bounded(), pytest.raises(jinja.TooMuch, match="power"):
            environment.from_string(text).render(n=10**6)
    assert environment.from_string("{{ 2 ** 64 }}").render() == str(2**64)


def test_the_bounds_leave_nothing_behind():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    template = jinja.Sandbox().from_string("{{ x }}")
    for _ in range(20):
        assert jinja.render(template, {"x": 1}) == "1"
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_long_error_of_a_template_is_cut(program, tmp_path):
    template = "{{ raise_exception('no ' * 1000000) }}"
    model = write_llama(tmp_path / "m.gguf", chat_template=template)
    assert len(program.call("generate", "hi", "-m", str(model)).complaint(ExitCode.MODEL)) < 600
