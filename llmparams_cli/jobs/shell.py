"""Commands of the user's own, run by the shell: the one place that starts them."""

from __future__ import annotations

import signal

from llmparams_cli.env import Environment


def run(env: Environment, command: str, text: str) -> tuple[int, str]:
    """Run `command` with `text` on its standard input; its exit code, and what it printed.

    It takes as long as it takes, and its stderr is ours. It stays in our process group, so that
    Ctrl-C on a terminal reaches both; KeyboardInterrupt where it ended the command.
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
    if done.returncode in (-signal.SIGINT, 128 + signal.SIGINT):
        raise KeyboardInterrupt
    return done.returncode, done.stdout.decode("utf-8", "replace")
