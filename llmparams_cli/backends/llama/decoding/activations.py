"""What the matrices of a model are multiplied with, while it reads: sums of squares, as
llama-imatrix collects them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llmparams_cli.backends.llama.decoding.reading import read
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.tensors import F32, Tensor, operation_of, values_of
from llmparams_cli.errors import BackendError
from llmparams_cli.interrupt import Control, called_from_c
from llmparams_cli.models.importance import Squares
from llmparams_cli.protocol import Chunk

FEWEST = 16  # rows: what has fewer is no reading of a text


class Collector:
    """Adds up the squares of what each matrix of a layer is multiplied with; `callback` is for
    `cb_eval` of llama_context_params.
    """

    def __init__(self) -> None:
        self.found: dict[str, Squares] = {}
        self.error: Exception | None = None  # it could not pass through C
        self.callback = llama().ggml_backend_sched_eval_callback(self._seen)

    @called_from_c
    def _seen(self, address: int, ask: bool, _user_data: object) -> bool:
        """Tell whether the result of an operation is wanted (`ask`), or take it."""
        tensor = Tensor.from_address(address)
        operation = operation_of(tensor)
        if operation not in ("MUL_MAT", "MUL_MAT_ID"):
            return False
        name = _matrix(tensor.src[0].contents.name)
        if ask:
            factor = tensor.src[1].contents
            is_read = factor.ne[1] >= FEWEST and factor.type == F32 and name.startswith("blk.")
            return is_read or operation == "MUL_MAT_ID"
        try:
            if operation == "MUL_MAT":
                self._add(name, tensor)
            else:
                self._add_experts(name, tensor)
        except Exception as error:
            self.error = error
        return True

    def _add(self, name: str, tensor: Tensor) -> None:
        import numpy as np

        matrix, factor = tensor.src[0].contents, tensor.src[1].contents
        several, columns = matrix.ne[2] * matrix.ne[3], factor.ne[0]
        squares = self.found.setdefault(name, Squares.zero(several, columns, 1))
        values = values_of(factor, np.float32).astype(np.float64)  # [ne3, ne2, row, column]
        rows = (values**2).sum(axis=2)
        for third in range(factor.ne[3]):
            for second in range(factor.ne[2]):
                place = (third % matrix.ne[3]) * matrix.ne[2] + second % matrix.ne[2]
                squares.sums[place] += rows[third, second]
        squares.counts += factor.ne[1] * factor.ne[2] * factor.ne[3] // several

    def _add_experts(self, name: str, tensor: Tensor) -> None:
        """Only the experts that a token was given to."""
        import numpy as np

        matrix, factor, ids = (tensor.src[place].contents for place in range(3))
        experts, columns = matrix.ne[2], factor.ne[0]
        squares = self.found.setdefault(name, Squares.zero(experts, columns, experts))
        values = values_of(factor, np.float32)[0].astype(np.float64) ** 2  # [token, slot, column]
        chosen = values_of(ids, np.int32)[0, 0]  # [token, slot]
        for slot in range(chosen.shape[1]):
            np.add.at(squares.sums, chosen[:, slot], values[:, slot % values.shape[1]])
            np.add.at(squares.counts, chosen[:, slot], 1)


def collected(
    context: Context,
    collector: Collector,
    batch_size: int,
    chunks: Iterable[Chunk],
    control: Control,
) -> Iterator[dict[str, Squares]]:
    """Read chunks into sequence 0, and yield what was found so far after each."""
    for chunk in chunks:
        wanted = range(len(chunk.tokens))  # all: the last layer leaves out the others
        for _ in read(context, batch_size, chunk, wanted, control):
            pass  # C calls the collector
        if collector.error:
            raise BackendError(
                f"what this model computes does not fit its matrices: {collector.error}"
            ) from collector.error
        yield collector.found


def _matrix(name: bytes) -> str:
    """The name in the file: CUDA0#blk.0.attn_k.weight#0 is a copy on another device."""
    parts = name.decode("utf-8", "replace").split("#")
    return parts[1] if len(parts) > 1 else parts[0]
