"""`llmparams tune`: a model learns from examples; what it learned is measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from llmparams_cli.commands.tune import ladder, one, sweep
from llmparams_cli.commands.tune.request import Files, Request
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.quantization import making
from llmparams_cli.jobs.tuning.order import Order
from llmparams_cli.models.fresh import Shape
from llmparams_cli.models.ggml_types import MADE
from llmparams_cli.options import (
    ColorOption,
    HelpInSections,
    HtmlOption,
    PngOption,
    QuietOption,
    ReplaceOption,
    SvgOption,
    VerboseOption,
    refuse_nan,
    values,
)
from llmparams_cli.options.idle import refuse_idle
from llmparams_cli.render.outputs import check_outputs
from llmparams_cli.training.selection import WORDS

HELP = HelpInSections
LEARNING, PARTS, ARCHITECTURE = "Learning", "What learns", "A new model"
USUAL = Order()


def command(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model's name, or the path of a GGUF file; not with --from-scratch.",
            autocompletion=values.model_names,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="Examples: JSON lines or a text; a file, a folder, or - for standard input.",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="OUT", help="The file to be made.")
    ] = None,
    type: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="What to write it as: F16, F32, Q8_0, … [F32 or BF16 if MODEL is that, else F16]",
            autocompletion=values.words(MADE),
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            min=0.0,
            metavar="X",
            help="How far a step goes. [by what trains]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    schedule: Annotated[
        Literal["constant", "linear", "cosine", "plateau"],
        typer.Option(
            "--schedule", help="How it falls in the course of the run.", rich_help_panel=LEARNING
        ),
    ] = "linear",
    warmup: Annotated[
        int,
        typer.Option(
            "--warmup",
            min=0,
            metavar="N",
            help="Steps in which it rises from 0.",
            rich_help_panel=LEARNING,
        ),
    ] = USUAL.warmup,
    batch_size: Annotated[
        int,
        typer.Option(
            "--batch-size",
            min=1,
            metavar="N",
            help="Rows of a step, of which as many are computed at once as fit.",
            rich_help_panel=LEARNING,
        ),
    ] = USUAL.batch,
    context: Annotated[
        int,
        typer.Option(
            "--context",
            "-c",
            min=8,
            metavar="N",
            help="Tokens of a row, at most.",
            rich_help_panel=LEARNING,
        ),
    ] = USUAL.size,
    epochs: Annotated[
        float | None,
        typer.Option(
            "--epochs",
            min=0.0,
            metavar="X",
            help="Times that all examples are learned. [1]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            metavar="N",
            help="Steps, in place of epochs.",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    optimizer: Annotated[
        Literal["adamw", "sgd"],
        typer.Option(
            "--optimizer",
            help="How gradients become steps.",
            rich_help_panel=LEARNING,
        ),
    ] = "adamw",
    weight_decay: Annotated[
        float,
        typer.Option(
            "--weight-decay",
            min=0.0,
            metavar="X",
            help="Pulls weights towards 0.",
            rich_help_panel=LEARNING,
        ),
    ] = USUAL.weight_decay,
    clip: Annotated[
        float,
        typer.Option(
            "--clip",
            min=0.0,
            metavar="X",
            help="A longer gradient is cut to this; 0 never.",
            rich_help_panel=LEARNING,
        ),
    ] = USUAL.clip,
    mask_prompt: Annotated[
        bool,
        typer.Option(
            "--mask-prompt",
            help="Learn answers only, not what was asked.",
            rich_help_panel=LEARNING,
        ),
    ] = False,
    hold_back: Annotated[
        float | None,
        typer.Option(
            "--hold-back",
            min=0.0,
            max=0.9,
            metavar="X",
            help="Share of documents that are held out, to judge by. [0.1]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            min=1,
            metavar="N",
            help="Early stopping: after N checks without a better loss on what is held out.",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            "--every",
            min=1,
            metavar="N",
            help="Steps from one check to the next. [about 20 checks]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    find_learning_rate: Annotated[
        bool,
        typer.Option(
            "--find-learning-rate",
            help="Try rates from low to high, and tell which can be used.",
            rich_help_panel=LEARNING,
        ),
    ] = False,
    train: Annotated[
        list[str] | None,
        typer.Option(
            "--train",
            metavar="PART",
            help=f"What learns; the rest stays as it is: {', '.join(WORDS)}, or names of tensors; "
            "repeats. [all]",
            rich_help_panel=PARTS,
            autocompletion=values.words(WORDS, many=True),
        ),
    ] = None,
    lora: Annotated[
        int | None,
        typer.Option(
            "--lora",
            min=1,
            metavar="RANK",
            help="Train an adapter of this rank beside the matrices, which stay as they are.",
            rich_help_panel=PARTS,
        ),
    ] = None,
    lora_alpha: Annotated[
        float | None,
        typer.Option(
            "--lora-alpha",
            min=0.0,
            metavar="X",
            help="What it adds is multiplied by X/RANK. [twice the rank]",
            rich_help_panel=PARTS,
        ),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Write the model with the adapter in it.", rich_help_panel=PARTS
        ),
    ] = False,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch",
            help="Start from random weights instead of MODEL.",
            rich_help_panel=ARCHITECTURE,
        ),
    ] = False,
    layers: Annotated[
        int | None,
        typer.Option(
            "--layers", min=1, metavar="N", help="Its layers. [4]", rich_help_panel=ARCHITECTURE
        ),
    ] = None,
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden",
            min=8,
            metavar="N",
            help="Its hidden dimensions. [256]",
            rich_help_panel=ARCHITECTURE,
        ),
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(
            "--heads",
            min=1,
            metavar="N",
            help="Its attention heads. [4]",
            rich_help_panel=ARCHITECTURE,
        ),
    ] = None,
    kv_heads: Annotated[
        int | None,
        typer.Option(
            "--kv-heads",
            min=1,
            metavar="N",
            help="Its heads for keys and values. [as many as heads]",
            rich_help_panel=ARCHITECTURE,
        ),
    ] = None,
    feed_forward: Annotated[
        int | None,
        typer.Option(
            "--feed-forward",
            min=8,
            metavar="N",
            help="The width between two matrices of a layer. [8/3 of hidden]",
            rich_help_panel=ARCHITECTURE,
        ),
    ] = None,
    vocab: Annotated[
        str | None,
        typer.Option(
            "--vocab",
            metavar="from:MODEL",
            help="Whose vocabulary and chat template it has. [from:builtin]",
            rich_help_panel=ARCHITECTURE,
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="NAME=A,B",
            help="A run with each value, such as layers=1,2,4 or learning_rate=1e-4,1e-3; repeats. "
            "OUT is the best.",
            autocompletion=values.words(ladder.NAMES),
        ),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt", metavar="TEXT", help="Answer this at every check; repeats. [two held out]"
        ),
    ] = None,
    engine: Annotated[
        Literal["auto", "torch", "llama.cpp"],
        typer.Option("--engine", help="What computes gradients."),
    ] = "auto",
    precision: Annotated[
        Literal["auto", "f32", "bf16"],
        typer.Option("--precision", help="In which gradients are computed; bf16 with torch only."),
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option("--threads", "-t", min=1, metavar="N", help="CPU threads.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", "-s", min=0, metavar="N", help="Order of rows, random weights.")
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell tokens, steps, time and memory; do no more.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    force: ReplaceOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    png: PngOption = None,
    svg: SvgOption = None,
    html: HtmlOption = None,
    color: ColorOption = "auto",
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
) -> None:
    """Let a model learn from examples (fine-tuning), and measure what it learned.

    DATA is JSON lines, each with "text", with "prompt" and "completion", or with "messages"; a
    folder with train.jsonl and valid.jsonl; or a plain text. OUT appears when it is whole, with the
    weights that were best on what is held out; --resume goes on with a run that was broken off.

    \b
    llmparams tune builtin pirate.jsonl -o pirate.gguf --epochs 2
    llmparams tune builtin pirate.jsonl --find-learning-rate --png rates.png
    llmparams tune smollm2 pirate.jsonl -o pirate.gguf --lora 8 --mask-prompt
    llmparams tune builtin pirate.jsonl -o pirate.gguf --train norms,layers=last:2
    llmparams tune --from-scratch stories.jsonl --grid layers=1,2,4,8 --steps 200 --png layers.png
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    _refuse_not_finite(
        {
            "--learning-rate": learning_rate,
            "--weight-decay": weight_decay,
            "--clip": clip,
            "--epochs": epochs,
            "--lora-alpha": lora_alpha,
            "--hold-back": hold_back,
        }
    )
    if not from_scratch:
        shape = {"--layers": layers, "--hidden": hidden, "--heads": heads, "--vocab": vocab}
        more = {"--kv-heads": kv_heads, "--feed-forward": feed_forward}
        refuse_idle({**shape, **more}, "without --from-scratch")
    if lora is None and not any(text.startswith("lora=") for text in grid or ()):
        refuse_idle({"--lora-alpha": lora_alpha, "--merge": merge}, "without --lora")
    elif lora and not merge:
        refuse_idle({"--type": type}, "with --lora, but for --merge: adapters are in F32")
    if steps is not None:
        refuse_idle({"--epochs": epochs}, "with --steps")
    if 0 in (learning_rate, epochs, lora_alpha):
        raise UsageError("nothing is learned with a rate, an alpha or epochs of 0", "give more")
    model, data = _model_and_data(model, data, from_scratch=from_scratch)
    check_outputs(env, {"--png": png, "--svg": svg, "--html": html}, taken=as_json)
    order = Order(
        train=_words(train),
        lora=lora,
        lora_alpha=lora_alpha,
        rate=learning_rate,
        schedule=schedule,
        warmup=warmup,
        batch=batch_size,
        size=context,
        epochs=epochs or USUAL.epochs,
        steps=steps,
        optimiser=optimizer,
        weight_decay=weight_decay,
        clip=clip,
        mask_prompt=mask_prompt,
        hold_back=USUAL.hold_back if hold_back is None else hold_back,
        patience=patience,
        every=every,
        prompts=tuple(prompt or ()),
        engine=engine,
        precision=precision,
        threads=threads,
        seed=seed,
    )
    request = Request(
        env,
        model=model,
        data=data,
        order=order,
        shape=Shape(layers or 4, hidden or 256, heads or 4, kv_heads, feed_forward)
        if from_scratch
        else None,
        tokenizer=_tokenizer(vocab),
        type=None if type is None else making.file_type(type),
        merge=merge,
        resume=resume,
        force=force,
        dry_run=dry_run,
        files=Files(png, svg, html, as_json),
        color=color,
    )
    _run(request, output, find=find_learning_rate, grid=grid or [])


def _refuse_not_finite(numbers: dict[str, float | None]) -> None:
    for flag, value in numbers.items():
        refuse_nan(flag, value, "give a number")
        if value is not None and math.isinf(value):
            raise UsageError(f"{flag} {value} is no number to learn with", "give a finite one")


def _model_and_data(model: str, data: str | None, *, from_scratch: bool) -> tuple[str, str]:
    """What both arguments mean: of a run from scratch, the only one is DATA."""
    if from_scratch and data is None:
        return "", model
    if from_scratch:
        raise UsageError(f"MODEL {model}: --from-scratch starts without one", "leave it out")
    if data is None:
        raise UsageError("DATA is missing", "a file with examples to learn from")
    return model, data


def _run(request: Request, output: str | None, *, find: bool, grid: list[str]) -> None:
    html, page = {"--html": request.files.html}, {"--resume": request.resume}
    if find:
        one_run = {"-o": output, "--dry-run": request.dry_run, "--grid": grid}
        refuse_idle({**one_run, **html, **page}, "with --find-learning-rate")
        sweep.run(request)
    elif grid:
        refuse_idle({**html, **page, "--dry-run": request.dry_run}, "with --grid")
        target = None if output is None else _target(request, output)
        ladder.run(request, grid, target)
    elif output is None and not request.dry_run:
        raise UsageError("-o is missing: the file to be made", "or --dry-run, to look first")
    else:
        one.run(request, None if output is None else _target(request, output))


def _target(request: Request, output: str) -> Path:
    free = request.force or request.dry_run
    return making.target_of(request.env, output, force=free)


def _words(train: list[str] | None) -> tuple[str, ...]:
    words = tuple(word.strip() for text in train or ("all",) for word in text.split(","))
    return tuple(word for word in words if word) or ("all",)


def _tokenizer(vocab: str | None) -> str:
    """The model that `--vocab from:MODEL` names."""
    if vocab is None:
        return "builtin"
    word, _, name = vocab.partition(":")
    if word != "from" or not name:
        raise UsageError(f"--vocab {vocab}: not from:MODEL", "such as from:builtin")
    return name
