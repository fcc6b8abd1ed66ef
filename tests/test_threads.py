"""How many threads compute beside other processes."""

from __future__ import annotations

import time

import pytest
from asked import LONG, SHORT, ends, ids, raw

from llmparams_cli.backends.llama.host import hardware, threads
from llmparams_cli.backends.llama.native.context import Context

FREE = {"threads": 0}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with so many processors, of which so many can be used; `busy` says how many
    threads want one, this process's own among them.
    """
    load = tmp_path / "loadavg"

    def made(cpus, usable, running=1):
        monkeypatch.setattr(hardware, "cpus", lambda: cpus)
        monkeypatch.setattr(hardware, "usable_cpus", lambda: usable)
        monkeypatch.setattr(threads, "LOAD", load)
        busy(running)

    def busy(running):
        load.write_text(f"0.50 0.40 0.30 {running}/123 4567\n")

    made.busy = busy
    return made


@pytest.mark.parametrize(
    ("cpus", "usable", "others", "free"),
    [
        (2, 2, 0, 2),
        (2, 2, 0.5, 2),
        (2, 2, 0.6, 1),
        (2, 2, 18, 1),
        (16, 16, 1, 15),
        (16, 16, 3.4, 13),
        (64, 4, 32, 2),  # half of the machine is busy
        (64, 4, 64, 1),
        (1, 1, 5, 1),
    ],
)
def test_as_many_as_have_a_processor_of_their_own(cpus, usable, others, free, machine):
    machine(cpus, usable)
    assert threads.free_beside(others) == free


def test_whoever_wants_a_processor_each_time_has_it(machine, monkeypatch):
    machine(4, 4, running=3)
    seen = threads.Threads()
    machine.busy(9)
    seen.look()
    assert seen.others == 2 and seen.free() == 2
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + threads.RECENT + 1)
    seen.look()
    assert seen.others == 8 and seen.free() == 1


@pytest.mark.parametrize("text", ["", "nonsense", "0.1 0.2 0.3 x/5 6"])
def test_a_system_that_says_nothing_is_asked_otherwise(machine, monkeypatch, text):
    machine(4, 4)
    threads.LOAD.write_text(text)
    monkeypatch.setattr("os.getloadavg", lambda: (3.0, 0.0, 0.0))
    assert threads.Threads().others == 2


def test_what_others_have_taken_is_counted_over_a_while(machine, monkeypatch):
    machine(4, 4)
    seen = threads.Threads()
    assert seen.free_now() is None, "it is too early to tell"
    end = time.monotonic() + threads.INTERVAL
    while time.monotonic() < end:
        time.sleep(0.05)
    assert seen.free_now() in range(1, 5)
    assert seen.free_now() is None


def used(monkeypatch):
    """The numbers of threads that a context is told to use."""
    told = []
    use = Context.use_threads
    monkeypatch.setattr(
        Context, "use_threads", lambda self, *counts: told.append(counts) or use(self, *counts)
    )
    return told


def test_an_answer_leaves_others_their_processors_and_says_so(machine, opener, monkeypatch):
    machine(2, 2, running=3)
    told, notes = used(monkeypatch), []
    backend = opener(**FREE)
    monkeypatch.setattr(backend._env, "note", notes.append)
    ends(backend, [raw(SHORT, **FREE)])
    assert told == [(1, 1)]
    assert notes == [
        "other processes want 2 of 2 processors: 1 of 2 threads compute (--threads 2 insists)"
    ]
    assert backend.facts()["device"]["threads"] == 1


def test_who_says_how_many_has_them(machine, opener, monkeypatch):
    machine(2, 2, running=9)
    told = used(monkeypatch)
    backend = opener(threads=2)
    ends(backend, [raw(SHORT, threads=2)])
    assert told == [] and backend.facts()["device"]["threads"] == 2
    own = opener(**FREE)
    ends(own, [raw(SHORT, threads_batch=2, **FREE)])
    assert told == [(1, 2)]


def test_in_a_stream_the_number_follows_the_load_and_the_bits_stay(machine, opener, monkeypatch):
    machine(2, 2)
    asked = [raw(LONG, deterministic=True, **FREE), raw(SHORT, deterministic=True, **FREE)]
    alone = [ids(each) for each in ends(opener(slots=2, deterministic=True), iter(asked))]
    turn = iter([1, 2] * 100)
    monkeypatch.setattr(threads.Threads, "free_now", lambda self: next(turn))
    told = used(monkeypatch)
    assert [ids(e) for e in ends(opener(slots=2, deterministic=True), iter(asked))] == alone
    assert told[:3] == [(2, 2), (1, 1), (2, 2)]
