"""GBNF grammars are read as llama.cpp reads them, and what would hang or end it is refused."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice, pairwise, product

import pytest
import sdist
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program import Program

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.constraints.gbnf.checks import checked
from llmparams_cli.constraints.gbnf.reader import read
from llmparams_cli.constraints.gbnf.rules import Characters, Fault, Grammar, Token
from llmparams_cli.constraints.gbnf.shortest import shortest
from llmparams_cli.constraints.gbnf.stacks import END, Followed, Stacks
from llmparams_cli.errors import ExitCode
from llmparams_cli.models import builtin

# What is refused: the message begins with, and has, and the cure has.
REFUSED = {
    "": ("line 1, column 1: ", "'root'", "root ::="),
    "# nothing but this\n": ("line 1, column 1: ", "'root'", "root ::="),
    "start ::= [a-z]": ("line 1, column 1: ", "'root'", "rename 'start'"),
    "root": ("line 1, column 5: ", "::= behind the name 'root'", "name ::= …"),
    "root = x": ("line 1, column 6: ", "::=", "name ::= …"),
    "root: x": ("line 1, column 5: ", "::=", "name ::= …"),
    "root ::= my_name": ("line 1, column 12, rule 'root': ", "not _", "letters, digits and -"),
    "my_name ::= x": ("line 1, column 3: ", "not _", "letters, digits and -"),
    "root ::= 'a'": ("line 1, column 10, rule 'root': ", "not '", "double quotes"),
    'root ::= "a";': ("line 1, column 13, rule 'root': ", "not ;", "without ;"),
    'root ::= "a" // b': ("line 1, column 14, rule 'root': ", "not /", "#"),
    'root ::= "a", "b"': ("line 1, column 13, rule 'root': ", "not ,", "commas"),
    'root ::= "a")': ("line 1, column 13, rule 'root': ", "not )", "not opened"),
    'root ::= "a"\n  | "b"': ("line 2, column 3: ", "not |", "end the line before with |"),
    'root ::= "a"\r\n| "b"': ("line 2, column 1: ", "not |", "end the line before with |"),
    'root ::= ("a" | ("b")': ("line 1, column 10, rule 'root': ", "bracket is never closed", ")"),
    'root ::= ("a" ]': ("line 1, column 15, rule 'root': ", ") is expected, not ]", ""),
    'root ::= "a\nb ::= c': ("line 1, column 10, rule 'root': ", "literal is never closed", '"'),
    "root ::= [a-z": ("line 1, column 10, rule 'root': ", "class is never closed", "]"),
    'root ::= "a\\d"': ("line 1, column 12, rule 'root': ", "no escape \\d", "[0-9]"),
    'root ::= "\\q"': ("line 1, column 11, rule 'root': ", "no escape \\q", "\\xHH"),
    'root ::= "\\x4"': ("line 1, column 11, rule 'root': ", "2 hexadecimal digits", ""),
    "root ::= [\\u12]": ("line 1, column 11, rule 'root': ", "4 hexadecimal digits", ""),
    "root ::= [z-a]": ("line 1, column 10, rule 'root': ", "[z-a] admits no character", "low"),
    'root ::= "a\\x00"': ("line 1, column 10, rule 'root': ", "no text contains", "\\x00"),
    'root ::= "a\0"': ("line 1, column 12: ", "not text", "UTF-8"),
    "root ::= *": ("line 1, column 10, rule 'root': ", "* repeats nothing", ""),
    'root ::= "a" | +': ("line 1, column 16, rule 'root': ", "+ repeats nothing", ""),
    'root ::= ""{2}': ("line 1, column 12, rule 'root': ", "{2} repeats nothing", ""),
    'root ::= "a"{5,3}': ("line 1, column 13, rule 'root': ", "{5,3}", "write {3,5}"),
    'root ::= "a"{,3}': ("line 1, column 13, rule 'root': ", "{n,m}", ""),
    'root ::= "a"{3': ("line 1, column 13, rule 'root': ", "{n,m}", ""),
    'root ::= "a"{2001}': ("line 1, column 13, rule 'root': ", "at most 2,000", "rule of its own"),
    'root ::= "a"{99999999999999999999}': ("line 1, column 13, rule 'root': ", "2,000", ""),
    "root ::= ([a-z]{1,50} [0-9]){50}": ("line 1, column 29, rule 'root': ", "2,500 times", "*"),
    "root ::= " + '"' + "x" * 2000 + '"{2000}': ("line 1, ", "2,000,000 characters", "smaller"),
    "root ::= " + '"x"{0,2000} ' * 101: ("line 1, ", "200,000 rules", "smaller"),
    "root ::= " + "(" * 1001 + '"a"' + ")" * 1001: ("line 1, column 1010", "1,000 brackets", "*"),
    'root ::= item\nitems ::= "a"': ("line 1, column 10, rule 'root': ", "'item'", "'items'"),
    'a ::= root{0} "x"': ("line 1, column 7, rule 'a': ", "there is no rule 'root'", ""),
    "root ::= <think": ("line 1, column 10, rule 'root': ", "token is not complete", "<[1000]>"),
    "root ::= <[x]>": ("line 1, column 10, rule 'root': ", "token is not complete", "<[1000]>"),
    "root ::= ![a]": ("line 1, column 11, rule 'root': ", "!<think>", "[^…]"),
    "root ::= <[4294967296]>": ("line 1, column 10, rule 'root': ", "so large", ""),
    # Left recursion: direct, through others, through what is empty, by repetition.
    'root ::= "a" | root "b"': ("line 1, column 1, rule 'root': ", "begin with itself", "*"),
    'root ::= x\nx ::= y "" | "b"\ny ::= x': ("line 2, column 1, rule 'x': ", "with 'y', that", ""),
    'root ::= x\nx ::= y "" | "b"\ny ::= z "" | "c"\nz ::= x': ("line 2, ", "with 'z', that", ""),
    'root ::= e root "b" | "a"\ne ::= ""': ("line 1, column 1, rule 'root': ", "recursion", ""),
    'root ::= e root "b" | "a"\ne ::= "q"?': ("line 1, column 1, rule 'root': ", "recursion", ""),
    'root ::= "a"?*': ("line 1, column 14, rule 'root': ", "repeats what may be empty", ""),
    'root ::= ("")*': ("line 1, column 14, rule 'root': ", "repeats what may be empty", ""),
    'root ::= "x"\na ::= a': ("line 2, column 1, rule 'a': ", "left recursion", ""),
    # No end, no beginning.
    'root ::= "a" root': ("line 1, column 1, rule 'root': ", "ever ends", "alternative"),
    'root ::= "a" | b\nb ::= "b" c\nc ::= "c" b': ("line 2, column 1, rule 'b': ", "ever ends", ""),
    "root ::= a1" + "".join(f'\na{n} ::= (a{n + 1} | "x") "y" | (a{n + 1} | "z") "w"'
    for n in range(1, 30)) + '\na30 ::= "z"': ("line ", "minutes", "in common"),
    # Two alternatives that begin alike, by different rules, at every level.
    'root ::= a root "b" | c root "d" | ""\na ::= "x" | "y"\nc ::= "x" | "z"': (
        "line 1, column 1, rule 'root': ", "behind 'xxxx", "in common"),
    "root ::= a*\na ::= " + " | ".join(f'"{chr(n)}"' for n in range(0x4E00, 0x4E00 + 20_001)): (
        "line ", "ways of reading at once, at its beginning", "in common"),
    'root ::= "x" ' + "a? " * 5 + "\na ::= " + " | ".join(
        f'"{chr(n)}"' for n in range(0x4E00, 0x4E00 + 5_000)): (
        "line 1, ", "at once, where many parts may be left out", "in common"),
}  # fmt: skip

# What is read, whatever it looks like, and a shortest text of it.
READ = {
    'root ::= "yes" | "no"': "no",
    "root::=[a]": "a",
    '\n\n  # remark\n\troot\t::=  "a" # b\n': "a",
    'root ::=\n\n  "a"': "a",
    'root ::= "a" |\n  "bc"\r\nx ::= "y"\r\n': "a",
    'root ::= x\r\nx ::= "y"\r\n': "y",
    'root ::= x\rx ::= "y"': "y",
    'root ::= (\n  "a" # one\n  | "b"\n)\n': "a",
    'root ::= ( "a"\n * \n "b" )': "b",
    'root ::= "a"{ 2 , 3 } "b"{0} "c"{1,} "d"{2}{2}': "aacdddd",
    'root ::= A-1 9\nA-1 ::= "é狐"\n9 ::= "\\u72d0\\U0001F98A\\xe9"': "é狐狐🦊é",
    'root ::= "\\t\\r\\n\\\\\\"\\[\\]\\-[]#("': '\t\r\n\\"[]-[]#(',
    "root ::= [^a] [a-] [-a] [--0] [\\]] [^\\]] [\\x41-\\x43] . []": None,
    'root ::= "\n"': "\n",
    'root ::= | "a"': "",
    "root ::= ": "",
    'root ::= ("a"?)* ("b"* )* ("c"+)? ("d"*)+': "",
    'root ::= "a" root | "a"': "a",
    'root ::= (sp | nl)* "-"{4,}\nsp ::= [ \\t]*\nnl ::= "\\r"? "\\n"': "----",
    'root ::= "x"\na ::= b a "c" | "d"\nb ::= "q"?': "x",  # recursive, but out of reach
    'root ::= <[10]> content <[11]>\ncontent ::= (!<[11]>)* "!"': "!",
    'root ::= "x"\na ::= "b" a': "x",  # without end, but out of reach
    "root ::= " + "(" * 1000 + '"a"' + ")" * 1000: "a",
    "root ::= a{2000}\na ::= b{2000}\nb ::= c{2000}\nc ::= [a-z]{2000}": "a" * 100_000,
    'root ::= "[" e "]" | "1"\ne ::= root | root "," e': "1",
    'root ::= "a" root "b" | "a" root "c" | ""': "",
    'root ::= expr\nexpr ::= term | term "+" expr | term "-" expr\n'
    'term ::= n | n "*" term | n "/" term\nn ::= [0-9]+ | "(" expr ")"': "0",
    "root ::= " + " | ".join(f'"word-{number}"' for number in range(3000)): "word-0",
}


@pytest.mark.parametrize(("text", "told"), REFUSED.items(), ids=[text[:40] for text in REFUSED])
def test_a_grammar_that_is_none_is_told_with_its_place_and_a_cure(text, told):
    begin, inside, cure = told
    with pytest.raises(Fault) as refused:
        checked(text)
    message = str(refused.value)
    assert message.startswith(begin) and "\n" not in message
    assert inside in message
    assert cure in refused.value.cure


@pytest.mark.parametrize(("text", "wanted"), READ.items(), ids=[text[:40] for text in READ])
def test_the_shortest_text_of_a_grammar(text, wanted):
    found = shortest(checked(text))
    assert wanted is None or found == wanted
    assert wanted == "a" * 100_000 or "<[" in text or admits(checked(text), found)


@pytest.mark.parametrize("text", [text for text in READ if len(text) < 1000 and "<[" not in text])
def test_llama_cpp_takes_what_is_read(text, model):
    assert is_taken(model, checked(text).followed)
    assert is_taken(model, text, tokens=0)


def test_where_any_character_will_do_those_of_a_fill_come_in_turn():
    assert shortest(checked('root ::= [a-z]{5} "-" [a-z]{2}'), "abc") == "abcab-ab"


def test_what_llama_cpp_reads_otherwise_than_written_is_noted():
    (note,) = checked('root ::= "a"{3,5000}').notes
    assert note.startswith("line 1, column 13, rule 'root': ") and "{3,}" in note
    (note,) = checked('root ::= a\na ::= "x"\na ::= "y"').notes
    assert note.startswith("line 3, column 1, rule 'a': ") and "last" in note
    assert shortest(checked('root ::= a\na ::= "x"\na ::= "y"')) == "y"


# llama.cpp's own grammars and tests.


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return sdist.sources(tmp_path_factory)


@pytest.mark.network
def test_the_grammars_that_llama_cpp_ships_are_read(sources):
    paths = sorted((sources / "grammars").glob("*.gbnf"))
    assert len(paths) >= 8
    for path in paths:
        assert checked(path.read_text()).notes == []


RAW = re.compile(r'R"""\((.*?)\)"""', re.DOTALL)
STRING = re.compile(r'R"""\((.*?)\)"""|"((?:[^"\\]|\\.)*)"', re.DOTALL)


def strings(source: str) -> list[str]:
    """The C++ strings of a list; those that are put together with token(…) are left out."""
    lines = re.sub(r"//.*", "", source)
    without = re.sub(r"[^\n]*\btoken\(.*", "", lines)
    found = STRING.finditer(without)
    return [
        raw or plain.encode("latin-1", "backslashreplace").decode("unicode_escape")
        for raw, plain in (one.groups(default="") for one in found)
    ]


@pytest.mark.network
def test_llama_cpps_tests_of_grammars_hold(sources):
    source = (sources / "tests" / "test-grammar-integration.cpp").read_text()
    cases = source.split("    test_grammar(\n")[1:]
    assert len(cases) >= 14
    for case in cases:
        grammar = checked(RAW.findall(case)[0])
        behind = case.partition("// Passing strings")[2]
        passing, failing = behind.partition("\n    );")[0].split("// Failing strings")
        for text in strings(passing):
            assert admits(grammar, text), (grammar.text, text)
        for text in strings(failing):
            assert not admits(grammar, text), (grammar.text, text)


@pytest.mark.network
def test_rules_are_written_out_as_llama_cpp_does(sources):
    """Its tests of its reader, element for element."""
    source = (sources / "tests" / "test-grammar-parser.cpp").read_text()
    body = source[source.index("int main") :]
    wrong, right = body.split("verify_failure(")[1:], body.split("verify_parsing(")[1:]
    assert len(wrong) >= 6 and len(right) >= 15
    for case in wrong:
        with pytest.raises(Fault):
            read(RAW.findall(case)[0])
    for case in right:
        found = re.findall(r"LLAMA_GRETYPE_(\w+), (?:/\*.*?\*/ )?(?:'(\\?.)'|(\d+))", case)
        wanted = [
            (kind, ord(char.encode().decode("unicode_escape")) if char else int(number))
            for kind, char, number in found
        ]
        assert list(elements(read(RAW.findall(case)[0]))) == wanted


def elements(grammar: Grammar) -> Iterator[tuple[str, int]]:
    """The rules as llama.cpp lists them."""
    for rule in grammar.rules:
        for number, sequence in enumerate(rule.alternatives):
            if number:
                yield "ALT", 0
            for element in sequence:
                if isinstance(element, int):
                    yield "RULE_REF", element
                elif isinstance(element, Token):
                    yield "TOKEN_NOT" if element.is_negated else "TOKEN", element.number or 0
                else:
                    yield from listed(element)
        yield "END", 0


def listed(element: Characters) -> Iterator[tuple[str, int]]:
    kind = "CHAR_NOT" if element.is_negated else "CHAR"
    if not element.ranges:
        yield "CHAR_ANY", 0
    for low, high in element.ranges:
        yield kind, low
        if low != high:
            yield "CHAR_RNG_UPPER", high
        kind = "CHAR_ALT"


def admits(grammar: Grammar, text: str) -> bool:
    """Is this a whole text of the grammar?"""
    return END in follow(grammar, text)


def follow(grammar: Grammar, text: str) -> Stacks:
    """The stacks that llama.cpp has behind the text."""
    followed = Followed(grammar, 100_000)
    stacks = followed.begin()
    for char in text:
        stacks = followed.behind(stacks, ord(char))
    return stacks


# Random grammars: what is read here, llama.cpp takes; what is no grammar, it refuses.


@pytest.fixture(scope="module")
def model():
    params = llama().llama_model_default_params()
    params.vocab_only = True
    model = Model(builtin.PATH, params)
    yield model
    model.close()


def is_taken(model: Model, text: str, tokens: int = 3) -> bool:
    """Does llama.cpp take the grammar, and can it follow it for some tokens?"""
    lib = llama()
    with quiet():
        handle = lib.llama_sampler_init_grammar(model.vocab, text.encode(), b"root")
    if not handle:
        return False
    try:
        for _ in range(tokens):
            array = (lib.llama_token_data * model.n_vocab)()
            for number in range(model.n_vocab):
                array[number].id, array[number].logit = number, 1.0
            every = lib.llama_token_data_array(data=array, size=model.n_vocab)
            lib.llama_sampler_apply(handle, ctypes.byref(every))
            left = [one.id for one in array if one.logit == 1.0]
            assert left, "a dead end"
            if model.ends_generation(left[-1]):
                break
            lib.llama_sampler_accept(handle, left[-1])
    finally:
        lib.llama_sampler_free(handle)
    return True


@contextmanager
def quiet() -> Iterator[None]:
    """Without what C code writes to stderr."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


NAMES = ("root", "a", "b")
TERMINALS = ('"x"', '"xy"', '""', '"\\n"', '"é"', "[a-z]", "[^x]", "[xy]", ".", "[]", "[a-]")
REPEATS = ("*", "+", "?", "{2}", "{0,2}", "{1,3}", "{0}", "{2,}", "{30,50}")
ODD = (
    "|",
    "(",
    ")",
    "_",
    "\n",
    "\r\n",
    " ",
    "::=",
    '"',
    "[",
    "{",
    "}",
    "{2",
    "<",
    "!",
    "\\",
    "#",
    ";",
)


@st.composite
def grammars(draw: st.DrawFn) -> str:
    items = st.recursive(
        st.sampled_from(NAMES + TERMINALS),
        lambda inner: st.lists(
            st.lists(inner, max_size=3).map(" ".join), min_size=1, max_size=3
        ).map(lambda parts: f"({' | '.join(parts)})"),
        max_leaves=6,
    )
    repeated = st.tuples(items, st.sampled_from(("",) * 12 + REPEATS)).map("".join)
    body = st.lists(st.lists(repeated, max_size=3).map(" ".join), min_size=1, max_size=3)
    return "\n".join(f"{name} ::= {' | '.join(draw(body))}" for name in NAMES)


@settings(max_examples=80, deadline=None, suppress_health_check=[*HealthCheck])
@given(text=grammars())
def test_what_is_checked_llama_cpp_follows(text, model):
    try:
        grammar = checked(text)
    except Fault as fault:
        if "repeats nothing" in str(fault) or "repeated already" in str(fault):
            assert not is_taken(model, text)
        return
    assert is_taken(model, grammar.followed)
    assert admits(grammar, shortest(grammar))


@settings(max_examples=150, deadline=None, suppress_health_check=[*HealthCheck])
@given(parts=st.lists(st.sampled_from((*NAMES, *TERMINALS, *REPEATS, *ODD)), max_size=8))
def test_what_is_no_grammar_llama_cpp_refuses(parts, model):
    text = f'a ::= "a"\nb ::= "b"\nroot ::= {" ".join(parts)}'
    try:
        read(text)
    except Fault as fault:
        # Only a model knows what <…> is; a class without characters it does not mind.
        if "admits no" not in str(fault):
            assert not is_taken(model, text)


@settings(max_examples=80, deadline=None, suppress_health_check=[*HealthCheck])
@given(text=grammars(), read_on=st.text(alphabet="xyaé\n", max_size=6))
def test_what_stands_once_for_several_alternatives_admits_the_same(text, read_on):
    try:
        grammar = checked(text)
    except Fault:
        return
    written = read(grammar.followed)
    for end in range(len(read_on) + 1):
        begun = [follow(one, read_on[:end]) for one in (read(text), grammar, written)]
        assert len({(bool(stacks), END in stacks) for stacks in begun}) == 1


def test_alternatives_that_begin_alike_cost_llama_cpp_one_way():
    words = checked("root ::= " + " | ".join(f'"word-{number}"' for number in range(3000)))
    assert words.followed.startswith('root ::= "word\\x2D" r')
    assert len(follow(words, "word-")) == 10
    assert len(follow(read(words.text), "word-")) == 3000
    assert checked('root ::= "a" | "b"').followed == 'root ::= "a" | "b"'


# The real program.


def refused(program: Program, grammar: str) -> str:
    (program.place / "g.gbnf").write_text(grammar)
    return program.pipe("generate", "hi", "-n", "4", "--grammar", "@g.gbnf").complaint(
        ExitCode.USAGE
    )


def test_a_repetition_that_ends_before_it_begins_is_told(program: Program) -> None:
    line = refused(program, 'root ::= "a"{5,3}')
    assert "--grammar" in line and "line 1, column 13, rule 'root'" in line and "{3,5}" in line


def test_left_recursion_through_an_indirectly_empty_rule_is_told(program: Program) -> None:
    line = refused(program, 'root ::= b "x"\nb ::= c | "y"\nc ::= e b "z"\ne ::= "q"?\n')
    assert (
        "line 3, column 1, rule 'c': left recursion: it can begin with 'b', that with 'c'" in line
    )


def test_a_chain_of_rules_on_which_llama_cpp_overflows_is_told(program: Program) -> None:
    letters = product("abcdefghijklmnopqrstuvwxyz", repeat=4)
    names = ["root", *("".join(one) for one in islice(letters, 80_000))]
    chained = (f"{first}::={second}\n" for first, second in pairwise(names))
    line = refused(program, "".join(chain(chained, [f'{names[-1]}::="a"\n'])))
    assert re.search(r"line \d+, column 1, rule '[a-z]{4}': more than 10,000 rules", line)


def test_a_grammar_of_another_editor_is_read(program: Program) -> None:
    text = '\ufeffroot ::= a-1 | "q"  \r\n\r\na-1 ::=\t"狐"\t# x'
    (program.place / "g.gbnf").write_bytes(text.encode())
    done = program.call("generate", "hi", "-q", "-n", "9", "--grammar", "@g.gbnf")
    assert done.code == 0 and done.text.strip() in ("狐", "q")
    assert program.call("generate", "hi", "-q", "-n", "9", "--grammar", text).code == 0


def test_tokens_that_the_model_has_not_are_told(program: Program) -> None:
    line = refused(program, 'root ::= "a" |\n  <rule>')
    assert "line 2, column 3, rule 'root': <rule> is not one token" in line
    line = refused(program, "root ::= !<[99999999]>")
    assert "line 1, column 10, rule 'root'" in line and "2,048 tokens" in line


def test_a_note_says_what_llama_cpp_reads_otherwise(program: Program) -> None:
    done = program.call("generate", "hi", "-n", "4", "--grammar", 'root ::= "a"{1,5000}')
    assert done.code == 0
    assert done.stderr.count("reads {1,5000} as {1,}") == 1
