"""`models pull` where something fails: servers, networks, disks, and the pull itself."""

import io
import json
import os
import signal
import time

import pyte
import pytest
from hub_server import (
    COMMIT,
    TOKEN,
    cut,
    everything,
    instead,
    page,
    stall,
    status,
)
from models import write_llama
from program import wait_until

from llmparams_cli.download import staging, transfer
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.models.pulled import Pulled, PulledFile
from llmparams_cli.render import transfer as render_transfer
from llmparams_cli.render.transfer import TransferBar, duration
from llmparams_cli.text.units import size_text

FILE = "tiny-Q4_0.gguf"
FOLDER = "owner--repo--Q4_0"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSE", 0.0)


@pytest.fixture
def model(program, hub, gguf):
    """The file on the server; the place where it comes to is returned."""
    hub.add("owner/repo", {FILE: gguf})
    return program.place / "models" / FOLDER / FILE


def starts(hub):
    """Where the requests for bytes began."""
    return [
        int(request.headers["range"].removeprefix("bytes=").partition("-")[0])
        for request in hub.asked()
    ]


def is_left(program):
    """The bytes of the model that wait for the next pull."""
    part = program.place / "models" / ".pulling" / FOLDER / f"{FILE}.part"
    return part.stat().st_size if part.exists() else 0


@pytest.mark.parametrize(
    "faults",
    [
        [cut(20_000), cut(1), cut(100_000)],
        [cut(20_000)] * 2 * transfer.TRIES,
        [status(503), status(429, **{"Retry-After": "0"}), status(500), status(408)],
        [cut(0), cut(0), cut(0), cut(0)],
        [cut(50_000), everything()],
        [everything(length=False)],
    ],
)
def test_a_bad_line_costs_patience_and_nothing_else(hub, pull, model, gguf, faults):
    hub.faults += faults
    done = pull("owner/repo")
    assert done.code == 0, done.stderr
    assert model.read_bytes() == gguf
    assert not hub.faults


def test_what_has_come_is_not_fetched_twice(hub, pull, model):
    hub.faults += [cut(20_000), cut(30_000)]
    pull("owner/repo")
    first, second, third = starts(hub)
    assert 0 == first < second <= 20_000 < third <= 50_000
    assert hub.sent < model.stat().st_size + 2 * (1 << 17)


def test_parts_that_are_whole_are_not_fetched_again(hub, pull, tmp_path):
    write_llama(tmp_path / "m-Q4_0.gguf", tensors_per_file=8)
    parts = {path.name: path.read_bytes() for path in sorted(tmp_path.glob("*-of-*"))}
    hub.add("owner/repo", parts)
    first, second, *_ = parts
    hub.faults += [instead(parts[first])] + [status(503)] * transfer.TRIES
    assert "answers 503" in pull("owner/repo").complaint(ExitCode.MODEL)
    assert pull("owner/repo").code == 0
    asked = [request.path.rpartition("//")[2] for request in hub.asked()]
    assert asked.count(first) == 1
    assert asked.count(second) == transfer.TRIES + 1


def test_a_server_may_say_how_long_it_wants_to_be_left_alone(hub, pull, model, monkeypatch):
    slept = []
    monkeypatch.setattr(transfer.time, "sleep", slept.append)
    hub.faults += [status(429, **{"Retry-After": wait}) for wait in ("7", "99999", "soon")]
    assert pull("owner/repo").code == 0
    assert [seconds for seconds in slept if seconds] == [7.0, transfer.LONGEST_PAUSE]


def test_a_server_that_stays_broken_ends_in_one_line_and_the_rest_is_kept(
    program,
    hub,
    pull,
    model,
    gguf,
):
    hub.faults += [cut(20_000)] + [status(503)] * transfer.TRIES
    complaint = pull("owner/repo").complaint(ExitCode.MODEL)
    assert "answers 503 (run the same command again: it goes on where it was)" in complaint
    assert not model.exists()
    left = is_left(program)
    assert 0 < left <= 20_000
    assert pull("owner/repo").code == 0
    assert model.read_bytes() == gguf
    assert starts(hub)[-1] == left
    assert len(program.pulled()) == 2


def lying(gguf):
    changed = bytearray(gguf)
    changed[-1] ^= 1
    return [
        (instead(bytes(changed)), "came damaged: its SHA-256 is"),
        (instead(gguf + b"more"), "on the server, not"),
        (instead(gguf[:-50_000]), "on the server, not"),
        (instead(b"<html>" + gguf[6:]), "is not a GGUF file: it is an HTML page"),
        (page, "a web page comes instead of tiny-Q4_0.gguf"),
        (status(404, **{"X-Error-Code": "EntryNotFound"}), "does not have this file any more"),
        (status(418), "answers 418"),
        (status(403), "answers 403"),
        (absurd_range, "is '9999999999"),
    ]


def absurd_range(handler, data, start, end):
    """Numbers that Python refuses to convert."""
    handler.close_connection = True
    handler.begin(206, None, **{"Content-Range": f"bytes {start}-{end}/{'9' * 5000}"})


@pytest.mark.parametrize("number", range(9))
def test_a_server_that_lies_is_found_out(program, hub, pull, model, gguf, number):
    fault, words = lying(gguf)[number]
    hub.faults += [fault]
    assert words in pull("owner/repo").complaint(ExitCode.MODEL)
    assert program.pulled() == []
    assert pull("owner/repo").code == 0


@pytest.mark.parametrize("size", [2**44, 2**63, 2**70])
@pytest.mark.parametrize(
    "command", [("models", "pull"), ("models", "pull", "--dry-run"), ("inspect",)]
)
def test_a_size_that_no_file_has_is_a_lie(program, hub, size, command):
    file = {"rfilename": FILE, "size": size, "lfs": {"size": size, "sha256": "a" * 64}}
    file["lfs"]["pointerSize"] = 135
    info = {"id": "owner/repo", "sha": COMMIT, "siblings": [file]}
    headers = {"Content-Type": "application/json"}
    hub.api_faults += [lambda handler: handler.answer(200, json.dumps(info).encode(), **headers)]
    done = program.call(*command, "owner/repo", **hub.variables())
    assert "says that tiny-Q4_0.gguf has" in done.complaint(ExitCode.MODEL)


def test_licences_in_a_list_are_named(hub, pull, model, gguf):
    hub.add("owner/repo", {FILE: gguf}, license=["mit", "apache-2.0"])
    assert ", licence mit, apache-2.0, " in pull("owner/repo").stderr
    hub.add("owner/repo", {FILE: gguf}, license="x" * 500)
    assert f", licence {'x' * 59}…, " in pull("owner/repo", "--force").stderr


def test_what_else_is_in_the_folder_stays(program, hub, pull, model, gguf):
    """Files of the user's own, with or without a model that was pulled before."""
    model.parent.mkdir(parents=True)
    mine, notes = model.with_name("mine.gguf"), model.with_name("notes.txt")
    mine.write_bytes(gguf)
    assert pull("owner/repo").code == 0
    notes.write_text("mine")
    leftover = program.place / "models" / ".pulling" / f"{FOLDER}.old" / "saved.txt"
    leftover.parent.mkdir(parents=True)
    leftover.write_text("of a pull that was killed")
    hub.add("owner/repo", {"other-Q4_0.gguf": gguf})
    assert pull("owner/repo", "--force").code == 0
    there = sorted(path.name for path in model.parent.iterdir())
    assert there == ["mine.gguf", "notes.txt", "other-Q4_0.gguf", "pulled.json", "saved.txt"]
    assert not leftover.parent.parent.exists()


def test_a_server_that_sends_more_than_it_says_is_stopped(hub, pull, model, gguf):
    def longer(handler, data, start, end):
        handler.close_connection = True
        handler.begin(200, None)
        handler.send(data + bytes(1_000_000))

    hub.faults += [longer]
    assert "is longer than announced" in pull("owner/repo").complaint(ExitCode.MODEL)
    assert not model.exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (page, "does not answer as the Hub does"),
        (lambda handler: handler.answer(200, b"[]"), "does not answer as the Hub does"),
        (lambda handler: handler.answer(200, b'{"id": 1}'), "does not answer as the Hub does"),
        (lambda handler: handler.answer(200, b"\xff\x00"), "does not answer as the Hub does"),
        (status(503), "answers 503"),
        (status(429), "has had too many requests"),
        (status(400), "answers 400"),
    ],
)
def test_a_list_that_does_not_come_ends_in_one_line(hub, pull, model, fault, words):
    hub.api_faults += [fault]
    assert words in pull("owner/repo").complaint(ExitCode.MODEL)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://127.0.0.1:9", "127.0.0.1:9 cannot be reached"),
        ("nonsense", "HF_ENDPOINT=nonsense is not an address"),
        ("https://{hub}", "no safe connection to 127.0.0.1"),
        ("http://{hub}/elsewhere", "there is no repository owner/repo"),
        ("ftp://{hub}", "is not an address"),
        ("http://[bad", "HF_ENDPOINT=http://[bad is"),
    ],
)
def test_a_wrong_address_ends_in_one_line(program, hub, endpoint, words):
    address = endpoint.format(hub=hub.url.removeprefix("http://"))
    done = program.call("models", "pull", "owner/repo", HF_ENDPOINT=address)
    assert words in done.complaint(ExitCode.MODEL)


def test_a_silent_server_is_not_waited_for(hub, pull, model, gguf, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.faults += [stall(1.0)]
    assert pull("owner/repo").code == 0
    assert model.read_bytes() == gguf
    hub.api_faults += [lambda handler: time.sleep(1.0)]
    assert "does not answer" in pull("owner/repo", "--force").complaint(ExitCode.MODEL)


def test_redirections_that_lead_in_circles_end(hub, pull, model):
    hub.redirects = False
    here = f"{hub.url}/owner/repo/resolve/main/{FILE}"
    hub.faults += [status(302, Location=here)] * 30
    assert "leads in circles" in pull("owner/repo").complaint(ExitCode.MODEL)


def test_a_mirror_without_sizes_and_without_another_address(hub, pull, model, gguf):
    for redirects in (True, False):
        hub.redirects = redirects
        hub.add("owner/repo", {FILE: gguf}, lists=False)
        assert pull("owner/repo", "--force").code == 0
        assert model.read_bytes() == gguf


@pytest.mark.parametrize(
    ("how", "token", "words"),
    [
        ({"gated": True}, "", "owner/repo is gated: its owner wants you to accept"),
        ({"gated": True}, "hf_wrong", "is gated"),
        ({"private": True}, "", "there is no repository owner/repo"),
        ({"private": True}, "hf_wrong", "your token may not see it"),
        ({}, "nonsense", "does not accept your token"),
        ({}, "hf_\u20ac", "HF_TOKEN has characters in it"),
    ],
)
def test_what_is_not_for_everybody_says_what_is_missing(
    hub,
    pull,
    gguf,
    how,
    token,
    words,
):
    hub.add("owner/repo", {FILE: gguf}, **how)
    complaint = pull("owner/repo", HF_TOKEN=token).complaint(ExitCode.MODEL)
    assert words in complaint
    assert ("HF_TOKEN" in complaint) == (not token or not token.endswith("wrong"))


def test_what_the_hub_itself_refuses_is_told_with_its_reason(hub, pull, model):
    hub.redirects = False
    hub.faults += [status(403, **{"X-Error-Message": "Not from your country."})]
    complaint = pull("owner/repo").complaint(ExitCode.MODEL)
    assert "refuses owner/repo: Not from your country." in complaint


def test_a_token_opens_it_and_stays_with_the_hub(hub, pull, gguf):
    hub.add("owner/repo", {FILE: gguf}, gated=True)
    assert pull("owner/repo", HF_TOKEN=TOKEN).code == 0
    assert {r.headers.get("authorization") for r in hub.asked("hub")} == {f"Bearer {TOKEN}"}
    assert [r.headers.get("authorization") for r in hub.asked("cdn")] == [None]


def test_nothing_is_asked_for_but_the_list_and_the_file(hub, pull, model):
    pull("owner/repo")
    assert [(r.server, r.method, r.path.split("/")[1]) for r in hub.requests] == [
        ("hub", "GET", "api"),
        ("hub", "GET", "owner"),
        ("cdn", "GET", "owner"),
    ]
    assert hub.asked()[0].headers["accept-encoding"] == "identity"
    agents = {request.headers["user-agent"] for request in hub.requests}
    assert all("llmparams/" in agent and "torch" not in agent for agent in agents)


def test_dangerous_names_are_not_files_of_ours(program, hub, pull, gguf):
    names = ["a\\..\\x-Q4_0.gguf", "\x1b[31m-Q8_0.gguf", ".hidden-Q5_K_M.gguf", "c:x-Q6_K.gguf"]
    names += ["../../up-Q4_1.gguf", "a\x1b[31m/x-Q4_K_S.gguf", "a:b/x-Q5_0.gguf"]
    names += ["x" * 240 + "-Q3_K_M.gguf"]
    hub.add("owner/repo", dict.fromkeys(names, gguf))
    complaint = pull("owner/repo").complaint(ExitCode.MODEL)
    assert "there is no GGUF model" in complaint
    assert program.pulled() == []


def test_a_file_that_no_program_could_load_is_not_kept(program, hub, pull):
    hub.add("owner/repo", {FILE: b"GGUF\x03\0\0\0" + bytes(16)[:3]})
    complaint = pull("owner/repo").complaint(ExitCode.MODEL)
    assert "owner/repo:Q4_0 is as its source has it, but: tiny-Q4_0.gguf" in complaint
    assert program.pulled() == []


def test_what_is_no_language_model_comes_with_a_note(hub, pull, tmp_path):
    path = write_llama(tmp_path / "x.gguf", metadata={"general.type": "adapter"})
    hub.add("owner/repo", {FILE: path.read_bytes()})
    done = pull("owner/repo")
    assert done.code == 0
    assert "tiny-Q4_0.gguf is not a language model but a LoRA adapter" in done.stderr


def test_a_part_that_a_power_cut_has_damaged_is_fetched_anew(
    program,
    hub,
    pull,
    model,
    gguf,
):
    hub.faults += [cut(60_000)] + [status(503)] * transfer.TRIES
    pull("owner/repo")
    part = program.place / "models" / ".pulling" / FOLDER / f"{FILE}.part"
    part.write_bytes(bytes(part.stat().st_size))
    assert pull("owner/repo").code == 0
    assert model.read_bytes() == gguf


def test_a_part_of_another_version_is_not_continued(program, hub, pull, model, gguf):
    hub.faults += [cut(60_000)] + [status(503)] * transfer.TRIES
    pull("owner/repo")
    assert is_left(program)
    newer = gguf[:-4] + b"\0\0\0\0"
    hub.add("owner/repo", {FILE: newer})
    assert pull("owner/repo").code == 0
    assert model.read_bytes() == newer
    assert starts(hub)[-1] == 0


def test_a_full_disk_ends_in_one_line_and_the_next_pull_goes_on(
    program,
    hub,
    model,
    gguf,
):
    size = len(gguf) // 2048  # blocks of 1024 bytes: half of the file
    command = f"ulimit -f {size}; llmparams models pull owner/repo"
    complaint = program.shell(command, **hub.variables()).complaint(ExitCode.MODEL)
    assert "tiny-Q4_0.gguf cannot be written in" in complaint
    assert "make room" in complaint
    left = is_left(program)
    assert 0 < left <= size * 1024
    assert program.call("models", "pull", "owner/repo", **hub.variables()).code == 0
    assert model.read_bytes() == gguf
    assert starts(hub)[-1] == left


def test_the_disk_is_looked_at_before(program, hub, pull, model, monkeypatch):
    monkeypatch.setattr(staging, "free_space", lambda directory: 100_000)
    complaint = pull("owner/repo").complaint(ExitCode.MODEL)
    assert "are needed in" in complaint and "100.0 kB are free" in complaint
    assert not hub.asked()
    assert program.pulled() == []


def test_a_place_where_nothing_can_be_made_ends_in_one_line(program, hub, pull, model):
    (program.place / "models").write_text("a file")
    assert "cannot be written" in pull("owner/repo").complaint(ExitCode.MODEL)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_was_broken_off_goes_on(program, hub, model, gguf, how):
    hub.pause = 0.02
    process = program.start("models", "pull", "owner/repo", **hub.variables())
    wait_until(lambda: is_left(program) > 50_000)
    process.send_signal(how)
    done = program.end(process)
    assert done.code == (130 if how == signal.SIGINT else -how)
    assert ("are kept: the same command goes on" in done.stderr) == (how == signal.SIGINT)
    assert "Traceback" not in done.stderr
    assert "are here: llmparams models pull owner/repo:Q4_0" in program.call("models", "pull").text
    assert not model.exists()
    left, hub.pause = is_left(program), 0.0
    assert program.call("models", "pull", "owner/repo", **hub.variables()).code == 0
    assert model.read_bytes() == gguf
    assert starts(hub)[-1] == left > 50_000
    assert len(program.pulled()) == 2


def test_of_two_pulls_at_once_one_fetches_and_both_have_it(program, hub, model, gguf):
    hub.pause = 0.1
    first = program.start("models", "pull", "owner/repo", **hub.variables())
    wait_until(lambda: is_left(program) > 0)
    second = program.start("models", "pull", "owner/repo", **hub.variables())
    assert second.stderr is not None
    assert b"owner/repo:Q4_0 is being pulled by another program" in second.stderr.readline()
    hub.pause = 0.0
    results = [program.end(process) for process in (first, second)]
    assert [(done.code, done.text) for done in results] == [(0, "owner/repo:Q4_0\n")] * 2
    assert model.read_bytes() == gguf
    assert len(hub.asked("cdn")) == 1
    assert len(program.pulled()) == 2


def test_only_what_has_a_checksum_goes_on(tmp_path):
    """Without one, nothing could tell that another version had been begun."""
    files = (PulledFile("a.gguf", 9, "a" * 64), PulledFile("b.gguf", 9, ""))
    with staging.Staging(tmp_path, "tiny", lambda note: None) as staged:
        staged.plan(Pulled("tiny", "", "", files, "", ""))
        for name in ("a.gguf.part", "b.gguf.part", "c.gguf.part"):
            (staged.place / name).write_bytes(b"GGUF")
        staged.keep_only(files)
        assert [path.name for path in staged.place.iterdir()] == ["a.gguf.part"]


def test_a_lock_on_a_file_that_was_just_removed_is_none(tmp_path, monkeypatch):
    handles = []

    def lock(handle):
        if not handles:  # whoever held it finishes in this moment
            os.unlink(tmp_path / ".pulling" / "tiny.lock")
        handles.append(handle)

    monkeypatch.setattr(staging, "lock", lock)
    monkeypatch.setattr(staging, "WATCH", 0.0)
    with staging.Staging(tmp_path, "tiny", lambda note: None):
        assert len(handles) == 2
        assert (tmp_path / ".pulling" / "tiny.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_offline_and_the_stored_token_are_the_librarys(program, hub, gguf, tmp_path):
    hub.add("owner/repo", {FILE: gguf}, private=True)
    home = tmp_path / "hf"
    home.mkdir()
    (home / "token").write_text(TOKEN)
    variables = hub.variables(HF_HOME=str(home))
    offline = program.pipe("models", "pull", "owner/repo", HF_HUB_OFFLINE="1", **variables)
    assert "HF_HUB_OFFLINE is set" in offline.complaint(ExitCode.MODEL)
    assert not hub.requests
    done = program.pipe("models", "pull", "owner/repo", **variables)
    assert (done.code, done.text) == (0, "owner/repo:Q4_0\n"), done.stderr
    assert all("owner/repo" in request.path for request in hub.requests)  # no telemetry
    assert os.listdir(home) == ["token"]  # nothing else of the library's is left behind


def test_a_proxy_is_asked(program, hub, gguf):
    hub.add("owner/repo", {FILE: gguf})
    proxy = hub.cdn  # it cannot do that, but it sees what was asked
    done = program.pipe(
        "models", "pull", "owner/repo", HF_ENDPOINT="http://mirror.test", HTTP_PROXY=proxy
    )
    done.complaint(ExitCode.MODEL)
    assert hub.asked("cdn")


def test_a_wrong_setting_of_the_library_ends_in_one_line(program, hub):
    variables = hub.variables(HF_HUB_DOWNLOAD_TIMEOUT="soon")
    done = program.pipe("models", "pull", "owner/repo", **variables)
    assert "a variable HF_… has a wrong value" in done.complaint(ExitCode.MODEL)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "nonsense://x", "http://[bad"])
def test_a_proxy_that_cannot_be_used_ends_in_one_line(program, hub, proxy):
    done = program.pipe("models", "pull", "owner/repo", **hub.variables(ALL_PROXY=proxy))
    assert "HTTPS_PROXY" in done.complaint(ExitCode.MODEL)


def test_a_certificate_that_is_not_there_ends_in_one_line(program, hub, tmp_path):
    variables = hub.variables(SSL_CERT_FILE=str(tmp_path / "missing.pem"))
    done = program.pipe("models", "pull", "owner/repo", **variables)
    assert "SSL_CERT_FILE" in done.complaint(ExitCode.MODEL)


def test_a_password_in_the_address_is_not_shown(program, hub, pull, gguf):
    address = hub.url.replace("://", "://me:secret@")
    hub.add("owner/repo", {FILE: gguf})
    plan = program.call("models", "pull", "owner/repo", "--dry-run", HF_ENDPOINT=address)
    hub.api_faults += [page]
    broken = program.call("models", "pull", "owner/repo", HF_ENDPOINT=address)
    missing = program.call("models", "pull", "owner/none", HF_ENDPOINT=address)
    assert (plan.code, broken.code, missing.code) == (0, 4, 4)
    assert "secret" not in plan.text + broken.stderr + missing.stderr


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_note_does_not_run_into_the_bar():
    env = Environment(stderr=Terminal(), variables={"COLUMNS": "80", "TERM": "xterm"})
    with TransferBar(env) as progress:
        progress("m.gguf", 1, 100)
        env.note("the line was lost")
        progress("m.gguf", 2, 100)
    screen = pyte.Screen(80, 20)
    pyte.Stream(screen).feed(env.stderr.getvalue().replace("\n", "\r\n"))
    shown = [line.rstrip() for line in screen.display]
    assert shown[0] == "llmparams: the line was lost"
    assert not any(shown[1:])


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (65, "1:05"), (3600, "1:00:00"), (90_061, "25:01:01")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_in_a_pipe_a_line_is_written_now_and_then(hub, pull, model, gguf, monkeypatch):
    monkeypatch.setattr(render_transfer, "SELDOM", 0.0)
    lines = pull("owner/repo").stderr.splitlines()
    assert lines[0].startswith(f"llmparams: {FILE}: ")
    assert lines[-2].startswith(f"llmparams: {FILE}: {size_text(len(gguf))} of")
    hub.requests.clear()
    assert len(pull("owner/repo", "--force", "--quiet").stderr) == 0


def test_on_a_terminal_a_bar_moves_and_goes(program, hub, gguf):
    hub.add("owner/repo", {FILE: gguf})
    hub.pause = 0.03
    session = program.terminal("models", "pull", "owner/repo", **hub.variables())
    session.wait_for("/s, 0:0")
    shown = session.end()
    assert shown.code == 0
    assert shown.lines[-1] == "owner/repo:Q4_0"
    assert not any("━" in line for line in shown.lines)
