"""Sparse blocks of transformers 5 whose router or experts have a form of their own: attribute names, shapes, types and order of results as there."""
import torch
from torch import nn
from torch.nn import functional as F

import standins
from standins import Linear, Mlp, PackedExperts, SiLU, init, linear, sigmoid, spread


class Norm(nn.Module):
    """RMS in float32, then rounded; weight: times a weight."""

    def __init__(self, m, weight=True):
        super().__init__()
        self.eps = self.variance_epsilon = 1e-5
        self.weight = nn.Parameter(torch.ones(m)) if weight else None

    def forward(self, x):
        y = (x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype)
        return y if self.weight is None else self.weight * y


class Grouped(nn.Module):
    """One tensor of all experts, each [in, out], in a module of its own."""

    def __init__(self, e, a, b):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(e, a, b))


class AriaExperts(nn.Module):
    """Given logits, chooses itself; gate and up in one, transposed."""

    def __init__(self, m, e, f, k):
        super().__init__()
        self.fc1, self.fc2, self.k, self.act = Grouped(e, m, 2 * f), Grouped(e, f, m), k, SiLU()

    def route_tokens_to_experts(self, router_logits):
        best, chosen = router_logits.topk(self.k, dim=1)
        return chosen, best.float().softmax(-1).to(best.dtype)

    def forward(self, hidden_states, router_logits):
        chosen, gates = self.route_tokens_to_experts(router_logits)

        def expert(e, x):
            gate, up = linear(x, self.fc1.weight[e].T).chunk(2, -1)
            return linear(self.act(gate) * up, self.fc2.weight[e].T)

        return spread(hidden_states, chosen, gates, expert)


class AriaBlock(nn.Module):
    def __init__(self, m=12, e=8, f=8, k=3):
        super().__init__()
        self.router, self.experts, self.shared_experts = Linear(m, e, bias=False), AriaExperts(m, e, f, k), Mlp(m, 10)
        init(self)

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        return (self.experts(flat, self.router(flat)) + self.shared_experts(flat)).reshape(hidden_states.shape)


class NormedBlock(standins.DeepseekBlock):
    """A.X-K1: DeepSeek-V3's block with a norm behind the sum."""

    def __init__(self, m=12, f=8):
        super().__init__(m=m, f=f)
        self.post_mlp_layernorm = Norm(m)

    def forward(self, hidden_states):
        return self.post_mlp_layernorm(super().forward(hidden_states))


class GemmaRouter(nn.Module):
    def __init__(self, m, e, k):
        super().__init__()
        self.k, self.eps, self.norm, self.proj = k, 1e-5, Norm(m, weight=False), Linear(m, e, bias=False)
        self.scale, self.per_expert_scale = nn.Parameter(torch.empty(m)), nn.Parameter(torch.empty(e))

    def forward(self, hidden_states):
        scores = self.proj(self.norm(hidden_states) * self.scale * hidden_states.shape[-1] ** -0.5).softmax(-1, dtype=torch.float32)
        gates, chosen = scores.topk(self.k, dim=-1)
        return scores, gates / gates.sum(-1, keepdim=True) * self.per_expert_scale[chosen], chosen


class GemmaLayer(nn.Module):
    """A whole decoder layer: its router reads the residual, its experts a norm of it."""

    def __init__(self, m=12, e=8, f=8, k=2):
        super().__init__()
        self.self_attn, self.mlp = Linear(m, m), Mlp(m, 10)
        self.router, self.experts, self.pre_feedforward_layernorm_2 = GemmaRouter(m, e, k), PackedExperts(m, e, f), Norm(m)
        init(self)
        self.experts.act_fn = GeluTanh()

    def forward(self, hidden_states, position_embeddings):
        raise NotImplementedError("a layer is called with more than hidden states")


class GeluTanh(nn.Module):
    """As transformers names it."""

    def forward(self, x):
        v = x.float()
        return (0.5 * v * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (v + 0.044715 * v ** 3)))).to(x.dtype)


GeluTanh.__name__ = "GELUTanh"


class InklingRouter(nn.Module):
    """The last rows are those of the shared experts, whose gates are normalised with those of the chosen."""

    def __init__(self, m, e, n, k):
        super().__init__()
        self.n_shared_experts, self.top_k, self.route_scale = n, k, 8.0
        self.weight, self.global_scale = nn.Parameter(torch.empty(e + n, m)), nn.Parameter(torch.ones(1))
        self.register_buffer("e_score_correction_bias", torch.randn(e) * 0.1)

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        routed, shared = linear(flat.float(), self.weight.float()).split([self.weight.shape[0] - self.n_shared_experts, self.n_shared_experts], -1)
        chosen = (routed.sigmoid() + self.e_score_correction_bias.float()).topk(self.top_k, dim=-1, sorted=False)[1]
        every = F.logsigmoid(torch.cat([routed.gather(-1, chosen), shared], -1))
        gates = (torch.exp(every - every.logsumexp(-1, keepdim=True)) * self.route_scale * self.global_scale.float()).to(hidden_states.dtype)
        return routed, gates[:, :self.top_k], chosen, gates[:, self.top_k:]


class InklingSharedExperts(nn.Module):
    """One tensor of all shared experts each."""

    def __init__(self, m, n, f):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = (nn.Parameter(torch.empty(n, *shape)) for shape in ((f, m), (f, m), (m, f)))
        self.act_fn = SiLU()

    def forward(self, hidden_states, gammas):
        total = 0
        for n in range(self.gate_proj.shape[0]):
            hidden = self.act_fn(linear(hidden_states, self.gate_proj[n])) * linear(hidden_states, self.up_proj[n])
            total = total + linear(hidden * gammas[:, n, None], self.down_proj[n]).float()
        return total.to(hidden_states.dtype)


class InklingBlock(nn.Module):
    def __init__(self, m=12, e=8, f=8, k=2, n=2):
        super().__init__()
        self.gate, self.experts, self.shared_experts = InklingRouter(m, e, n, k), PackedExperts(m, e, f), InklingSharedExperts(m, n, 6)
        init(self)

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        _, gates, chosen, gammas = self.gate(hidden_states)
        return (self.experts(flat, chosen, gates) + self.shared_experts(flat, gammas)).reshape(hidden_states.shape)


def clamped(both, alpha=1.702, limit=7.0):
    gate, up = both.chunk(2, -1)
    gate, up = gate.clamp(max=limit), up.clamp(-limit, limit)
    return (up + 1) * (gate * sigmoid(gate * alpha))


class MinimaxMlp(nn.Module):
    """Both first projections in one Linear."""

    def __init__(self, m, f):
        super().__init__()
        self.gate_up_proj, self.down_proj = Linear(m, 2 * f, bias=False), Linear(f, m, bias=False)

    def forward(self, x):
        return self.down_proj(clamped(self.gate_up_proj(x)))


class MinimaxExperts(PackedExperts):
    def __init__(self, m, e, f):
        super().__init__(m, e, f)
        self.swiglu_alpha, self.swiglu_limit = 1.702, 7.0
        del self.act_fn

    def forward(self, hidden_states, top_k_index, top_k_weights):
        return spread(hidden_states, top_k_index, top_k_weights, lambda e, x: linear(clamped(linear(x, self.gate_up_proj[e])), self.down_proj[e]))


class MinimaxRouter(nn.Module):
    def __init__(self, m, e, k):
        super().__init__()
        self.top_k, self.weight = k, nn.Parameter(torch.empty(e, m))
        self.register_buffer("e_score_correction_bias", torch.randn(e) * 0.1)

    def forward(self, hidden_states):
        logits = linear(hidden_states, self.weight)
        scores = logits.float().sigmoid()
        chosen = (scores + self.e_score_correction_bias).topk(self.top_k, dim=-1, sorted=False)[1]
        gates = scores.gather(1, chosen)
        return logits, gates / gates.sum(-1, keepdim=True), chosen


class MinimaxBlock(nn.Module):
    def __init__(self, m=12, e=8, f=8, k=2):
        super().__init__()
        self.gate, self.experts, self.shared_experts, self.routed_scaling_factor = MinimaxRouter(m, e, k), MinimaxExperts(m, e, f), MinimaxMlp(m, 5), 2.0
        init(self)

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        shared = self.shared_experts(flat)
        _, gates, chosen = self.gate(flat)
        return (self.experts(flat, chosen, gates) * self.routed_scaling_factor + shared).reshape(hidden_states.shape)


class ZayaRouterMlp(nn.Module):
    def __init__(self, r, e):
        super().__init__()
        self.norm, self.fc1, self.fc2, self.out_proj = Norm(r), Linear(r, r), Linear(r, r), Linear(r, e, bias=False)

    def forward(self, x):
        x = self.norm(x)
        for fc in (self.fc1, self.fc2):
            x = F.gelu(fc(x).float()).to(x.dtype)
        return self.out_proj(x)


class ZayaRouter(nn.Module):
    """An MLP that reads the state of the layer before; the last expert is none, and is reported as the first with gate 0."""

    def __init__(self, m, e, r, first):
        super().__init__()
        self.num_experts, self.num_router_classes, self.down_proj, self.router_mlp = e, e + 1, Linear(m, r), ZayaRouterMlp(r, e + 1)
        if not first:
            self.router_states_scale = nn.Parameter(torch.ones(r))
        self.register_buffer("balancing_biases", torch.randn(e + 1) * 0.05)

    def forward(self, hidden_states, router_states=None):
        state = self.down_proj(hidden_states)
        if router_states is not None and hasattr(self, "router_states_scale"):
            state = state + router_states * self.router_states_scale
        logits = self.router_mlp(state)
        scores = logits.float().softmax(-1).to(logits.dtype)
        chosen = (scores.detach().float() + self.balancing_biases.float()).topk(1, dim=-1)[1]
        none = chosen == self.num_experts
        gates, chosen = scores.gather(-1, chosen).masked_fill(none, 0), chosen.masked_fill(none, 0)
        return logits.reshape(-1, logits.shape[-1]), gates.reshape(-1, 1), chosen.reshape(-1, 1), state.clone()


class ZayaBlock(nn.Module):
    def __init__(self, m=12, e=5, f=8, r=5, first=False):
        super().__init__()
        self.gate, self.experts = ZayaRouter(m, e, r, first), PackedExperts(m, e, f)
        init(self)

    def forward(self, hidden_states, prev_router_hidden_states=None):
        _, gates, chosen, state = self.gate(hidden_states, prev_router_hidden_states)
        return self.experts(hidden_states.reshape(-1, hidden_states.shape[-1]), chosen, gates).reshape(hidden_states.shape), state


class LongcatRouter(nn.Module):
    """Multiplies by its classifier's weight itself and returns gates and indices; cast: gates in the type of x, which the library does not."""

    def __init__(self, m, e, k, cast=False):
        super().__init__()
        self.top_k, self.routed_scaling_factor, self.classifier, self.cast = k, 6.0, Linear(m, e, bias=False), cast
        self.register_buffer("e_score_correction_bias", torch.randn(e) * 0.05)

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        scores = linear(flat.float(), self.classifier.weight.float()).softmax(-1)
        chosen = (scores + self.e_score_correction_bias.float()).topk(self.top_k, dim=-1, sorted=False)[1]
        gates = scores.gather(1, chosen) * self.routed_scaling_factor
        return gates.to(hidden_states.dtype) if self.cast else gates, chosen


class LongcatExperts(PackedExperts):
    """The first tensor has rows for the experts that are the identity, the second has none."""

    def __init__(self, m, e, f, zero):
        super().__init__(m, e + zero, f)
        self.down_proj, self.real = nn.Parameter(torch.empty(e, m, f)), e

    def forward(self, hidden_states, top_k_index, top_k_weights):
        def expert(e, x):
            if e >= self.real:
                return x
            gate, up = linear(x, self.gate_up_proj[e]).chunk(2, -1)
            return linear(self.act_fn(gate) * up, self.down_proj[e])

        return spread(hidden_states, top_k_index, top_k_weights, expert)


class LongcatBlock(nn.Module):
    def __init__(self, m=12, e=6, f=8, k=2, zero=2, cast=False):
        super().__init__()
        self.router, self.experts = LongcatRouter(m, e + zero, k, cast), LongcatExperts(m, e, f, zero)
        init(self)

    def forward(self, hidden_states):
        gates, chosen = self.router(hidden_states)
        return self.experts(hidden_states.reshape(-1, hidden_states.shape[-1]), chosen, gates).reshape(hidden_states.shape)
