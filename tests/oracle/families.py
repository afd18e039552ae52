"""Tiny models of every family with random weights, and what transformers and transformer_lens compute with them.

    pip install torch transformers 'transformer-lens<4'; python families.py

Writes the folders of tests/oracle/families, to which tests/families.rs holds saerun: the weights in f16, and in `NAME.expected.safetensors`
the rows at every hook and the logits for the tokens (7 i + 3) mod 50 at positions 0 to 15, computed in f64.
"""
import json, os, shutil, torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM)
from transformer_lens import HookedTransformer, HookedTransformerConfig

V, C, D, L = 50, 16, 16, 2
ids = torch.tensor([[(7 * i + 3) % V for i in range(C)]])
here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "families")
shutil.rmtree(here, ignore_errors=True)

def fill(parameters):
    """Random values that f16 holds: scales near 1, all others large enough to matter."""
    torch.manual_seed(1)
    for name, p in parameters:
        if not p.is_floating_point() or "mask" in name or "IGNORE" in name: continue
        scale = p.ndim == 1 and (name.endswith("weight") or name.endswith(".w"))
        x = 1 + 0.2 * torch.randn(p.shape) if scale else (0.2 if p.ndim == 1 else 0.4) * torch.randn(p.shape)
        p.data.copy_(x.half().to(p.dtype))

def tokenizer(folder):
    words = {"<|endoftext|>": 0, "<s>": 1, "</s>": 2, **{f"w{i}": i for i in range(3, V)}}
    t = Tokenizer(models.WordLevel(words, unk_token="<s>"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.save(os.path.join(folder, "tokenizer.json"))

def expected(folder, rows):
    save_file({k: v.float().contiguous().reshape(C, -1) for k, v in rows.items()}, folder + ".expected.safetensors")

def hugging_face(name, model, layers, parts, parallel=False, **save):
    """`parts`: attention, norm before the MLP, MLP, output matrix of the MLP, by name in a layer."""
    folder = os.path.join(here, name)
    fill(model.named_parameters())
    model = model.double().eval()
    rows, first = {}, lambda x: x[0] if isinstance(x, tuple) else x
    for i, layer in enumerate(layers(model)):
        at, part = f"blocks.{i}.", lambda k: layer.get_submodule(parts[k])
        def keep(hook, pick): return lambda m, a, kw, out, hook=at + hook: rows.__setitem__(hook, first(pick(a, kw, out)))
        layer.register_forward_hook(keep("hook_resid_pre", lambda a, kw, o: a[0] if a else kw["hidden_states"]), with_kwargs=True)
        layer.register_forward_hook(keep("hook_resid_post", lambda a, kw, o: o), with_kwargs=True)
        part(0).register_forward_hook(keep("hook_attn_out", lambda a, kw, o: o), with_kwargs=True)
        if not parallel: part(1).register_forward_hook(keep("hook_resid_mid", lambda a, kw, o: a[0]), with_kwargs=True)
        part(2).register_forward_hook(keep("hook_mlp_out", lambda a, kw, o: o), with_kwargs=True)
        part(3).register_forward_hook(keep("mlp.hook_post", lambda a, kw, o: a[0]), with_kwargs=True)
    with torch.no_grad(): rows["logits"] = model(ids).logits
    model.half().save_pretrained(folder, **save)
    for extra in ["generation_config.json"]:
        if os.path.exists(os.path.join(folder, extra)): os.remove(os.path.join(folder, extra))
    tokenizer(folder); expected(folder, rows)

ends = dict(bos_token_id=0, eos_token_id=0)
hugging_face("gpt2", GPT2LMHeadModel(GPT2Config(vocab_size=V, n_positions=C, n_embd=D, n_layer=L, n_head=2, attn_implementation="eager", **ends)),
    lambda m: m.transformer.h, ["attn", "ln_2", "mlp", "mlp.c_proj"])
for name, parallel in [("neox", True), ("neox-sequential", False)]:
    hugging_face(name, GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=V, max_position_embeddings=C, hidden_size=D, num_hidden_layers=L,
        num_attention_heads=2, intermediate_size=32, rotary_pct=0.5, use_parallel_residual=parallel, attn_implementation="eager",
        layer_norm_eps=1e-3, attention_dropout=0.0, hidden_dropout=0.0, **ends)),
        lambda m: m.gpt_neox.layers, ["attention", "post_attention_layernorm", "mlp", "mlp.dense_4h_to_h"], parallel)
llama = dict(vocab_size=V, max_position_embeddings=C, hidden_size=D, num_hidden_layers=L, num_attention_heads=4, num_key_value_heads=2,
    intermediate_size=24, attn_implementation="eager", bos_token_id=1, eos_token_id=2)
llama_parts = (lambda m: m.model.layers, ["self_attn", "post_attention_layernorm", "mlp", "mlp.down_proj"])
hugging_face("llama", LlamaForCausalLM(LlamaConfig(head_dim=8, tie_word_embeddings=False, rms_norm_eps=1e-3, **llama)), *llama_parts,
    max_shard_size="6KB")
hugging_face("llama-3", LlamaForCausalLM(LlamaConfig(tie_word_embeddings=True, attention_bias=True, rope_theta=500.0, rope_scaling=dict(
    rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16, rope_theta=500.0), **llama)), *llama_parts)

def lens(name, weights, act_fn="gelu", **config):
    folder = os.path.join(here, name)
    os.makedirs(folder)
    c = HookedTransformerConfig(n_layers=L, d_model=D, n_ctx=C, d_head=8, n_heads=2, d_mlp=None if config.get("attn_only") else 32,
        d_vocab=V, act_fn=None if config.get("attn_only") else act_fn, normalization_type="LN", seed=1, **config)
    model = HookedTransformer(c)
    fill(model.named_parameters())
    state = {k: v.clone() for k, v in model.state_dict().items()}
    if weights.endswith("pth"): torch.save({k: v.half() if v.is_floating_point() and "IGNORE" not in k else v for k, v in state.items()}, os.path.join(folder, weights))
    else: save_file({k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in state.items() if k != "unembed.b_U" and "IGNORE" not in k}, os.path.join(folder, weights))
    if not weights.endswith("pth"): model.unembed.b_U.data.zero_(); state = {k: v.clone() for k, v in model.state_dict().items()}
    wanted = lambda n: n.endswith(("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "hook_post"))
    rows = {}
    for prefix, center in [("", False), ("centered.", True)]:
        model.load_state_dict(state)
        if center: model.process_weights_(fold_ln=False, center_writing_weights=True, center_unembed=False)
        logits, cache = model.double().run_with_cache(ids, names_filter=wanted)
        rows.update({prefix + k: v for k, v in cache.items()}); rows[prefix + "logits"] = logits
        model.float()
    about = dict(d_model=D, n_layers=L, n_heads=2, d_head=8, d_mlp=32, n_ctx=C, d_vocab=V, act_fn=act_fn, normalization="LN",
        attn_only=bool(config.get("attn_only")), tokenizer_name="nobody/words")
    if act_fn != "solu_ln": json.dump(about, open(os.path.join(folder, "config.json"), "w"))
    tokenizer(folder); expected(folder, rows)

lens("gelu", "model_final.pth")
lens("solu", "model.safetensors", act_fn="solu_ln")
lens("attn-only", "attn.pth", attn_only=True)
