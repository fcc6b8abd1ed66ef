"""Check a GGUF file against the run it came from: same tokens, same logits. Needs llama-cpp-python.

python verify.py --run run/ --gguf model.gguf --write reference.npz   (where torch is installed)
python verify.py --gguf model.gguf --against reference.npz            (where llama_cpp is)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

TEXTS = (
    "Once upon a time there was a small fox named Rusty, who lived near the stream.",
    "Zalquorin Foods pays EUR 12,500.75 by 2031-04-09; 7 % interest, 30 days.",
    "It's  two   spaces,\n\nnew lines\tand a tab: don't we'll they've \n end ",
    "日本語のテキスト、こんにちは世界。",
    "مرحبا بالعالم ١٢٣",
    "emoji 🦊🐻‍❄️ 👩‍👩‍👧 and ünïcödé ½ ² Ⅳ",
    '{"name": "Ada", "age": 36, "list": [1, 2.5, null]}',
)
PROMPT = (
    "<|im_start|>system\nYou tell short stories.<|im_end|>\n<|im_start|>user\n"
    "Once upon a time<|im_end|>\n<|im_start|>assistant\nthere was a brave mouse named Quorin. "
)


def write_reference(run: Path, path: Path) -> None:
    """Store what the tokenizers library and PyTorch say."""
    import tokens
    import torch
    from export import load_model

    tokenizer = tokens.load_tokenizer(run / "tokenizer.json")
    ids = [tokenizer.encode(text).ids for text in (*TEXTS, PROMPT)]
    decoded = [tokenizer.decode(row, skip_special_tokens=False) for row in ids]
    assert decoded == [*TEXTS, PROMPT], "the tokenizer does not round-trip"
    with torch.no_grad():
        logits = load_model(run)(torch.tensor([ids[-1]]))[0].numpy()
    np.savez_compressed(path, ids=json.dumps(ids), logits=logits)


def compare(gguf_path: Path, path: Path) -> None:
    """Raise if llama.cpp tokenizes or computes differently."""
    import llama_cpp

    stored = np.load(path)
    expected_ids = json.loads(str(stored["ids"]))
    engine = llama_cpp.Llama(str(gguf_path), n_ctx=512, logits_all=True, verbose=False, n_threads=2)
    for text, expected in zip((*TEXTS, PROMPT), expected_ids, strict=True):
        actual = engine.tokenize(text.encode(), add_bos=False, special=True)
        assert actual == expected, f"tokens differ for {text!r}: {actual} != {expected}"
        assert engine.detokenize(actual, special=True) == text.encode(), f"{text!r} is not restored"
    engine.eval(expected_ids[-1])
    logits = engine.scores[: len(expected_ids[-1])]
    difference = np.abs(logits - stored["logits"])
    agreement = (logits.argmax(-1) == stored["logits"].argmax(-1)).mean()
    print(f"tokens equal on {len(expected_ids)} texts")
    print(f"logits: max abs diff {difference.max():.4f}, mean {difference.mean():.5f},")
    print(f"range {stored['logits'].min():.1f} to {stored['logits'].max():.1f}, ", end="")
    print(f"same argmax at {agreement:.1%} of positions")
    assert difference.max() < 0.15, "the logits differ more than F16 explains"


def main() -> None:
    """Write a reference or compare with one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, help="folder that train.py wrote")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--write", type=Path, help="store the reference in this file")
    parser.add_argument("--against", type=Path, help="compare with this reference")
    arguments = parser.parse_args()
    if arguments.write:
        write_reference(arguments.run, arguments.write)
    if arguments.against:
        compare(arguments.gguf, arguments.against)


if __name__ == "__main__":
    main()
