"""Write a training run as a GGUF file (matrices F16, norms F32) with its SHA-256 beside it.

python export.py --run run/ --to model.gguf
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import gguf
import numpy as np
import tokens
import torch
from model import Llama, Shape

NAME = "llmparams-tiny"
DESCRIPTION = (
    "The built-in model of llmparams: trained from scratch on generated text (stories, contract "
    "clauses, questions about LLM parameters, small talk, JSON extraction) to teach parameters."
)
BLOCK_TENSORS = {
    "attention_norm.weight": "attn_norm",
    "attention.q.weight": "attn_q",
    "attention.k.weight": "attn_k",
    "attention.v.weight": "attn_v",
    "attention.output.weight": "attn_output",
    "ffn_norm.weight": "ffn_norm",
    "ffn.gate.weight": "ffn_gate",
    "ffn.up.weight": "ffn_up",
    "ffn.down.weight": "ffn_down",
}


def interleave(matrix: np.ndarray, n_head: int) -> np.ndarray:
    """Reorder the rows of Q or K: training rotates halves of a head, llama.cpp rotates pairs."""
    rows, columns = matrix.shape
    halves = matrix.reshape(n_head, 2, rows // n_head // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def load_model(run: Path) -> Llama:
    """The model of a run, on the CPU."""
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    model = Llama(Shape(**state["shape"]))
    model.load_state_dict(state["model"])
    return model.eval()


def named_tensors(model: Llama) -> dict[str, np.ndarray]:
    """Every tensor under its GGUF name, as float32."""
    state = {name: value.float().numpy() for name, value in model.state_dict().items()}
    tensors = {
        "token_embd.weight": state["embedding.weight"],
        "output_norm.weight": state["norm.weight"],
    }
    for layer in range(model.shape.n_layer):
        for ours, theirs in BLOCK_TENSORS.items():
            values = state[f"blocks.{layer}.{ours}"]
            if theirs in ("attn_q", "attn_k"):
                values = interleave(values, model.shape.n_head)
            tensors[f"blk.{layer}.{theirs}.weight"] = values
    return tensors


def add_metadata(writer: gguf.GGUFWriter, shape: Shape) -> None:
    """What the file is, and the shape that llama.cpp has to build."""
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_license("mit")
    writer.add_version("1.0")
    writer.add_size_label("5.6M")
    writer.add_languages(["en"])
    writer.add_tags(["text-generation", "educational", "synthetic-data"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(shape.n_context)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layer)
    writer.add_feed_forward_length(shape.n_ffn)
    writer.add_head_count(shape.n_head)
    writer.add_head_count_kv(shape.n_head)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_vocab_size(shape.n_vocab)


def add_tokenizer(writer: gguf.GGUFWriter, path: Path) -> None:
    """Vocabulary, merges, control tokens and the chat template."""
    bpe = json.loads(path.read_text())["model"]
    vocabulary = sorted(bpe["vocab"], key=bpe["vocab"].get)
    kinds = [
        gguf.TokenType.CONTROL if token in tokens.CONTROL_TOKENS else gguf.TokenType.NORMAL
        for token in vocabulary
    ]
    end_of_text, _, end = (vocabulary.index(token) for token in tokens.CONTROL_TOKENS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokens.PRE_TOKENIZER_NAME)
    writer.add_token_list(vocabulary)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in bpe["merges"]])
    writer.add_bos_token_id(end_of_text)
    writer.add_eos_token_id(end)
    writer.add_eot_token_id(end)
    writer.add_pad_token_id(end_of_text)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(tokens.CHAT_TEMPLATE)


def write_gguf(run: Path, path: Path) -> None:
    """Write one complete GGUF file."""
    model = load_model(run)
    writer = gguf.GGUFWriter(path, "llama")
    add_metadata(writer, model.shape)
    add_tokenizer(writer, run / "tokenizer.json")
    for name, values in named_tensors(model).items():
        is_norm = values.ndim == 1
        writer.add_tensor(name, values.astype(np.float32 if is_norm else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def publish(run: Path, target: Path) -> str:
    """Write beside the target first and rename, so that a reader never sees half a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=run) as folder:
        partial = Path(folder) / target.name
        write_gguf(run, partial)
        content = partial.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    for path, data in (
        (target, content),
        (target.with_name(target.name + ".sha256"), f"{digest}  {target.name}\n".encode()),
    ):
        temporary = path.with_name("." + path.name + ".partial")
        temporary.write_bytes(data)
        temporary.replace(path)
    return digest


def main() -> None:
    """Export a run and print what was written."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="folder that train.py wrote")
    parser.add_argument("--to", type=Path, required=True, help="the GGUF file to write")
    arguments = parser.parse_args()
    digest = publish(arguments.run, arguments.to)
    print(f"{digest}  {arguments.to} ({arguments.to.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
