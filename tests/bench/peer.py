"""One training step of SAELens on the reference job, for `cargo bench -- peer PYTHON` (pip install torch sae-lens).

The three-term penalty, which SAELens does not have, is written as its users would: PyTorch autograd over the Gram matrix.
"""
import json
import resource
import statistics
import sys
import time

import torch
from sae_lens.saes.sae import TrainStepInput
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig

D_IN, D_SAE, BATCH, STEPS, THREADS, L1 = 512, 8192, 4096, 7, 2, 5.0
torch.manual_seed(0)
torch.set_num_threads(THREADS)
sae = StandardTrainingSAE(StandardTrainingSAEConfig(d_in=D_IN, d_sae=D_SAE, l1_coefficient=L1))
optimizer = torch.optim.Adam(sae.parameters(), lr=3e-4)
x = torch.randn(BATCH, D_IN)


def three_term(w):
    rows = torch.nn.functional.normalize(w, dim=1)
    cos = rows @ rows.T
    n = len(rows)
    nearest = (cos - 2 * torch.eye(n)).max(dim=1).values
    return (cos.sum() - n) / (n * (n - 1)) + nearest.mean() + nearest.max()


def step():
    batch = TrainStepInput(
        sae_in=x, coefficients={"l1": L1}, dead_neuron_mask=None, n_training_steps=0, is_logging_step=False
    )
    loss = sae.training_forward_pass(batch).loss
    if sys.argv[1] == "three_term":
        loss = loss + three_term(sae.W_dec)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def timed():
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


step()
seconds = statistics.median(timed() for _ in range(STEPS))
print(json.dumps({"step": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
