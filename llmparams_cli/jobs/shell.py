"""Runs the user's own commands in the shell (metrics of compare); no other place does."""

from __future__ import annotations

import signal

from llmparams_cli.env import Environment


def run(env: Environment, command: str, text: str) -> tuple[int, str]:
    """Run `command` with `text` on its standard input; return its exit code and its output.

    It has no time limit, and its stderr is ours. It stays in our process group, so that Ctrl-C on a
    terminal reaches both; raises KeyboardInterrupt if that ended the command.
    """
    import subprocess

    done = subprocess.run(
        command,
        shell=True,
        input=text.encode(),
        stdout=subprocess.PIPE,
        check=False,
        env=dict(env.variables),
        cwd=env.directory,
    )
    # Ended by the signal itself, or by a shell that reports it as 128 + its number.
    if done.returncode in (-signal.SIGINT, 128 + signal.SIGINT):
        raise KeyboardInterrupt
    return done.returncode, done.stdout.decode("utf-8", "replace")
