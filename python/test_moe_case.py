"""Writes cases of a Mixtral-like and a Switch-like layer into a folder, from numpy and, where it is installed, from PyTorch:

    python3 python/test_moe_case.py FOLDER && moe check FOLDER --strict
"""
import os
import sys

import numpy as np

from moe_case import Capture, write_case

G, S, M, E, F, K = 2, 12, 8, 4, 16, 2


def softmax(x):
    p = np.exp(x - x.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def numpy_cases(folder):
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(shape).astype("f4") for shape in ((G, S, M), (E, M)))
    logits = x @ w.T
    scores = softmax(logits)
    expert = np.argsort(-scores, axis=-1, kind="stable")[..., :K].astype("i4")
    gate = np.take_along_axis(scores, expert, -1)
    for suffix in ("npz", "safetensors"):
        write_case(os.path.join(folder, f"numpy-mixtral-like.{suffix}"), dialect="hf.mixtral", mode="eval", parameters={"k": K}, producer="numpy", x=x,
                   **{"router.weight": w, "claim.logits": logits, "claim.scores": scores, "claim.expert": expert, "claim.gate": gate / gate.sum(-1, keepdims=True)})
    # Fortran order and integers of 64 bits mean the same.
    write_case(os.path.join(folder, "numpy-layouts.npz"), dialect="hf.mixtral", mode="eval", parameters={"k": K}, x=np.asfortranarray(x),
               **{"router.weight": np.asfortranarray(w), "claim.logits": np.asfortranarray(logits), "claim.expert": expert.astype("i8")})


def refusals():
    for wrong, arguments in ((ValueError, dict(path="case.txt", dialect="hf.mixtral", mode="eval")), (ValueError, dict(path="case.npz", dialect="hf.mixtral", mode="test")),
                             (TypeError, dict(path="case.npz", dialect="hf.mixtral", mode="eval", x=np.array(["a"])))):
        try:
            write_case(**arguments)
        except wrong:
            continue
        raise AssertionError(f"{arguments} was written")


def torch_cases(folder):
    import torch
    from torch import nn

    torch.manual_seed(0)

    class MixtralLike(nn.Module):
        """y = sum over the chosen of gate * w2(silu(w1 x) * w3 x), gates divided by their sum."""

        def __init__(self):
            super().__init__()
            self.gate = nn.Linear(M, E, bias=False)
            self.w1, self.w3 = (nn.ParameterList(nn.Parameter(torch.randn(F, M) / M**0.5) for _ in range(E)) for _ in range(2))
            self.w2 = nn.ParameterList(nn.Parameter(torch.randn(M, F) / F**0.5) for _ in range(E))

        def forward(self, x):
            flat = x.reshape(-1, M)
            weights, chosen = torch.topk(self.gate(flat).softmax(-1), K)
            weights = weights / weights.sum(-1, keepdim=True)
            self.chosen, y = chosen.reshape(*x.shape[:2], K), torch.zeros_like(flat)
            for e in range(E):
                token, choice = torch.where(chosen == e)
                hidden = nn.functional.silu(flat[token] @ self.w1[e].T) * (flat[token] @ self.w3[e].T)
                y = y.index_add(0, token, hidden @ self.w2[e].T * weights[token, choice, None])
            return y.reshape(x.shape)

    class SwitchLike(nn.Module):
        """One expert a token, capacity max(min(S, floor(S * 1.0 / E)), 4) in token order, 0 for what is dropped."""

        def __init__(self):
            super().__init__()
            self.router = nn.Linear(M, E, bias=False)
            self.wi, self.wo = nn.Parameter(torch.randn(E, F, M) / M**0.5), nn.Parameter(torch.randn(E, M, F) / F**0.5)

        def forward(self, x):
            gate, chosen = self.router(x).softmax(-1).max(-1)
            rank = (nn.functional.one_hot(chosen, E).cumsum(1) - 1).gather(-1, chosen[..., None])[..., 0]
            kept = rank < max(min(S, S // E), 4)
            self.chosen, self.slot = chosen[..., None], torch.where(kept, rank, -1)[..., None]
            hidden = torch.einsum("gsfm,gsm->gsf", self.wi[chosen], x).relu()
            return torch.einsum("gsmf,gsf->gsm", self.wo[chosen], hidden) * (gate * kept)[..., None]

    x, cotangent = torch.randn(G, S, M), torch.randn(G, S, M)
    layer = MixtralLike()
    with Capture(layer, x, router=layer.gate, experts={"experts.wi_gate": list(layer.w1), "experts.wi": list(layer.w3), "experts.wo": list(layer.w2)}) as capture:
        capture.backward(cotangent)
    capture.write(os.path.join(folder, "torch-mixtral-like.safetensors"), dialect="hf.mixtral", mode="train", parameters={"k": K, "activation": "silu"},
                  producer=f"torch {torch.__version__}", **{"claim.expert": layer.chosen.int()})

    layer = SwitchLike()
    with Capture(layer, x, router=layer.router, experts={"experts.wi": layer.wi, "experts.wo": layer.wo}) as capture:
        capture.backward(cotangent)
    capture.write(os.path.join(folder, "torch-switch-like.npz"), dialect="mesh.switch", mode="eval", parameters={"capacity_factor": 1.0, "activation": "relu"},
                  producer=f"torch {torch.__version__}", **{"claim.expert": layer.chosen.int(), "claim.slot": layer.slot.int()})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("test_moe_case.py: name a folder to write to")
    os.makedirs(sys.argv[1], exist_ok=True)
    numpy_cases(sys.argv[1])
    refusals()
    try:
        import torch  # noqa: F401
    except ImportError:
        print("numpy cases written; PyTorch is not installed here")
    else:
        torch_cases(sys.argv[1])
        print("numpy and PyTorch cases written")
