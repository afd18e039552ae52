"""SAEs by the tools that own the formats; tests/formats.rs holds saerun to what they compute.

    python sae_formats.py make DIR [small]   one folder a format and architecture, each with inputs and what the tool makes of them
    python sae_formats.py check DIR          every folder that saerun wrote there, by the tool's own reader: the largest differences, as JSON

Needs sae-lens; eai-sparsify and dictionary-learning where they are installed. tests/formats/ was made by `make tests/formats small`.
"""
import json, os, sys
from pathlib import Path

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # its other decoder needs a GPU

import torch
from safetensors.torch import load_file, save_file
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)


def importable(name):
    try:
        return __import__(name, fromlist=["_"])
    except ImportError:
        return None


def randomize(module, sd=0.5):
    """Every parameter random: what is 0 or tied at the start would hide a slip."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p) * sd)


def leave(folder, x, encode, decode):
    """Inputs and what the tool makes of them."""
    with torch.no_grad():
        codes = encode(x)
        out = decode(codes)
    assert (codes != 0).any(), folder
    tensors = {"x": x, "codes": codes, "reconstructions": out}
    save_file({k: v.detach().to_dense().float().contiguous() for k, v in tensors.items()}, folder / "expected.safetensors")


def sae_lens(folder, x, d, n):
    import sae_lens as sl

    def save(name, cls, cfg, **kwargs):
        cfg = cfg(d_in=d, d_sae=n, dtype="float32", device="cpu", apply_b_dec_to_input="out" not in name, **kwargs)
        cfg.metadata.hook_name, cfg.metadata.model_name, cfg.metadata.context_size = "blocks.1.hook_mlp_out", "tiny", 64
        sae = cls(cfg)
        randomize(sae)
        path = folder / f"sae_lens_{name}"
        sae.save_model(path)
        leave(path, x, sae.encode, sae.decode)
        return sae

    save("standard", sl.StandardSAE, sl.StandardSAEConfig)
    save("standard_without_b_dec", sl.StandardSAE, sl.StandardSAEConfig)
    save("topk", sl.TopKSAE, sl.TopKSAEConfig, k=3)
    save("topk_rescaled", sl.TopKSAE, sl.TopKSAEConfig, k=3, rescale_acts_by_decoder_norm=True)
    save("jumprelu", sl.JumpReLUSAE, sl.JumpReLUSAEConfig)
    save("gated", sl.GatedSAE, sl.GatedSAEConfig)

    # Versions 3 to 5: flat keys, a top-k SAE as a standard one with another activation. What SAELens makes of the folder counts.
    source = sl.TopKSAE(sl.TopKSAEConfig(d_in=d, d_sae=n, dtype="float32", device="cpu", k=3))
    randomize(source)
    path = folder / "sae_lens_v5"
    path.mkdir(parents=True, exist_ok=True)
    weights = {k: v.contiguous() for k, v in source.state_dict().items()}
    save_file(weights | {"scaling_factor": torch.ones(n)}, path / "sae_weights.safetensors")
    flat = dict(architecture="standard", d_in=d, d_sae=n, dtype="float32", device="cpu", hook_point="blocks.1.hook_mlp_out",
                model_name="tiny", context_size=64, activation_fn_str="topk", activation_fn_kwargs={"k": 3}, apply_b_dec_to_input=True,
                finetuning_scaling_factor=False, normalize_activations=False, prepend_bos=True, dataset_path="none", sae_lens_training_version="3.22.0")
    (path / "cfg.json").write_text(json.dumps(flat))
    sae = sl.SAE.load_from_disk(path)
    leave(path, x, sae.encode, sae.decode)


def sparsify(folder, x, d, n):
    from sparsify import SparseCoder, SparseCoderConfig

    sae = SparseCoder(d, SparseCoderConfig(num_latents=n, k=3))
    randomize(sae)
    path = folder / "sparsify" / "layers.1.mlp"
    sae.save_to_disk(path)
    leave(path, x, lambda x: dense(sae, x), lambda f: f @ sae.W_dec + sae.b_dec)


def dense(sae, x):
    top = sae.encode(x)
    return torch.zeros(len(x), sae.num_latents).scatter_(1, top.top_indices, top.top_acts)


def dictionary_learning(folder, x, d, n):
    from dictionary_learning import dictionary as dl
    from dictionary_learning.trainers.batch_top_k import BatchTopKSAE
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE
    from dictionary_learning.trainers.top_k import AutoEncoderTopK

    saes = [dl.AutoEncoder(d, n), dl.AutoEncoderNew(d, n), AutoEncoderTopK(d, n, 3), BatchTopKSAE(d, n, 3),
            MatryoshkaBatchTopKSAE(d, n, 3, [n // 4, n - n // 4]), dl.JumpReluAutoEncoder(d, n), dl.GatedAutoEncoder(d, n)]
    for sae in saes:
        randomize(sae)
        if isinstance(sae, (BatchTopKSAE, MatryoshkaBatchTopKSAE)):
            sae.threshold.fill_(0.7)
        name = type(sae).__name__
        path = folder / f"dictionary_learning_{name}"
        path.mkdir(parents=True, exist_ok=True)
        torch.save(sae.state_dict(), path / "ae.pt")
        trainer = dict(trainer_class="none", dict_class=name, activation_dim=d, dict_size=n, layer=1, lm_name="tiny", submodule_name="mlp_out")
        if hasattr(sae, "k"):
            trainer["k"] = sae.k.item()
        (path / "config.json").write_text(json.dumps({"trainer": trainer, "buffer": {"ctx_len": 64}}))
        leave(path, x, sae.encode, sae.decode)


class NeelNanda(nn.Module):
    """`AutoEncoder` of neelnanda-io/1L-Sparse-Autoencoder, less its training."""

    def __init__(self, d, n):
        super().__init__()
        self.W_enc, self.W_dec = nn.Parameter(torch.zeros(d, n)), nn.Parameter(torch.zeros(n, d))
        self.b_enc, self.b_dec = nn.Parameter(torch.zeros(n)), nn.Parameter(torch.zeros(d))

    def encode(self, x):
        return torch.relu((x - self.b_dec) @ self.W_enc + self.b_enc)

    def decode(self, f):
        return f @ self.W_dec + self.b_dec


def neel_nanda(folder, x, d, n):
    sae = NeelNanda(d, n)
    randomize(sae)
    path = folder / "neel_nanda"
    path.mkdir(parents=True, exist_ok=True)
    torch.save(sae.state_dict(), path / "25.pt")
    cfg = dict(seed=49, batch_size=4096, lr=1e-4, l1_coeff=3e-4, dict_mult=8, seq_len=128, enc_dtype="fp32", model_name="gelu-1l", site="mlp_out", layer=0,
               act_size=d, dict_size=n, device="cpu")
    (path / "25_cfg.json").write_text(json.dumps(cfg))
    leave(path, x, sae.encode, sae.decode)


def make(folder, small):
    d, n, rows = (6, 10, 8) if small else (32, 96, 64)
    x = torch.randn(rows, d)
    sae_lens(folder, x, d, n)
    neel_nanda(folder, x, d, n)
    if importable("sparsify"):
        sparsify(folder, x, d, n)
    if importable("dictionary_learning"):
        dictionary_learning(folder, x, d, n)


def check(folder):
    found = {}
    for path in sorted(p.parent for p in folder.rglob("expected.safetensors")):
        expected = load_file(path / "expected.safetensors")
        x = expected["x"]
        with torch.no_grad():
            if (path / "sae.safetensors").exists():
                if not importable("sparsify"):
                    continue
                from sparsify import SparseCoder
                sae = SparseCoder.load_from_disk(path)
                codes = dense(sae, x)
                top = sae.encode(x)
                out = sae.decode(top.top_acts, top.top_indices)
            else:
                import sae_lens as sl
                sae = sl.SAE.load_from_disk(path)
                assert sae.cfg.metadata.hook_name == "blocks.0.hook_mlp_out" and sae.cfg.metadata.model_name == "tiny", sae.cfg.metadata
                codes = sae.encode(x)
                out = sae.decode(codes)
        scale = max(expected["codes"].abs().max().item(), expected["reconstructions"].abs().max().item())
        found[path.name] = {
            "codes": (codes.to_dense() - expected["codes"]).abs().max().item() / scale,
            "reconstructions": (out - expected["reconstructions"]).abs().max().item() / scale,
            "active": (codes.to_dense() != 0).float().sum(1).mean().item(),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), "small" in sys.argv[3:])
    else:
        check(Path(sys.argv[2]))
