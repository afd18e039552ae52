"""The forward pass of a tiny transformer in numpy, in f64; tests/model.rs holds saerun to what it prints."""
import math, numpy as np
L, D, H, M, C, V = 2, 8, 2, 16, 6, 11
ids = np.array([0, 3, 7, 1, 10, 4]); count = 0
def p(*shape, scale=False):
    global count
    x = np.sin(0.7 * np.arange(np.prod(shape)) + count).reshape(shape); count += 1
    return (1 + 0.1 * x if scale else 0.3 * x)
def norm(x, w, b): return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w + b
gelu = np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))
w_e, w_pos = p(V, D), p(C, D)
x = w_e[ids] + w_pos
for layer in range(L):
    w1, b1, wq, bq, wo, bo = p(D, scale=True), p(D), p(D, 3 * D), p(3 * D), p(D, D), p(D)
    w2, b2, wi, bi, wt, bt = p(D, scale=True), p(D), p(D, M), p(M), p(M, D), p(D)
    q, k, v = np.split(norm(x, w1, b1) @ wq + bq, 3, axis=1)
    heads = []
    for h in range(H):
        s = slice(h * D // H, (h + 1) * D // H)
        a = q[:, s] @ k[:, s].T / math.sqrt(D / H) + np.triu(np.full((C, C), -np.inf), 1)
        a = np.exp(a - a.max(1, keepdims=True)); heads.append(a / a.sum(1, keepdims=True) @ v[:, s])
    x = x + np.concatenate(heads, 1) @ wo + bo
    out = gelu(norm(x, w2, b2) @ wi + bi) @ wt + bt
    x = x + out
final = norm(x, p(D, scale=True), p(D))
logits = final @ w_e.T
logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
print("mlp_out[5]", [round(float(t), 6) for t in out[5]])
print("loss", round(float(-logp[np.arange(C - 1), ids[1:]].mean()), 6))
