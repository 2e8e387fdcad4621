#!/usr/bin/env python3
"""PyTorch's scaled_dot_product_attention in float32 on a CUDA device, the peer of the attention lines of `moe selftest --parts speed`.

Causal, 8 sequences of 512 tokens, 8 heads of 64 and 4 of 128; milliseconds a call, the median of five rounds.
"""
import time
import torch

ROUNDS, CALLS = 5, 50


def milliseconds(call):
    for _ in range(5):
        call()
    torch.cuda.synchronize()
    rounds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(CALLS):
            call()
        torch.cuda.synchronize()
        rounds.append((time.perf_counter() - begun) / CALLS)
    return 1e3 * sorted(rounds)[ROUNDS // 2]


torch.backends.cuda.matmul.allow_tf32 = False
print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}")
for heads, width in ((8, 64), (4, 128)):
    q, k, v = (torch.randn(8, heads, 512, width, device="cuda", requires_grad=True) for _ in range(3))
    slope = torch.randn(8, heads, 512, width, device="cuda")

    def attention():
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    with torch.no_grad():
        forward = milliseconds(attention)
    y = attention()
    backward = milliseconds(lambda: torch.autograd.grad(y, (q, k, v), slope, retain_graph=True))
    print(f"causal attention 8 × 512, {heads} heads of {width}: forward {forward:.3f} ms, gradients {backward:.3f} ms")
