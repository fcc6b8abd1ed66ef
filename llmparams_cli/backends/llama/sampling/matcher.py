"""A grammar's state while text is generated, as llguidance follows it.

What the grammar forces is left to the model to spell (`no_forcing`): a mask has every token that
can come next, not only the one with which the forced text is usually spelled. So a token is in the
mask if and only if `allows` it.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.candidates import array_of
from llmparams_cli.constraints.limits import limits
from llmparams_cli.constraints.stack import COMPILING, with_stack
from llmparams_cli.constraints.wanted import Constraint
from llmparams_cli.errors import BackendError, UsageError

if TYPE_CHECKING:
    from llguidance import LLMatcher

MARK = b"\xff"  # before the name of a token that stands for no text; no UTF-8 has this byte
LONGEST = 1000  # bytes of a token; llguidance's trie is 1,024 deep
KEPT = 16  # compiled grammars
# Tokens that are looked at together where all of them may come next: masks in JSON's strings take a
# tenth of the time. llguidance's own four kinds double the time in which it reads the vocabulary.
IN_STRINGS = r'[^"\\\x00-\x1F\x7F]{1,10}'
USES = 256  # answers that a compiled grammar is shared by: what they learn of it stays in memory
SPELL_FREELY = '%llguidance {"no_forcing": true}\n'
WHERE = re.compile(r"^at \d+\(\d+\): (failed to compile JSON schema: )?|^Parser Error: ")
DEAD_END = "NoExtensionBias"  # llguidance's name for it: no token of this vocabulary can come next


class Matcher:
    """Implements `grammar.Grammar` with an LLMatcher."""

    def __init__(self, model: Model, constraint: Constraint) -> None:
        self._engine = Engine.of(model)
        self._origin = constraint.origin
        self._end_tokens = frozenset(model.end_tokens)
        self._state = self._engine.matcher(constraint)

    def allows(self, token: int) -> bool:
        state = self._state
        if state.is_stopped():  # nothing may follow
            self._check()
            return token in self._end_tokens and not state.is_error()
        return bool(state.validate_tokens([token]))

    def left(self, logits: Any) -> Any:
        ids = self._engine.mask(self._state)
        if self._state.is_error():
            self._check()
            ids = ids[:0]  # a dead end; llguidance's mask is one of end tokens then
        return array_of(ids, logits[ids])

    def accept(self, token: int) -> None:
        if not self._state.consume_token(token):
            self._check()

    def forced(self) -> bytes:
        return bytes(self._state.compute_ff_bytes())

    def is_complete(self) -> bool:
        return bool(self._state.is_accepting())

    def close(self) -> None:
        """Nothing to do: Python frees it."""

    def _check(self) -> None:
        """Raise BackendError if it has failed, as it does at its limits."""
        if self._state.is_error() and not (why := self._state.get_error()).startswith(DEAD_END):
            self._engine.forget()
            raise BackendError(
                f"{self._origin}: the grammar cannot be followed any further: {_one_line(why)}",
                "it is too complex: smaller numbers help, and fewer alternatives",
            )


class Engine:
    """A model's vocabulary as llguidance wants it, and the grammars compiled for it."""

    _of: ClassVar[WeakKeyDictionary[Model, Engine]] = WeakKeyDictionary()

    @classmethod
    def of(cls, model: Model) -> Engine:
        """The one engine of this model."""
        found = cls._of.get(model)
        if found is None:
            found = cls._of[model] = cls(model)
        return found

    def __init__(self, model: Model) -> None:
        import numpy as np
        from llguidance import LLTokenizer

        tokens = [
            piece if len(piece) < LONGEST else MARK + piece[:LONGEST]
            for piece in model.marked_pieces(MARK)
        ]
        ends = model.end_tokens or [len(tokens)]
        if not model.end_tokens:  # it needs one: behind all others
            tokens.append(MARK)
        vocabulary: Any = _Vocabulary(tokens, ends[0])
        self._tokenizer = LLTokenizer(vocabulary, eos_token=ends, slices=[IN_STRINGS])
        self._limits = limits()
        self._n_vocab = model.n_vocab
        self._mask = np.zeros((len(tokens) + 31) // 32, np.uint32)
        self._compiled: OrderedDict[str, tuple[LLMatcher, int]] = OrderedDict()

    def matcher(self, constraint: Constraint) -> LLMatcher:
        """One at the beginning of the grammar, which is compiled the first time."""
        grammar = constraint.grammar
        compiled, uses = self._compiled.pop(grammar, (None, 0))
        if compiled is None:
            compiled = with_stack(COMPILING, lambda: self._compile(constraint))
        if uses + 1 < USES:
            self._compiled[grammar] = compiled, uses + 1
        if len(self._compiled) > KEPT:
            self._compiled.popitem(last=False)
        return compiled.deep_copy()

    def mask(self, state: LLMatcher) -> Any:
        """The tokens that may come next, in order."""
        import numpy as np

        mask = self._mask
        state.unsafe_compute_mask_ptr(mask.ctypes.data, mask.nbytes)
        bits = np.unpackbits(mask.view(np.uint8), count=self._n_vocab, bitorder="little")
        return bits.view(bool).nonzero()[0]

    def forget(self) -> None:
        """Compile grammars anew: one of them has failed, with all that shared it."""
        self._compiled.clear()

    def _compile(self, constraint: Constraint) -> LLMatcher:
        from llguidance import LLMatcher

        matcher = LLMatcher(
            self._tokenizer, spelled_freely(constraint.grammar), log_level=0, limits=self._limits
        )
        if matcher.is_error():
            raise UsageError(
                f"{constraint.origin}: {_one_line(matcher.get_error())}", constraint.hint
            )
        return matcher


class _Vocabulary:
    """What LLTokenizer asks for (llguidance's TokenizerWrapper). It is never asked to split texts:
    that is for forcing tokens.
    """

    is_tokenizer_wrapper = True
    bos_token_id = None
    special_token_ids = ()

    def __init__(self, tokens: list[bytes], end: int) -> None:
        self.tokens, self.eos_token_id = tokens, end

    def __call__(self, text: str) -> list[int]:
        return []


def spelled_freely(grammar: str) -> str:
    """The grammar (Lark, or JSON with a list of grammars) with the option that it needs here."""
    if not grammar.lstrip().startswith("{"):
        return SPELL_FREELY + grammar
    document = json.loads(grammar)
    first = document["grammars"][0]
    if (lark := first.get("lark_grammar")) is not None:
        first["lark_grammar"] = SPELL_FREELY + lark
    else:
        first["lark_grammar"] = f"{SPELL_FREELY}start: %json {json.dumps(first.pop('json_schema'))}"
    return json.dumps(document)


def _one_line(error: str) -> str:
    """The first line of llguidance's error, without the place in what `spelled_freely` made."""
    first = next(iter(error.strip().splitlines()), "no reason given")
    return WHERE.sub("", first).replace("panic:", "llguidance breaks down on this grammar:")
