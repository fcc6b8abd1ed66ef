"""Random models of the architectures that llama.cpp 0.3.36 gets wrong with several sequences."""

from __future__ import annotations

from pathlib import Path

from shapes import CONTEXT, VOCABULARY, Shapes, _write

WIDTH, FEED_FORWARD = 64, 64


def write_plamo2(path: Path) -> Path:
    """Like PLaMo 2: a Mamba layer between two of attention."""
    heads, inner, state, rank = 2, 2 * WIDTH, 16, 2
    steps = 64  # as many as llama.cpp expects at least
    shapes = _ends()
    for layer in range(3):
        shapes |= _block(
            layer,
            {
                "attn_norm.weight": (WIDTH,),
                "post_attention_norm": (WIDTH,),
                "ffn_norm.weight": (WIDTH,),
                "post_ffw_norm": (WIDTH,),
                "ffn_up.weight": (2 * FEED_FORWARD, WIDTH),
                "ffn_down.weight": (WIDTH, FEED_FORWARD),
            },
        )
    for layer in (0, 2):
        shapes |= _block(
            layer,
            {
                "attn_qkv.weight": (3 * WIDTH, WIDTH),
                "attn_q_norm.weight": (heads, WIDTH // heads),
                "attn_k_norm.weight": (heads, WIDTH // heads),
                "attn_output.weight": (WIDTH, WIDTH),
            },
        )
    shapes |= _block(
        1,
        {
            "ssm_in.weight": (2 * inner, WIDTH),
            "ssm_conv1d.weight": (inner, 4),
            "ssm_x.weight": (steps + 2 * state, inner),
            "ssm_dt.weight": (rank, steps),
            "ssm_dt.bias": (rank,),
            "ssm_dt_norm": (steps,),
            "ssm_b_norm": (state,),
            "ssm_c_norm": (state,),
            "ssm_a": (rank,),
            "ssm_d": (rank,),
            "ssm_out.weight": (WIDTH, inner),
        },
    )
    sizes = {
        "attention.head_count": [heads, 0, heads],
        "attention.head_count_kv": [heads, 0, heads],
        "attention.key_length": WIDTH // heads,
        "attention.value_length": WIDTH // heads,
        "ssm.conv_kernel": 4,
        "ssm.inner_size": inner,
        "ssm.state_size": state,
        "ssm.time_step_rank": rank,
        "ssm.group_count": 0,
    }
    return _write(path, "plamo2", shapes, "F32", **_sizes(3), **sizes)


def write_kimi_linear(path: Path) -> Path:
    """Like Kimi Linear: a layer of delta attention, which keeps a state, behind one of latent
    attention.
    """
    head, rotated, latent = 32, 16, 32
    attention = {
        "attn_q.weight": (head, WIDTH),
        "attn_kv_a_mqa.weight": (latent + rotated, WIDTH),
        "attn_kv_a_norm.weight": (latent,),
        "attn_k_b.weight": (1, latent, head - rotated),
        "attn_v_b.weight": (1, head, latent),
        "attn_output.weight": (WIDTH, head),
    }
    delta = {
        **{f"attn_{name}.weight": (head, WIDTH) for name in "qkv"},
        **{f"ssm_conv1d_{name}.weight": (head, 1, 4) for name in "qkv"},
        "ssm_f_a.weight": (head, WIDTH),
        "ssm_f_b.weight": (head, head),
        "ssm_g_a.weight": (head, WIDTH),
        "ssm_g_b.weight": (head, head),
        "ssm_beta.weight": (1, WIDTH),
        "ssm_a": (1, 1),
        "ssm_dt.bias": (head,),
        "ssm_norm.weight": (head,),
        "attn_output.weight": (WIDTH, head),
    }
    shapes = _ends()
    for layer, mixer in enumerate((attention, delta)):
        norms = {"attn_norm.weight": (WIDTH,), "ffn_norm.weight": (WIDTH,)}
        feed_forward = {
            "ffn_gate.weight": (FEED_FORWARD, WIDTH),
            "ffn_up.weight": (FEED_FORWARD, WIDTH),
            "ffn_down.weight": (WIDTH, FEED_FORWARD),
        }
        shapes |= _block(layer, {**norms, **mixer, **feed_forward})
    sizes = {
        "attention.head_count": [1, 0],
        "attention.head_count_kv": [1, 0],
        "attention.key_length": latent + rotated,
        "attention.value_length": latent,
        "attention.key_length_mla": head,
        "attention.value_length_mla": head,
        "attention.kv_lora_rank": latent,
        "rope.dimension_count": rotated,
        "ssm.conv_kernel": 4,
        "kda.head_dim": head,
        "leading_dense_block_count": 2,
        "expert_feed_forward_length": FEED_FORWARD,
        "expert_shared_count": 1,
        "expert_gating_func": 2,
    }
    return _write(path, "kimi-linear", shapes, "F32", **_sizes(2), **sizes)


def write_deepseek4(path: Path) -> Path:
    """Like DeepSeek 4: a layer of attention, and one that compresses every four tokens."""
    heads, head, latent, groups, copies = 2, 64, 32, 2, 4
    indexers, indexer = 64, 128  # as large as the library's fused kernel wants them
    wide, mixed = copies * WIDTH, (2 + copies) * copies
    shapes = _ends() | {
        "output_hc_fn.weight": (copies, wide),
        "output_hc_base.weight": (copies,),
        "output_hc_scale.weight": (1,),
    }
    for layer in range(2):
        tensors: Shapes = {
            "attn_norm.weight": (WIDTH,),
            "attn_sinks.weight": (heads,),
            "attn_q_a.weight": (latent, WIDTH),
            "attn_q_a_norm.weight": (latent,),
            "attn_q_b.weight": (heads * head, latent),
            "attn_kv.weight": (head, WIDTH),
            "attn_kv_a_norm.weight": (head,),
            "attn_output_a.weight": (groups, latent, heads * head // groups),
            "attn_output_b.weight": (WIDTH, groups * latent),
            "ffn_norm.weight": (WIDTH,),
            "ffn_gate_inp.weight": (2, WIDTH),
            "exp_probs_b.bias": (2,),
        }
        for part in ("attn", "ffn"):
            tensors |= {
                f"hc_{part}_fn.weight": (mixed, wide),
                f"hc_{part}_base.weight": (mixed,),
                f"hc_{part}_scale.weight": (3,),
            }
        for name in ("gate", "up"):
            tensors[f"ffn_{name}_exps.weight"] = (2, FEED_FORWARD, WIDTH)
            tensors[f"ffn_{name}_shexp.weight"] = (FEED_FORWARD, WIDTH)
        tensors["ffn_down_exps.weight"] = (2, WIDTH, FEED_FORWARD)
        tensors["ffn_down_shexp.weight"] = (WIDTH, FEED_FORWARD)
        shapes |= _block(layer, tensors)
    compressed: Shapes = {
        "indexer.proj.weight": (indexers, WIDTH),
        "indexer.attn_q_b.weight": (indexers * indexer, latent),
    }
    for name, size in (("attn", head), ("indexer", indexer)):
        compressed |= {
            f"{name}_compressor_kv.weight": (2 * size, WIDTH),
            f"{name}_compressor_gate.weight": (2 * size, WIDTH),
            f"{name}_compressor_ape.weight": (4, 2 * size),
            f"{name}_compressor_norm.weight": (size,),
        }
    sizes = {
        "attention.head_count": heads,
        "attention.head_count_kv": 1,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.q_lora_rank": latent,
        "attention.sliding_window": 32,
        "attention.indexer.head_count": indexers,
        "attention.indexer.key_length": indexer,
        "attention.indexer.top_k": 512,
        "attention.output_group_count": groups,
        "attention.output_lora_rank": latent,
        "attention.compress_rope_freq_base": 10000.0,
        "attention.compress_ratios": [0, 4],
        "rope.dimension_count": head // 2,
        "hyper_connection.count": copies,
        "hyper_connection.sinkhorn_iterations": 2,
        "hyper_connection.epsilon": 1e-6,
        "hash_layer_count": 0,
        "swiglu_clamp_exp": 10.0,
        "expert_count": 2,
        "expert_used_count": 2,
        "expert_shared_count": 1,
        "expert_feed_forward_length": FEED_FORWARD,
        "expert_weights_scale": 1.0,
        "expert_weights_norm": True,
        "expert_gating_func": 4,
    }
    return _write(path, "deepseek4", shapes | _block(1, compressed), "F32", **_sizes(2), **sizes)


def _ends() -> Shapes:
    return {
        "token_embd.weight": (VOCABULARY, WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (VOCABULARY, WIDTH),
    }


def _block(layer: int, tensors: Shapes) -> Shapes:
    return {f"blk.{layer}.{name}": shape for name, shape in tensors.items()}


def _sizes(layers: int) -> dict[str, int | float]:
    return {
        "block_count": layers,
        "context_length": CONTEXT,
        "embedding_length": WIDTH,
        "feed_forward_length": FEED_FORWARD,
        "attention.layer_norm_rms_epsilon": 1e-6,
    }
