"""The folders of this program: closed to others, and clean of what killed processes left."""

import os
import time

import pytest
from program import Program


@pytest.mark.parametrize("umask", ["000", "022"])
def test_state_and_cache_are_closed_to_others(program: Program, umask: str) -> None:
    script = f"umask {umask}; llmparams generate hi -n 1 -q; echo hi | llmparams chat -q -n 1"
    state, cache = program.place / "new/state", program.place / "new/cache"
    folders = {"LLMPARAMS_STATE_DIR": str(state), "LLMPARAMS_CACHE_DIR": str(cache)}
    assert program.shell(script, **folders).code == 0
    seen = [path for top in (state, cache) for path in (top, *top.rglob("*"))]
    assert len(seen) > 4
    for path in [program.place / "new", *seen]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_a_killed_process_left_is_cleared(program: Program) -> None:
    log = program.place / "state" / "log"
    log.mkdir(parents=True)
    names = (".20260101T000000000Z-aaaaaa.json.abcd1234", ".other", ".x.json.abcdefgh")
    for name in names:
        (log / name).touch()
        if name != names[2]:  # one that is being written
            os.utime(log / name, (time.time() - 120,) * 2)
    program.call("generate", "hi", "-n", "1", "-q")
    assert {path.name for path in log.iterdir() if path.name[0] == "."} == {".other", names[2]}
