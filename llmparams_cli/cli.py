"""The program: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any, NoReturn

import typer

from llmparams_cli import APP, PREFIX, __version__
from llmparams_cli.completion import typed_words, whole_words
from llmparams_cli.env import Environment, discard
from llmparams_cli.errors import ExitCode, LlmparamsError, OutputError, UsageError

# Name: one line of help. The module llmparams_cli.commands.NAME has the function `command`, or,
# if it is a group, a table COMMANDS of its own, whose modules are NAME.SUBNAME.
COMMANDS = {
    "generate": "Generate text: one prompt in, the answer out.",
    "chat": "Talk with a model; change its parameters live.",
    "batch": "Answer every row of a file: many at a time, none lost.",
    "compare": "Presets and values side by side: texts and numbers from one prefill.",
    "explain": "Show what every sampler stage and setting did to an answer.",
    "evaluate": "Measure models and presets by a text or by cases: which is better, surely?",
    "optimize": "Search for settings that pass more cases, and prove them on others.",
    "tune": "Let a model learn from examples, and measure what it learned.",
    "quantize": "Make a model smaller, and measure what that costs.",
    "imatrix": "Find out which weights matter, for quantize.",
    "presets": "List, show, compare, check, test, import and export presets.",
    "models": "Get, list, check and remove models.",
    "params": "Show every parameter: meaning, range, default, names elsewhere.",
    "inspect": "A model from the inside: weights, biases, memory, tokenizer, chat template.",
    "bench": "Measure how fast a model reads and writes here, and what bounds it.",
    "doctor": "Check what this machine and this installation can do.",
    "replay": "Run a receipt again: is the answer the same, and if not, where and why?",
    "log": "List, search and show the last runs.",
    "cache": "The prompts that were read, kept for later runs: list and clear them.",
}
# What other programs for models call it.
ELSEWHERE = {
    "run": "generate PROMPT -m NAME, or chat -m NAME",
    **dict.fromkeys(("pull", "get", "download"), "models pull NAME"),
    **dict.fromkeys(("list", "ls"), "models list"),
    **dict.fromkeys(("rm", "delete"), "models remove NAME"),
    **dict.fromkeys(("show", "info"), "inspect NAME"),
}
# What a disk or a limit refuses is no bug of ours, wherever it happens.
DISK = (ENOSPC, EDQUOT, EFBIG, EROFS, EIO)
EXIT_CODES = f"""Exit codes: {", ".join(f"{code.value} {code.meaning}" for code in ExitCode)}."""
EPILOG = f"""First steps: llmparams generate "Once upon a time" --preset creative-chat

{EXIT_CODES}"""


def main() -> NoReturn:
    """Run the program on the process's arguments and streams."""
    try:
        env = Environment()
    except FileNotFoundError:
        print(f"{APP}: error: the working directory is gone (cd to another one)", file=sys.stderr)
        sys.exit(ExitCode.USAGE)
    code = run(sys.argv[1:], env)
    gc.freeze()  # the interpreter need not search for garbage on its way out: 20 ms
    sys.exit(code)


def run(arguments: Sequence[str], env: Environment) -> int:
    """Run one command; every error ends here, in one line on stderr and an exit code."""
    try:
        _refuse_bytes(arguments, env)
        # Typer prints help and completions to sys.stdout.
        with whole_words(env.stdout) as stdout, redirect_stdout(stdout):
            result = build([*arguments, *typed_words()])(
                args=list(arguments) or ["--help"], obj=env, prog_name=APP, standalone_mode=False
            )
        # Here and not at exit, so that a full disk or a closed pipe is reported below.
        env.stdout.flush()
        # Typer makes a plain number of Ctrl-C; a command that has told of it returns our code.
        if result == ExitCode.INTERRUPTED and not isinstance(result, ExitCode):
            env.note("interrupted")
        return int(result or 0)
    except OutputError as error:
        discard(env.stdout)
        return _report(env, error.message, error.hint, error.exit_code)
    except LlmparamsError as error:
        return _report(env, error.message, error.hint, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        env.note("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _reader_left(env)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # Typer turns it into exit code 1
            return _reader_left(env)
        raise
    except Exception as error:
        return _unforeseen(env, error, arguments)


def _unforeseen(env: Environment, error: Exception, arguments: Sequence[str]) -> int:
    """Report what is no error of ours: Typer's, the disk's, or a bug."""
    if hasattr(error, "format_message"):  # all of Typer's own errors, whatever its version
        message = error.format_message().removesuffix(".")
        return _report(env, message, _cure(message, arguments), ExitCode.USAGE)
    if env.verbose:
        raise error
    if isinstance(error, OSError) and error.errno in DISK:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror}"
        return _report(env, message, "make room there, or write elsewhere", ExitCode.OUTPUT)
    return _report(
        env,
        f"internal error: {type(error).__name__}: {error}",
        "this is a bug; --verbose shows where",
        ExitCode.INTERNAL,
    )


def _refuse_bytes(arguments: Sequence[str], env: Environment) -> None:
    """Raise UsageError for an argument or variable that is not UTF-8.

    Python holds its bytes as lone surrogates, which can be neither tokenised nor written.
    """
    ours = (f"{name}={text}" for name, text in env.variables.items() if name.startswith(PREFIX))
    for text in (*arguments, *ours):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"not UTF-8: {text!r} at character {error.start}", "convert it first"
            ) from error


def build(arguments: Sequence[str]) -> Callable[..., Any]:
    """The Typer app. Only the modules of commands among the arguments are imported: startup
    stays fast, and the others need no more than a name and one line of help.
    """
    app = typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=EPILOG,
        help="Run local language models and see every parameter at work.",
    )
    app.callback()(_root)
    _add_commands(app, "llmparams_cli.commands", COMMANDS, arguments)
    return app


def _add_commands(
    app: typer.Typer, package: str, commands: Mapping[str, str], arguments: Sequence[str]
) -> None:
    for name, summary in commands.items():
        if name not in arguments:
            app.command(name, short_help=summary)(_not_loaded)
            continue
        # `import` is a subcommand and a keyword: its module is import_.py.
        module = import_module(f"{package}.{name}{'_' if iskeyword(name) else ''}")
        if subcommands := getattr(module, "COMMANDS", None):
            group = typer.Typer(help=module.__doc__, rich_markup_mode=None, epilog=EXIT_CODES)
            group.callback(invoke_without_command=True)(_help_without_command)
            _add_commands(group, module.__name__, subcommands, arguments)
            app.add_typer(group, name=name, short_help=summary)
        else:
            app.command(name, cls=module.HELP, short_help=summary)(module.command)


def _print_version(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.obj.stdout.write(f"{APP} {__version__}\n")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _help_without_command(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        ctx.obj.stdout.write(f"{ctx.get_help()}\n")


def _not_loaded() -> None:
    raise AssertionError("a command that is not among the arguments cannot be invoked")


def _report(env: Environment, message: str, hint: str, code: int) -> int:
    text = f"{message} ({hint})" if hint else message
    env.warn(f"error: {text}")
    return code


def _cure(message: str, arguments: Sequence[str]) -> str:
    command, *inside = _command(arguments) or [""]
    if message.startswith("No such command"):
        unknown = message.split("'")[1]
        if ours := ELSEWHERE.get(unknown):
            return f"here that is {APP} {ours}"
    if command in ("generate", "explain", "compare") and "extra argument" in message:
        example = f'{APP} {command} "Once upon a time" -m NAME'
        return f"a prompt of several words stands in quotes, a model behind -m: {example}"
    return f"see {' '.join(filter(None, (APP, command, *inside)))} --help"


def _command(arguments: Sequence[str]) -> list[str]:
    """The names of the command that the arguments begin with, and of the one inside it."""
    names: list[str] = []
    known: Mapping[str, str] = COMMANDS
    for word in arguments:
        if word in known:
            names.append(word)
            if len(names) > 1:
                break
            known = getattr(import_module(f"llmparams_cli.commands.{word}"), "COMMANDS", {})
    return names


def _reader_left(env: Environment) -> int:
    """A reader such as `head` closed the pipe because it had enough: that is success."""
    discard(env.stdout)
    return ExitCode.SUCCESS
