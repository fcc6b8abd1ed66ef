"""Losses and gradients by llama.cpp, which was made to train by itself, and worse.

Its own optimiser has one learning rate for all, counts every token of a row, and adds up gradients
for ever. So its step is taken out of the graph, and what is computed until then is read and edited
where it lies. What is to be known of it (0.3.36):

- Gradients do not flow through the KV cache, so all of a row is computed at once (n_ctx = n_batch =
  n_ubatch), and llama.cpp rounds n_ctx up to a multiple of 256. A shorter row is filled up.
- A decode after llama_opt_init is what tells the new scheduler its callback and its threads.
- After an evaluation its graph is gone, and with it ggml_opt_grad_acc's way to the sums of
  gradients. Their memory stays, and nothing ever sets it to zero.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.crash import during
from llmparams_cli.backends.llama.native.library import function, ggml, llama, log
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.native.tensors import (
    F32,
    NO_OPERATION,
    Tensor,
    floats_of,
    operation_of,
)
from llmparams_cli.errors import BackendError
from llmparams_cli.interrupt import Control, called_from_c

if TYPE_CHECKING:
    from numpy import bool_, float32, int32
    from numpy.typing import NDArray

    Array = NDArray[float32]

CELLS = 256  # of which llama.cpp makes a context of a whole number
I32, SGD = 26, 1  # enums ggml_type, ggml_opt_optimizer_type
NO_FLASH = 0  # enum llama_flash_attn_type
ROWS = 32  # of logits that are worked on at once
_POINTER = ctypes.c_void_p
_FILTER = ctypes.CFUNCTYPE(ctypes.c_bool, _POINTER, _POINTER)


class _Rates(ctypes.Structure):
    """ggml_opt_optimizer_params"""

    _fields_ = tuple(
        (name, ctypes.c_float)
        for name in ("alpha", "beta1", "beta2", "eps", "wd", "sgd_alpha", "sgd_wd")
    )


class _Options(ctypes.Structure):
    """llama_opt_params; the binding's lacks the last field."""

    _fields_ = (
        ("n_ctx_train", ctypes.c_uint32),
        ("param_filter", _FILTER),
        ("param_filter_ud", _POINTER),
        ("get_opt_pars", _POINTER),
        ("get_opt_pars_ud", _POINTER),
        ("optimizer_type", ctypes.c_int),
    )


class Gradients:
    """Computes losses of rows of up to `size` tokens, and gradients by some tensors of the model.

    `weights` are the very memory that llama.cpp computes with, by name; `sums` are gradients added
    up since `clear`. Both are gone after `close`.
    """

    def __init__(
        self, model: Model, size: int, threads: int, names: Collection[str], control: Control
    ) -> None:
        self.size = -(-size // CELLS) * CELLS
        self.weights: dict[str, Array] = {}
        self.sums: dict[str, Array] = {}
        self._names, self._control = frozenset(names), control
        self._error: BaseException | None = None  # it could not pass through C
        self._learned: NDArray[bool_]
        self._share: float | None = None
        self._nats: float | None = None
        self._callback = llama().ggml_backend_sched_eval_callback(self._seen)
        self._filter = _FILTER(self._offered)
        self._rates = _Rates(sgd_alpha=1e-37)  # must not be 0
        self._context = Context(model, self._params(threads), self.size)
        try:
            self._begin(model)
        except BaseException:
            self._context.close()
            raise
        self._dataset = _call("ggml_opt_dataset_init", _POINTER, *_DATASET)(
            I32, I32, self.size, self.size, 1, 1
        )
        self._tokens = self._part("ggml_opt_dataset_data")
        self._targets = self._part("ggml_opt_dataset_labels")

    def row(
        self, tokens: NDArray[int32], learned: NDArray[bool_], share: float | None = None
    ) -> float:
        """The loss of a row, in nats: the sum over its `learned` tokens. With `share`, the gradient
        of so much of it is added to the sums.
        """
        import numpy as np

        count = len(tokens) - 1  # the last one is only a target
        assert 0 < count <= self.size
        self._tokens[:count], self._tokens[count:] = tokens[:-1], tokens[-1]
        self._targets[:count], self._targets[count:] = tokens[1:], tokens[-1]
        self._learned = np.zeros(self.size, np.bool_)
        self._learned[:count] = learned[1:]
        self._share, self._nats = share, None
        log.clear()
        with during("computing the loss of a row"):
            self._epoch(share is not None)
        self._complain()
        assert self._nats is not None
        return self._nats

    def clear(self) -> None:
        """Let the sums be zero."""
        for each in self.sums.values():
            each.fill(0)

    def close(self) -> None:
        self.weights, self.sums = {}, {}
        if self._dataset:
            _call("ggml_opt_dataset_free", None, _POINTER)(self._dataset)
            self._dataset = None
        self._context.close()

    def _params(self, threads: int) -> Any:
        params = llama().llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self.size
        params.n_threads = params.n_threads_batch = threads
        params.type_k = params.type_v = F32
        params.flash_attn_type = NO_FLASH
        params.swa_full = True  # else the window's cache is smaller than a row
        params.cb_eval = self._callback
        abort, params.abort_callback_data = self._control.callback(llama().ggml_abort_callback)
        params.abort_callback = abort
        return params

    def _begin(self, model: Model) -> None:
        constant = ctypes.cast(ggml().ggml_opt_get_constant_optimizer_params, _POINTER)
        rates = ctypes.cast(ctypes.pointer(self._rates), _POINTER)
        options = _Options(0, self._filter, None, constant, rates, SGD)
        begin = _call("llama_opt_init", None, _POINTER, _POINTER, _Options, library=llama()._lib)
        with during("preparing to train"):
            begin(self._context.handle, model.handle, options)
        if missing := self._names - self.weights.keys():
            raise BackendError(f"not in the model, or not F32: {_listed(missing)}")
        with during("trying the model"):
            self._context.decode([(0, place, 0) for place in range(self.size)], [0])

    def _part(self, name: str) -> NDArray[int32]:
        """A row of numbers in the dataset."""
        import numpy as np

        tensor = _call(name, ctypes.POINTER(Tensor), _POINTER)(self._dataset).contents
        memory = (ctypes.c_int32 * self.size).from_address(tensor.data)
        return np.ctypeslib.as_array(memory)

    def _epoch(self, trains: bool) -> None:
        """Of the dataset's one row."""
        pointers = (_POINTER,) * 4
        epoch = _call(
            "llama_opt_epoch",
            None,
            *(*pointers, ctypes.c_int64, _POINTER, _POINTER),
            library=llama()._lib,
        )
        epoch(self._context.handle, self._dataset, None, None, int(trains), None, None)

    def _complain(self) -> None:
        """Raise what went wrong in a row, or KeyboardInterrupt if its work was ended."""
        if error := self._error:
            self._error = None
            raise error
        if self._control.stop:
            raise KeyboardInterrupt
        if self._nats is None:
            raise BackendError(f"llama.cpp computed nothing: {log.complaint()}")
        if self._share is not None and (missing := self.weights.keys() - self.sums.keys()):
            raise BackendError(f"llama.cpp computes no gradient by {_listed(missing)}")

    @called_from_c
    def _offered(self, address: int, _user_data: object) -> bool:
        """Is a tensor that could be trained among those that are to be?"""
        tensor = Tensor.from_address(address)
        name = tensor.name.decode("utf-8", "replace")
        if name not in self._names:
            return False
        self.weights[name] = floats_of(tensor)
        return True

    @called_from_c
    def _seen(self, address: int, ask: bool, _user_data: object) -> bool:
        """Tell whether the result of an operation is wanted (`ask`), or take it. Always true then:
        false would end the work of one device, but not of the others.
        """
        tensor = Tensor.from_address(address)
        action = _ACTIONS.get(operation_of(tensor))
        if action is None:
            return False
        try:
            return action(self, tensor, ask)
        except BaseException as error:
            self._error = error
            return True

    def _at_loss(self, tensor: Tensor, ask: bool) -> bool:
        if not ask:
            logits = floats_of(tensor.src[0].contents)
            self._nats = _nats(logits, self._targets, self._learned)
        return True

    def _at_slopes(self, tensor: Tensor, ask: bool) -> bool:
        """llama.cpp has the gradient of the mean over all rows of logits, padding too."""
        if not ask:
            slopes = floats_of(tensor)
            assert self._share is not None
            slopes *= len(slopes) * self._share
            slopes[~self._learned] = 0
        return True

    def _at_step(self, tensor: Tensor, ask: bool) -> bool:
        """Take it out, and find the sum that it would have used."""
        name = tensor.src[0].contents.name.decode("utf-8", "replace")
        if name not in self.sums:
            self.sums[name] = floats_of(tensor.src[1].contents)
        tensor.op = NO_OPERATION
        return False


_Action = Callable[[Gradients, Tensor, bool], bool]
_ACTIONS: dict[str, _Action] = {
    "CROSS_ENTROPY_LOSS": Gradients._at_loss,
    "CROSS_ENTROPY_LOSS_BACK": Gradients._at_slopes,
    "OPT_STEP_SGD": Gradients._at_step,
}
_DATASET = (ctypes.c_int, ctypes.c_int, *(ctypes.c_int64,) * 4)


def _nats(logits: Array, targets: NDArray[int32], learned: NDArray[bool_]) -> float:
    """The cross entropy of the learned targets, from the logits before each."""
    import numpy as np

    places, nats = np.flatnonzero(learned), 0.0
    with np.errstate(all="ignore"):  # what is not finite, the caller sees
        for begin in range(0, len(places), ROWS):
            part = places[begin : begin + ROWS]
            rows = logits[part]  # a copy
            rows -= rows.max(axis=1, keepdims=True)
            wanted = rows[np.arange(len(part)), targets[part]]
            np.exp(rows, out=rows)
            nats += float((np.log(rows.sum(axis=1)) - wanted).sum(dtype=np.float64))
    return nats


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def _call(name: str, result: Any, *arguments: Any, library: Any = None) -> Any:
    """A function of ggml, or of another library. Looked up by index: the attribute is the binding's
    own, with its own types.
    """
    return function((library or ggml())[name], result, *arguments)
