"""The prefix cache: prompts that another run has read, found on disk by their tokens."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import zlib

import pytest
from asked import LONG, calls, ends, ids, raw
from models import write_llama, write_mamba
from odd_shapes import write_deepseek4
from program import CHECKOUT
from shapes import write_windowed

from llmparams_cli.backends.llama.decoding.prefixes import Prefixes
from llmparams_cli.backends.llama.native import state
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import find_model
from llmparams_cli.models.stores import BUILTIN
from llmparams_cli.protocol import Passage
from llmparams_cli.records.prefixes import segment, store
from llmparams_cli.records.prefixes.segment import Scope
from llmparams_cli.records.prefixes.store import Store

BLOCK = 64
TEXT = LONG  # of more than two blocks
LONGER = TEXT + "A cat sat on the bear. " * 10
BRANCH = TEXT[: len(TEXT) * 2 // 3] + " Then a dog came. " * 8
SCOPE = Scope("a model", "/models/a.gguf", {"files": [1], "settings": {"rope": 0}})


class Runs:
    """Runs one after the other, each with a model loaded anew, and one cache."""

    def __init__(self, variables, place):
        self.place = place
        self._variables = variables

    def __call__(self, *texts, keeps=True, model=BUILTIN, slots=1, work=None, **values):
        env = Environment(variables=self._variables, quiet=True, keeps_prompts=keeps)
        requests = [raw(text, logprobs=3, **values) for text in texts]
        with (
            Control() as control,
            opened(
                env, find_model(str(model), env), requests[0].settings, control, slots=slots
            ) as backend,
        ):
            if work:
                return work(backend)
            return ends(backend, requests if slots == 1 else iter(requests))

    def same(self, *texts, **more):
        """The last events of a run, which are those of one without cache."""
        found, fresh = self(*texts, **more), self(*texts, keeps=False, **more)
        for one, other in zip(found, fresh, strict=True):
            assert ids(one) == ids(other) and one.text == other.text
            assert [token.logprob for token in one.tokens] == [t.logprob for t in other.tokens]
            assert [token.top for token in one.tokens] == [token.top for token in other.tokens]
        return found

    @property
    def files(self):
        return sorted(path for path in self.place.rglob("*") if path.is_file())


@pytest.fixture
def runs(cache, tmp_path, monkeypatch):
    place = tmp_path / "prefixes"
    monkeypatch.setattr(Prefixes, "least", 2 * BLOCK)
    monkeypatch.setattr(store, "directory", lambda _env: place)
    return Runs({"LLMPARAMS_CACHE_DIR": str(cache)}, place)


def cached(finished):
    return finished.usage.cached_tokens


def whole(finished):
    """The tokens in whole blocks of a prompt, but for the last one, which is a row."""
    return (finished.usage.prompt_tokens - 1) // BLOCK * BLOCK


# The same answer


@pytest.mark.parametrize("text", [TEXT, LONGER, BRANCH], ids=["repeat", "longer", "branch"])
def test_a_later_run_reads_only_what_is_new_and_answers_the_same(runs, text, monkeypatch):
    [first] = runs(TEXT)
    assert cached(first) == 0 and whole(first) >= 2 * BLOCK
    seen = calls(monkeypatch)
    [second] = runs(text)
    assert 0 < cached(second) <= whole(first)
    assert cached(second) % BLOCK == 0
    assert seen[0][0][1] == cached(second)  # the first call goes on there
    if text != BRANCH:
        assert cached(second) == whole(first)
    runs.same(text)


def test_every_run_adds_what_it_read(runs):
    runs(TEXT)
    before = runs.files
    [longer] = runs(LONGER)
    assert len(runs.files) == whole(longer) // BLOCK
    assert set(before) < set(runs.files)
    [again] = runs.same(LONGER)
    assert cached(again) == whole(longer)


@pytest.mark.parametrize(
    "values",
    [
        {"flash_attention": "off"},
        {"cache_type_k": "q8_0", "cache_type_v": "q8_0"},
        {"ubatch_size": 32},
        {"rope_freq_scale": 0.5},
        {"temperature": 0.9, "seed": 3, "repeat_penalty": 1.3},
    ],
    ids=lambda values: " ".join(values),
)
def test_with_other_settings_too(runs, values):
    runs(TEXT, **values)
    [found] = runs.same(LONGER, **values)
    assert cached(found) > 0


def test_a_long_context_of_a_model_with_windows(runs, tmp_path):
    """Of layers that look only so far back, a state has only the last cells."""
    model = write_windowed(tmp_path / "windowed.gguf")
    text = "A word and another one. " * 60
    [first] = runs(text, model=model)
    assert whole(first) >= 8 * BLOCK
    for more in ("", " And then?", "A fox. " * 40):
        [found] = runs.same(text + more, model=model)
        assert cached(found) == whole(first)
    [shorter] = runs.same(text[: len(text) // 2], model=model)
    assert cached(shorter) == whole(shorter)


def test_many_blocks(runs, tmp_path):
    model = write_llama(tmp_path / "m.gguf", context=4096)
    text = "The fox saw the bear and the cat. " * 60
    [first] = runs(text, model=model)
    assert whole(first) >= 16 * BLOCK
    [found] = runs.same(text + "Why?", model=model)
    assert cached(found) == whole(first)


@pytest.mark.parametrize("slots", [1, 3])
def test_several_answers_find_what_one_has_read(runs, slots):
    """In a list their number is known, in a stream it is not; each has cells of its own."""
    runs(TEXT)
    files = runs.files
    found = runs.same(TEXT + "A cat.", LONGER, "Another text. " * 20, slots=slots)
    assert [cached(each) > 0 for each in found][2] is False
    assert any(cached(each) for each in found[:2])
    if slots > 1:
        return
    assert runs.files == files  # with several at once, nothing is added


@pytest.mark.parametrize("room", [550, 750])
def test_answers_that_share_their_cells(runs, monkeypatch, room):
    """With little memory; with less of it, what others hold has to go."""
    runs(TEXT)
    place = "llmparams_cli.backends.llama.host.memory.Left.lack"
    monkeypatch.setattr(place, lambda _self, size, *_, **__: "" if size <= room else "too much")
    texts = [TEXT + " A cat.", "The fox. " * 20, TEXT + " A dog.", TEXT]
    assert cached(runs.same(*texts)[0]) > 0


def test_what_is_in_memory_is_not_read_from_disk(runs, monkeypatch):
    runs(TEXT)
    loads = []
    load = Prefixes.load
    monkeypatch.setattr(
        Prefixes, "load", lambda self, *given: loads.append(given) or load(self, *given)
    )
    runs("x", work=lambda backend: [ends(backend, [raw(TEXT)]) for _ in range(3)])
    assert len(loads) == 1


def test_a_prompt_that_is_short_is_not_kept(runs):
    runs("The fox saw a bear. " * 3)
    assert runs.files == []


def test_nothing_is_read_or_kept_unless_wanted(runs):
    runs(TEXT, keeps=False)
    assert runs.files == []
    runs(TEXT)
    [found] = runs(TEXT, keeps=False)
    assert cached(found) == 0


def test_scoring_keeps_nothing(runs):
    def score(backend):
        for _, scored in backend.score([Passage(raw(TEXT), " The end.")]):
            scored.trace.close()

    runs("x", work=score)
    assert runs.files == []


@pytest.mark.parametrize("write", [write_mamba, write_deepseek4])
def test_a_state_that_cannot_be_cut_is_not_kept(runs, tmp_path, write):
    model = write(tmp_path / "m.gguf")
    for _ in range(2):
        [found] = runs(TEXT, model=model)
        assert cached(found) == 0
    assert runs.files == []


# Whose state it is


@pytest.mark.parametrize(
    "values",
    [
        {"flash_attention": "off"},
        {"cache_type_k": "q8_0"},
        {"rope_freq_base": 20000.0},
        {"ubatch_size": 128},
    ],
    ids=lambda values: " ".join(values),
)
def test_other_settings_are_another_scope(runs, values):
    runs(TEXT)
    [found] = runs.same(TEXT, **values)
    assert cached(found) == 0


@pytest.mark.parametrize("values", [{"context": 512}, {"top_k": 3}, {"mmap": False}], ids=str)
def test_settings_that_change_no_state_do_not_matter(runs, values):
    runs(TEXT)
    [found] = runs(TEXT, **values)
    assert cached(found) > 0


def test_a_state_is_the_same_whatever_number_of_threads_computed_it(runs):
    runs(TEXT)
    [found] = runs.same(TEXT, threads=2)
    assert cached(found) > 0


def test_another_model_at_the_same_place_is_another_scope(runs, tmp_path):
    model = write_llama(tmp_path / "m.gguf", context=1024)
    runs(TEXT, model=model)
    assert cached(*runs(TEXT, model=model)) > 0
    write_llama(model, context=1024, seed=1)
    [found] = runs.same(TEXT, model=model)
    assert cached(found) == 0


def test_an_adapter_and_its_scale_are_part_of_the_scope(runs, tmp_path):
    from models import write_adapter

    adapter = write_adapter(tmp_path)
    model = adapter.parent / "base.gguf"
    text = TEXT[:200]
    for lora in ([], [str(adapter)], [f"{adapter}:0.5"]):
        assert cached(*runs(text, model=model, lora=lora)) == 0
        assert cached(*runs.same(text, model=model, lora=lora)) > 0


def test_equal_names_do_not_make_equal_tokens(runs, monkeypatch):
    """As if the hash of another prompt were the same."""
    names = segment.names

    def colliding(scope, tokens, block):
        return (f"{number:032x}" for number, _ in enumerate(names(scope, tokens, block)))

    monkeypatch.setattr(segment, "names", colliding)
    other = "Nobody knows what the whale said to them. " * 12
    runs(other)
    [found] = runs.same(TEXT)
    assert cached(found) == 0
    # The run has written its own in their place.
    assert cached(*runs.same(TEXT)) > 0
    assert cached(*runs.same(other)) == 0


def test_equal_names_do_not_make_equal_scopes(tmp_path):
    kept, tokens = Store(tmp_path, 10**9), list(range(BLOCK))
    path = tmp_path / "file"
    path.write_bytes(segment.written(SCOPE, tokens, BLOCK, [], [memoryview(b"state")]))
    assert kept.read(path, SCOPE, tokens)
    assert kept.read(path, Scope("a model", "/models/a.gguf", {"files": [2]}), tokens) is None
    assert path.exists()


# What happens to files


def shorten(data):
    return data[: len(data) // 2]


def flip(data):
    place = len(data) * 3 // 4
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def of_another_version(data):
    data = data.replace(b"prefix 1", b"prefix 2")
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))


HARM = {
    "truncated": shorten,
    "a flipped bit": flip,
    "empty": lambda _: b"",
    "foreign": lambda _: b"GGUF" + bytes(1000),
    "another version": of_another_version,
    "longer": lambda data: data + b"more",
}


@pytest.mark.parametrize(("what", "number"), [*((what, 1) for what in HARM), ("truncated", 0)])
def test_a_damaged_file_is_removed_and_its_tokens_are_read(runs, what, number):
    [first] = runs(LONGER)
    harm = HARM[what]
    chain = in_order(runs.files)
    chain[number].write_bytes(harm(chain[number].read_bytes()))
    [found] = runs(LONGER)
    assert cached(found) == number * BLOCK
    assert ids(found) == ids(first)
    assert cached(*runs.same(LONGER)) == whole(first)  # written anew


def in_order(files):
    """The files of a prompt, by the tokens up to their ends."""

    def tokens(path):
        with path.open("rb") as file:
            return segment.header_of(file)["tokens"]

    return sorted(files, key=tokens)


def test_cells_of_another_size_are_not_used(runs, tmp_path):
    """A whole file with the right tokens, but of another shape: the library would refuse it."""
    [first] = runs(TEXT)
    path = in_order(runs.files)[0]
    data = path.read_bytes()
    with path.open("rb") as file:
        header = segment.header_of(file)
        start = file.tell()
    header["layout"][0][1][0][1] += 2
    text = json.dumps(header).encode()
    magic = segment.MAGIC + struct.pack("<I", len(text))
    changed = magic + text + data[start:-4]
    path.write_bytes(changed + struct.pack("<I", zlib.crc32(changed)))
    [found] = runs(TEXT)
    assert cached(found) == 0 and ids(found) == ids(first)
    assert cached(*runs(TEXT)) == whole(first)  # others have taken its place


def test_files_are_the_users_own(runs):
    runs(TEXT)
    assert {path.stat().st_mode & 0o777 for path in runs.files} == {0o600}
    folders = {runs.place, *(path.parent for path in runs.files)}
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_does_not_fail_the_run(runs, monkeypatch, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(store, "write_whole", refuse)
    [first] = runs(TEXT)
    assert first.text and runs.files == []


def test_a_disk_that_is_nearly_full_is_left_alone(runs, monkeypatch):
    monkeypatch.setattr(store, "free_space", lambda _: store.LEFT_FREE)
    runs(TEXT)
    assert runs.files == []


def test_clearing_while_a_run_is_about_to_read(runs, monkeypatch):
    [first] = runs(TEXT)
    chain = Store.chain

    def cleared(self, *given):
        found = chain(self, *given)
        shutil.rmtree(runs.place, ignore_errors=True)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Store, "chain", cleared)
        [found] = runs(TEXT)
    assert cached(found) == 0 and ids(found) == ids(first)


def test_clearing_while_a_run_writes(runs, monkeypatch):
    written = segment.written

    def cleared(*given):
        shutil.rmtree(runs.place, ignore_errors=True)
        return written(*given)

    monkeypatch.setattr(segment, "written", cleared)
    [first] = runs(TEXT)
    assert first.text


def test_what_was_not_used_for_the_longest_time_goes(tmp_path):
    size = len(segment.written(SCOPE, range(BLOCK), BLOCK, [], [memoryview(b"x" * 1000)]))
    kept = Store(tmp_path, 3 * size + 10)
    paths = []
    for number in range(4):
        tokens = [*range(number, number + BLOCK)]
        [path] = kept.missing(SCOPE, tokens, BLOCK).values()
        kept.add(path, segment.written(SCOPE, tokens, BLOCK, [], [memoryview(b"x" * 1000)]))
        os.utime(path, (number, number))
        paths.append(path)
    kept.use(paths[:1])
    kept.prune()
    assert [path.exists() for path in paths] == [True, False, True, True]
    kept.prune()
    assert [path.exists() for path in paths] == [True, False, True, True]


def test_the_end_of_a_prompt_goes_before_its_beginning(runs, monkeypatch):
    runs(LONGER)
    chain = in_order(runs.files)
    size = sum(path.stat().st_size for path in chain)
    Store(runs.place, size - 1).prune()
    assert [path.exists() for path in chain] == [True] * (len(chain) - 1) + [False]


# Several processes

CODE = """
import sys
from llmparams_cli.backends.llama.decoding.prefixes import Prefixes
from llmparams_cli.records.prefixes import store
Prefixes.least = 128
{more}
from llmparams_cli.cli import main
main()
"""
OPTIONS = ("-m", "builtin", "--raw", "-n", "4", "--temperature", "0", "--json")
KILLED = """
import os
whole = store.write_whole
def killed(path, content, **how):
    if len(list(path.parent.iterdir())) == 2:
        os.replace = lambda *_: os.kill(os.getpid(), 9)
    whole(path, content, **how)
store.write_whole = killed
"""


def started(program, text, more=""):
    return subprocess.Popen(
        [sys.executable, "-c", CODE.format(more=more), "generate", text, *OPTIONS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=program.variables | {"PYTHONPATH": str(CHECKOUT)},
        cwd=program.place,
    )


@pytest.fixture
def apart(program, cache, tmp_path):
    """The program with a cache directory of its own, where the library has been probed."""
    own = tmp_path / "cache"
    own.mkdir()
    for path in cache.glob("*.json"):
        shutil.copy(path, own)
    program.variables |= {"LLMPARAMS_CACHE_DIR": str(own), "LLMPARAMS_CACHE_SIZE": ""}
    program.cache = own
    return program


def answered(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return json.loads(out)


def test_two_processes_that_write_the_same(apart):
    both = [started(apart, LONGER) for _ in range(2)]
    one, other = map(answered, both)
    assert one["text"] == other["text"]
    third = answered(started(apart, LONGER))
    assert third["usage"]["cached_tokens"] == (third["usage"]["prompt_tokens"] - 1) // 64 * 64
    assert third["text"] == one["text"]
    left = [path.name for path in (apart.cache / "prefixes").rglob(".*")]
    assert left == []


def test_a_process_that_is_killed_while_it_writes_leaves_nothing_half_read(apart):
    process = started(apart, LONGER, KILLED)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    left = [path for path in (apart.cache / "prefixes").rglob("*") if path.is_file()]
    assert len(left) == 3  # two that are whole, and one under a temporary name
    first = answered(started(apart, LONGER))
    assert first["usage"]["cached_tokens"] == 0  # the beginning is written last
    for path in left:
        if path.exists():
            os.utime(path, (1, 1))
    second = answered(started(apart, LONGER))
    assert second["usage"]["cached_tokens"] > 0 and second["text"] == first["text"]


# The state


def test_a_state_is_put_together_as_the_library_wrote_it(runs):
    def look(backend):
        ends(backend, [raw(TEXT)])
        context = backend._slots.context
        context.trim(0, 2 * BLOCK)
        return context.state(0)

    for values in ({}, {"flash_attention": "off"}):
        data = runs(TEXT, keeps=False, work=look, **values)
        found = state.State(data)
        assert (found.first, found.end) == (0, 2 * BLOCK)
        copy = state.blank(found.layout, 2 * BLOCK, 0)
        for start in (0, BLOCK):
            cells = b"".join(found.cells(start, start + BLOCK))
            copy.put(start, start + BLOCK, memoryview(cells))
        assert copy.data == data
        with pytest.raises(state.Unknown):
            copy.put(0, BLOCK, memoryview(cells[:-1]))
        with pytest.raises(state.Unknown):
            copy.put(0, BLOCK, memoryview(cells + b"x"))


def test_the_cells_of_one_sequence_among_several():
    for layout in ([[0, [[1, 8]], []]], [[0, [[1, 8]], [[1, 8]]]], [[1, [[1, 8]], [[1, 2, 4]]]]):
        alone, beside = state.blank(layout, 3, 0), state.blank(layout, 3, 2, streams=4)
        assert len(beside.data) == len(alone.data) + 3 * 4
        assert beside.layout == layout and beside.sequence == 2
        beside.put(1, 2, memoryview(bytes(range(len(b"".join(alone.cells(1, 2)))))))
        assert b"".join(beside.cells(0, 1)).count(0) == len(b"".join(beside.cells(0, 1)))
        assert any(b"".join(beside.cells(1, 2)))


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"",
        lambda data: b"abcd" + data[4:],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:12] + b"\xff" * 4 + data[16:],  # so many cells
        lambda data: data[:16] + b"\x07" + data[17:],  # the first cell elsewhere
        lambda data: data[:8],
    ],
)
def test_another_format_is_refused(harm):
    layout = [[0, [[1, 8], [1, 8]], [[1, 8], [1, 8]]]]
    data = bytes(state.blank(layout, 3, 0).data)
    assert state.State(bytearray(data)).layout == layout
    with pytest.raises(state.Unknown):
        state.State(bytearray(harm(data)))
