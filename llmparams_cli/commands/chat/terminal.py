"""Where a chat's messages come from on a terminal: an editable line with a history."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.files import make_folder

PROMPT = "> "
EDIT = "edit> "
CONTINUED = "\\"

Completions = Callable[[str], Iterable[tuple[str, str]]]


class TerminalLines:
    """Reads messages from the terminal. Enter sends; Alt-Enter, a backslash before Enter, and
    pasting make further lines.

    Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C. `complete` maps the text before the
    cursor to pairs: what completes its last word, and a hint.
    """

    is_interactive = True

    def __init__(
        self, env: Environment, history: Path | None, color: str, complete: Completions
    ) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.output import create_output
        from prompt_toolkit.output.color_depth import ColorDepth
        from prompt_toolkit.styles import Style

        # Where the answers go into a pipe, as with `| tee`, the conversation goes on all the same.
        screen = env.stdout if env.stdout_is_tty else env.stderr
        colored = env.wants_color(color, screen)
        self._session: PromptSession[str] = PromptSession(
            history=_history(history),
            output=create_output(screen),
            completer=_completer(complete),
            complete_while_typing=False,
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation=lambda width, _line, _wrapped: " " * width,
            color_depth=None if colored else ColorDepth.DEPTH_1_BIT,
            style=Style([("prompt", "bold")]) if colored else None,
            reserve_space_for_menu=4,
        )

    def read(self, prefilled: str = "") -> str:
        """The next message, as it was typed."""
        prompt = EDIT if prefilled else PROMPT
        text = self._session.prompt([("class:prompt", prompt)], default=prefilled)
        # Bytes that are not UTF-8 arrive as surrogates.
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@contextmanager
def left_as_found(env: Environment) -> Iterator[None]:
    """Give the terminal its modes back after the block, wherever a signal broke off a prompt."""
    if not env.stdin_is_tty or os.name != "posix":
        yield
        return
    import termios

    modes = termios.tcgetattr(env.stdin)
    try:
        yield
    finally:
        with suppress(termios.error):  # it is closed
            termios.tcsetattr(env.stdin, termios.TCSADRAIN, modes)


def _keys() -> Any:
    from prompt_toolkit.key_binding import KeyBindings

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: Any) -> None:
        buffer = event.current_buffer
        if buffer.document.current_line_before_cursor.endswith(CONTINUED):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("c-z")
    def _(event: Any) -> None:
        event.app.suspend_to_background()

    @keys.add("escape", "enter")  # what terminals send for Alt-Enter
    def _(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _completer(complete: Completions) -> Any:
    from prompt_toolkit.completion import Completer, Completion

    class Slash(Completer):
        """Completes the last word of a command."""

        def get_completions(self, document: Any, complete_event: Any) -> Iterator[Completion]:
            before = document.text_before_cursor
            word = before[before.rfind(" ") + 1 :]
            for text, hint in complete(before):
                yield Completion(text, start_position=-len(word), display_meta=hint)

    return Slash()


def _history(path: Path | None) -> Any:
    """The lines typed in earlier chats too, if a file can hold them that only the user can read."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    if path is None:
        return InMemoryHistory()
    try:
        make_folder(path.parent, private=True)
        # FileHistory would make it with the usual mode, readable by others.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
