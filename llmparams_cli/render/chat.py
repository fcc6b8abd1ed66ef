"""A chat on a terminal or in a pipe: what was said, set and kept, and the state of the context."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Setting, Settings
from llmparams_cli.protocol import Finished, Started
from llmparams_cli.render.chat_answer import PipedAnswer, TerminalAnswer, chat_statistics
from llmparams_cli.render.summary import fold, separator, stop_text
from llmparams_cli.render.terminal import columns
from llmparams_cli.render.thoughts import barred
from llmparams_cli.text.safe import encodable, encodes, one_line, printable
from llmparams_cli.text.shorten import beginning, ending

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_WIDEST_BAR = 72
_FILLS = ("█▓▒░", "#=-.")  # system, history, answer, free: in Unicode and in ASCII
_COLORS = ("35", "36", "33", "2")
_LONGEST_VALUE = 60  # characters
_TAIL = 1006  # characters of the last answer that are shown when a chat goes on


class ChatView:
    """Prints everything in a chat: what the user asked for to stdout, remarks to stderr."""

    def __init__(
        self, env: Environment, color: str, color_by: str | None, *, hide_thinking: bool = False
    ) -> None:
        self._env = env
        self.color = color
        self.hide_thinking = hide_thinking  # it may change between two answers
        self._color_by = color_by
        self._legend_wanted = True  # until it was printed with the first answer
        self._dressed = env.stdout_is_tty or color == "always"
        self._colored = env.wants_color(color, env.stdout)
        if color_by and not self._colored:
            env.note(f"--color-by {color_by} needs colours, which are off here; see --color always")

    def renderer(self) -> TerminalAnswer | PipedAnswer:
        """The renderer of the next answer."""
        if not self._dressed:
            return PipedAnswer(self._env, self.color, self.hide_thinking)
        by = self._color_by if self._colored else None
        legend, self._legend_wanted = self._legend_wanted, False
        return TerminalAnswer(self._env, self.color, by, self.hide_thinking, legend=legend)

    def write(self, text: str, style: str = "") -> None:
        """Print a line that the user asked for to stdout."""
        text = printable(text)
        if style and self._colored:
            text = f"{style}{text}{_RESET}"
        self._env.stdout.write(encodable(text, self._env.stdout) + "\n")
        self._env.stdout.flush()

    def remark(self, text: str) -> None:
        """Print a remark to stderr; unlike a note, the same one may be printed again."""
        if not self._env.quiet:
            self._say(text, _DIM)

    def error(self, text: str) -> None:
        """Print an error after which the chat continues to stderr."""
        self._say(f"error: {text}", "")

    def gap(self) -> None:
        """An empty line between a command's output and the next prompt."""
        self._env.aside("\n")

    def _say(self, text: str, style: str) -> None:
        env = self._env
        if not self._dressed:
            env.warn(text)
            return
        if style and env.wants_color(self.color, env.stderr):
            before, after = style, _RESET
        else:
            before = after = ""
        for words in fold(one_line(text).split(" "), 1, columns(env, env.stderr) - 1):
            env.aside(f"{before}{' '.join(words)}{after}\n")

    def changed(self, found: Iterable[tuple[str, Setting, Setting]]) -> None:
        """Values before and after, by their names."""
        arrow = "→" if encodes("→", self._env.stderr) else "->"
        for name, old, new in found:
            before, after = (_brief(s) for s in (old, new))
            self.remark(f"{name} {before} {arrow} {after} ({new.origin})")

    def setting(self, setting: Setting) -> None:
        """One parameter: its value, where it came from, what it overrode, what it means."""
        self._setting("", setting, _BOLD)
        for old in setting.overrode:
            shown = one_line(setting.param.kind.show(old.value)) or "-"
            phase = "thinking " if old.when_thinking else ""
            self.write(f"  overrode {phase}{shown}  ({old.origin})", _DIM)
        self._words(setting.param.summary, "  ", _DIM)

    def tokens(self, parts: Sequence[int], context: int) -> None:
        """A bar of the context; `parts` are system, history, answer and free."""
        fills = _FILLS[0] if encodes(_FILLS[0], self._env.stdout) else _FILLS[1]
        width = min(columns(self._env, self._env.stdout) - 1, _WIDEST_BAR)
        cells = _shares(parts, width)
        bar = [fill * count for fill, count in zip(fills, cells, strict=True)]
        if self._colored:
            colors = zip(bar, _COLORS, strict=True)
            bar = [f"\x1b[{color}m{text}{_RESET}" for text, color in colors if text]
        self._env.stdout.write("".join(bar) + "\n")
        names = ("system", "history", "for the answer", "free")
        legend = [f"{f} {n} {c}" for f, n, c in zip(fills, names, parts, strict=True)]
        self._fold([*legend, f"of {context} tokens"], "  ", "", "")

    def out_of_view(self, turns: int, *, summarized: bool) -> None:
        """Tell how many turns the model no longer sees."""
        instead = "; a summary stands for them" if summarized else ""
        self._words(f"{_turns(turns)} out of the model's view{instead}", "", "")

    def dropped(self, turns: int, when_full: str, summary: str) -> None:
        """Report that the oldest turns left the model's view."""
        how = f"the context was full: the oldest {_turns(turns)}"
        if summary:
            self.remark(f"{how} became a summary: {summary}")
        elif when_full == "summarize":
            self.remark(
                f"{how} left the model's view; a summary of them did not fit, or came out empty"
            )
        else:
            self.remark(f"{how} left the model's view; the session keeps all")

    def goes_on(self, name: str, turns: int, out_of_view: int) -> None:
        """Report that a chat of an earlier run is continued."""
        hidden = f", {out_of_view} of them out of the model's view" if out_of_view else ""
        self.remark(f"{name}: {_turns(turns)} so far{hidden}")

    def asked(self, message: str) -> None:
        """A message that was not typed at the prompt."""
        self.write(f"> {message}", _BOLD)

    def last_turn(self, message: str, answer: str | None, interrupted: bool) -> None:
        """Show how a continued chat had ended."""
        if not self._dressed:
            return
        self.asked(_end(message))
        if answer is not None:
            if answer:
                self.write(_end(answer), _DIM)
            if interrupted:
                self.remark("(interrupted)")
            elif not answer:
                self.remark("(no answer)")
        self.write("")

    def thoughts(self, text: str) -> None:
        """What was thought before an answer."""
        self.write(barred(self._env, self._env.stdout, text), _DIM)

    def why(self, started: Started, finished: Finished, settings: Settings) -> None:
        """Explain the last answer: its numbers, its stop reason, the settings not at default."""
        self.write(f"stopped: {stop_text(finished.stop)}")
        *numbers, _stop = chat_statistics(started, finished, verbose=False)
        facts = (
            f"seed {started.seed}",
            f"first token {finished.timing.first_token_s:.3f} s",
            f"model {one_line(started.model.name)}",
        )
        self._fold([*numbers, *facts], separator(self._env.stdout), "", "")
        named = [s for s in settings.both if not s.is_default]
        self.write("not at their defaults:" if named else "every parameter is at its default")
        for setting in named:
            self._setting("  ", setting, "")
        self._words("/why all tells it draw by draw, /why 3 of the third alone", "", _DIM)

    def help(self, rows: Sequence[tuple[str, str]], notes: Sequence[str]) -> None:
        """The commands and their meanings, side by side, or one below the other if it is narrow."""
        widest = max(len(usage) for usage, _ in rows) + 2
        width = columns(self._env, self._env.stdout)
        for usage, meaning in rows:
            if widest + 30 <= width:
                self._words(meaning, f"{usage:<{widest}}", "")
            else:
                self.write(usage, _BOLD)
                self._words(meaning, "  ", "")
        for note in notes:
            self._words(note, "", _DIM)

    def _setting(self, indent: str, setting: Setting, style: str) -> None:
        words = f"{setting.name} {_brief(setting)} ({one_line(str(setting.origin))})"
        self._words(words, indent, style)

    def _words(self, text: str, indent: str, style: str) -> None:
        self._fold(text.split(" "), " ", indent, style)

    def _fold(self, items: Sequence[str], between: str, indent: str, style: str) -> None:
        """Print items over as many lines as they need; `indent` goes before the first one."""
        width = columns(self._env, self._env.stdout) - 1 - len(indent)
        for row in fold(items, len(between), max(width, 8)):
            self.write(indent + between.join(row), style)
            indent = " " * len(indent)


@dataclass(frozen=True)
class ListedChat:
    """One chat of the list."""

    name: str
    changed: datetime
    turns: int
    words: str
    model: str
    fault: str


def chat_list(env: Environment, chats: Iterable[ListedChat]) -> None:
    """Print all chats: a block of lines each on a terminal, one with tabs each in a pipe."""
    colored = env.wants_color("auto", env.stdout)
    for chat in chats:
        when = f"{chat.changed:%Y-%m-%d %H:%M}"
        if not env.stdout_is_tty:
            cells = (chat.name, when, str(chat.turns), chat.fault or chat.words, chat.model)
            env.stdout.write(encodable("\t".join(map(one_line, cells)), env.stdout) + "\n")
            continue
        width = columns(env, env.stdout) - 1
        between = separator(env.stdout)
        items = [chat.name, when, _turns(chat.turns), one_line(chat.model)]
        first, *others = [between.join(row) for row in fold(items, len(between), width)]
        words = beginning(one_line(chat.fault or chat.words), width - 2, "...")
        head = f"{_BOLD}{first}{_RESET}" if colored else first
        body = "\n".join([head, *(f"  {line}" for line in others), f"  {words}"])
        env.stdout.write(encodable(body, env.stdout) + "\n")
    env.stdout.flush()


def _shares(parts: Sequence[int], width: int) -> list[int]:
    """Divide `width` columns among the parts: at least one for each that is not 0, and the rest
    to the last one.
    """
    total = max(sum(parts), 1)
    cells = [max(1, part * width // total) if part else 0 for part in parts[:-1]]
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    rest = width - sum(cells)
    if parts[-1] or not sum(cells):
        return [*cells, rest]
    cells[cells.index(max(cells))] += rest
    return [*cells, 0]


def _turns(count: int) -> str:
    return f"{count} turn{'' if count == 1 else 's'}"


def _brief(setting: Setting) -> str:
    return beginning(one_line(setting.param.kind.show(setting.value)) or "-", _LONGEST_VALUE, "...")


def _end(text: str) -> str:
    return ending(text, _TAIL, "[...] ")
