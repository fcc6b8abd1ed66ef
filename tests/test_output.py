"""Output that cannot be written, or only slowly; pipes and devices in the place of files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time

import pytest
from program import COMMAND, Program

from llmparams_cli.errors import ExitCode

# Python's own compiled files would be cut off, too.
LIMIT = "export PYTHONDONTWRITEBYTECODE=1; trap '' XFSZ; ulimit -f 1; "
COMMANDS = ("generate Once --json -q", "params", "presets schema", "presets list", "--help")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", COMMANDS[:3])
def test_a_limit_on_the_size_of_files_is_one_line(
    program: Program, command: str, unbuffered: str
) -> None:
    (program.place / "out").touch()
    done = program.shell(f"{LIMIT}llmparams {command} > out", PYTHONUNBUFFERED=unbuffered)
    assert done.complaint(ExitCode.OUTPUT) == "the output cannot be written: File too large"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line(program: Program, command: str, unbuffered: str) -> None:
    done = program.shell(f"llmparams {command} > /dev/full", PYTHONUNBUFFERED=unbuffered)
    line = done.complaint(ExitCode.OUTPUT)
    assert line == "the output cannot be written: No space left on device"


def test_no_room_for_temporary_files_is_one_line(program: Program) -> None:
    done = program.shell(f"{LIMIT}llmparams explain Once -n 2 -q > /dev/null")
    assert "the logits of this run cannot be kept: File too large" in done.complaint(6)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_does_not_block_gets_everything(program: Program, unbuffered: str) -> None:
    whole = program.pipe("params").stdout
    read, write = os.pipe()
    os.set_blocking(write, False)
    process = subprocess.Popen(
        [*COMMAND, "params"],
        stdout=write,
        env=program.variables | {"PYTHONUNBUFFERED": unbuffered},
        cwd=program.place,
    )
    os.close(write)
    time.sleep(1)
    with open(read, "rb") as pipe:
        got = pipe.read()
    assert process.wait() == 0
    assert got == whole and len(whole) > 4096


def page(program: Program, target: str) -> subprocess.Popen[bytes]:
    return program.start("explain", "hi", "-n", "2", "-q", "--html", target)


def test_a_pipe_gets_the_page(program: Program) -> None:
    pipe = program.place / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert program.end(page(program, "pipe")).code == 0
    reader.join()
    assert got[0].startswith(b"<!DOCTYPE html>")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_process_substitution_gets_the_page(program: Program) -> None:
    program.shell("llmparams explain hi -n 2 -q --html >(cat > page) > /dev/null; wait; sleep 1")
    assert (program.place / "page").read_bytes().endswith(b"</html>\n")


def test_dev_stdout_is_standard_output(program: Program) -> None:
    for name in ("-", "/dev/stdout"):
        done = program.shell(f"llmparams explain hi -n 2 -q --html {name} | cat")
        assert done.text.startswith("<!DOCTYPE html>")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
@pytest.mark.parametrize(
    "command",
    [
        "explain hi -n 2 -q --html nul",
        "explain hi -n 2 -q --svg nul",
        "presets new ./nul --force --temperature 1",
        "presets export precise --format openai -o nul",
    ],
)
def test_a_device_stays_one(program: Program, command: str) -> None:
    device = program.place / "nul"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        device.write_bytes(b"x")
    except OSError:
        pytest.skip("no devices in this container")
    program.shell(f"llmparams {command}")
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_directory_whose_name_is_not_utf8(program: Program) -> None:
    place = os.fsencode(program.place) + b"/d\xff"
    try:
        os.mkdir(place)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    from models import write_llama

    model = write_llama(program.place / "m.gguf")
    os.rename(model, place + b"/m.gguf")
    for more in ([], ["--json"], ["--receipt", "r.json"]):
        done = subprocess.run(
            [*COMMAND, "generate", "hi", "-m", "m.gguf", "-n", "2", "-q", *more],
            capture_output=True,
            env=program.variables | {"PYTHONPATH": os.getcwd()},
            cwd=place,
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_user_without_a_home_gets_an_answer_and_no_log(program: Program) -> None:
    gone = "-u HOME -u XDG_CONFIG_HOME -u XDG_STATE_HOME -u XDG_CACHE_HOME -u XDG_DATA_HOME"
    ours = "-u LLMPARAMS_STATE_DIR -u LLMPARAMS_CACHE_DIR -u LLMPARAMS_CONFIG_DIR"
    nobody = (
        f"unshare --user --map-user=54321 env {gone} {ours} '{sys.executable}' -m llmparams_cli"
    )
    if program.shell("unshare --user --map-user=54321 true").code:
        pytest.skip("no user namespaces here")
    done = program.shell(f"{nobody} generate hi -n 1", PYTHONPATH=os.getcwd())
    assert done.code == 0 and done.stdout
    assert "there is no home directory: no log" in done.stderr
    for command in ("presets list", "log", "doctor"):
        done = program.shell(f"{nobody} {command}", PYTHONPATH=os.getcwd())
        assert "internal error" not in done.stderr
