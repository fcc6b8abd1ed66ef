"""What a given text demands of the settings."""

from __future__ import annotations

import math
from dataclasses import asdict
from decimal import ROUND_CEILING, ROUND_FLOOR
from decimal import Context as Rounding

from llmparams_cli.env import Environment
from llmparams_cli.render.explanation.view import LONGEST_TOKEN, share_text, token_name
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import BOLD, YELLOW
from llmparams_cli.render.view import View
from llmparams_cli.text.width import pad
from llmparams_cli.trace import Fit


def show_fit(env: Environment, fit: Fit, *, as_json: bool, color: str) -> None:
    """What a given text demands of the settings."""
    if as_json:
        document = {**asdict(fit), "tokens": [asdict(token) for token in fit.tokens]}
        write_json(env, document, indent=2 if env.stdout_is_tty else None)
        return
    view = View(env, color)
    view.line(
        f"{'token':<{LONGEST_TOKEN}} {'model':>6} {'rank':>5} {'before':>6} {'share':>6}", BOLD
    )
    for token in fit.tokens:
        removed = f"  removed by {token.removed_by}" if token.removed_by else ""
        view.line(
            f"{pad(token_name(token.text), LONGEST_TOKEN)} "
            f"{share_text(math.exp(token.logprob)):>6} {token.rank:>5} "
            f"{share_text(token.before):>6} {share_text(token.share):>6}{removed}",
            YELLOW if removed else "",
        )
    impossible = sum(bool(token.removed_by) for token in fit.tokens)
    view.line()
    view.line(f"perplexity {fit.perplexity:.4g}")
    view.line(
        f"admitted by top_k {fit.top_k} or more, top_p {_wide_enough(fit.top_p)} or more, "
        f"min_p {_low_enough(fit.min_p)} or less, each alone"
    )
    view.line(f"impossible with these settings: {impossible} of {len(fit.tokens)} tokens")
    env.stdout.flush()


def _wide_enough(top_p: float) -> str:
    """A top_p that surely admits the text: sums of probabilities are exact to a millionth."""
    return _rounded(min(1.0, top_p + 1e-6), ROUND_CEILING) if top_p > 0 else "0"


def _low_enough(min_p: float) -> str:
    """A min_p that surely admits the text: logits have seven digits."""
    return _rounded(min_p * (1 - 1e-5), ROUND_FLOOR) if min_p < 1 else "1"


def _rounded(value: float, rounding: str) -> str:
    digits = Rounding(prec=4, rounding=rounding).create_decimal_from_float(value)
    return f"{float(digits):.4g}"
