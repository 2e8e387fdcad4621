"""Writes cases of a Mixtral-like and a Switch-like layer into a folder, from numpy and, where it is installed, from PyTorch:

    python3 python/test_moe_case.py FOLDER && moe check FOLDER --strict
"""
import json
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
                   **{"router.weight": w, "claim.logits": logits, "claim.scores": scores, "claim.expert": expert,
                      "claim.gate": gate / gate.sum(-1, keepdims=True)})
    # Fortran order and integers of 64 bits mean the same.
    write_case(os.path.join(folder, "numpy-layouts.npz"), dialect="hf.mixtral", mode="eval", parameters={"k": K}, x=np.asfortranarray(x),
               **{"router.weight": np.asfortranarray(w), "claim.logits": np.asfortranarray(logits), "claim.expert": expert.astype("i8")})


def bf16(a):
    """To the nearest bfloat16, ties to even, as float32."""
    bits = np.ascontiguousarray(a, dtype="f4").view("u4").astype("u8")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype("u4").view("f4")


def bfloat16_cases(folder):
    """A layer that computes in bfloat16 and rounds after every op; numpy holds its numbers as float32. Named as what they are, and not named."""
    random = np.random.default_rng(1)
    x, w, wi, wi_gate, wo = (bf16(random.standard_normal(shape) / shape[-1] ** 0.5) for shape in ((G, S, M), (E, M), (E, F, M), (E, F, M), (E, M, F)))
    logits = bf16(x @ w.T)
    expert = np.argsort(-logits, axis=-1, kind="stable")[..., :K].astype("i4")
    gate = bf16(softmax(np.take_along_axis(logits, expert, -1)))
    y = np.zeros_like(x)
    for g, s, j in np.ndindex(expert.shape):
        e, row = expert[g, s, j], x[g, s]
        a = bf16(wi_gate[e] @ row)
        hidden = bf16(bf16(a / (1 + np.exp(-a))) * bf16(wi[e] @ row))
        y[g, s] = bf16(y[g, s] + bf16(gate[g, s, j] * bf16(wo[e] @ hidden)))
    tensors = {"x": x, "router.weight": w, "experts.wi": wi, "experts.wi_gate": wi_gate, "experts.wo": wo, "claim.logits": logits, "claim.gate": gate,
               "claim.y": y}
    dtypes = dict.fromkeys(tensors, "bf16")
    for name, said in (("numpy-bf16.npz", dtypes), ("numpy-bf16.safetensors", dtypes), ("numpy-bf16-widened.npz", None)):
        write_case(os.path.join(folder, name), dialect="hf.mixtral", mode="eval", parameters={"k": K, "activation": "silu"},
                   producer="numpy, rounded after every op",
                   dtypes=said, **tensors, **{"claim.expert": expert})
    with np.load(os.path.join(folder, "numpy-bf16.npz")) as file:
        assert json.loads(str(file["meta.dtypes"])) == dtypes and file["x"].dtype == np.float32
    header = open(os.path.join(folder, "numpy-bf16.safetensors"), "rb").read(4096).split(b"}}")[0]
    assert header.count(b'"BF16"') == len(dtypes)


def refusals():
    x = np.ones((1, 2, 3), "f4")
    for wrong, arguments in ((ValueError, dict(path="case.txt", dialect="hf.mixtral", mode="eval")),
                             (ValueError, dict(path="case.npz", dialect="hf.mixtral", mode="test")),
                             (TypeError, dict(path="case.npz", dialect="hf.mixtral", mode="eval", x=np.array(["a"]))),
                             (ValueError, dict(path="case.npz", dialect="hf.mixtral", mode="eval", x=x / 3, dtypes={"x": "bf16"})),
                             (ValueError, dict(path="case.npz", dialect="hf.mixtral", mode="eval", x=x, dtypes={"x": "bfloat16"})),
                             (ValueError, dict(path="case.npz", dialect="hf.mixtral", mode="eval", x=x, dtypes={"y": "bf16"}))):
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
    def experts(layer):
        return {"experts.wi_gate": list(layer.w1), "experts.wi": list(layer.w3), "experts.wo": list(layer.w2)}

    layer = MixtralLike()
    with Capture(layer, x, router=layer.gate, experts=experts(layer)) as capture:
        capture.backward(cotangent)
    capture.write(os.path.join(folder, "torch-mixtral-like.safetensors"), dialect="hf.mixtral", mode="train", parameters={"k": K, "activation": "silu"},
                  producer=f"torch {torch.__version__}", **{"claim.expert": layer.chosen.int()})

    for suffix in ("npz", "safetensors"):
        layer = MixtralLike().bfloat16()
        with Capture(layer, x.bfloat16(), router=layer.gate, experts=experts(layer)) as capture:
            pass
        assert capture.tensors["experts.wi"].dtype == torch.bfloat16
        capture.write(os.path.join(folder, f"torch-mixtral-like-bf16.{suffix}"), dialect="hf.mixtral", mode="eval", parameters={"k": K, "activation": "silu"},
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
    bfloat16_cases(sys.argv[1])
    refusals()
    try:
        import torch  # noqa: F401
    except ImportError:
        print("numpy cases written; PyTorch is not installed here")
    else:
        torch_cases(sys.argv[1])
        print("numpy and PyTorch cases written")
