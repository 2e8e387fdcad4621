"""Sparse blocks built like those of transformers 4 and 5: the same attribute names, shapes, types and order of results, and nothing else of them."""
import torch
from torch import nn
from torch.nn import functional as F


def linear(x, weight, bias=None):
    """x · Wᵀ + b, summed in float32 and rounded once; PyTorch 1 sums small products of bfloat16 in bfloat16 on the CPU."""
    y = x.float() @ weight.float().T
    return (y if bias is None else y + bias.float()).to(x.dtype)


def sigmoid(x):
    """In float32, rounded once; so is SiLU. PyTorch 1 computes some elements in bfloat16 throughout."""
    return torch.sigmoid(x.float()).to(x.dtype)


class SiLU(nn.Module):
    def forward(self, x):
        return F.silu(x.float()).to(x.dtype)


class Linear(nn.Linear):
    def forward(self, x):
        return linear(x, self.weight, self.bias)


def init(module):
    """Random weights of a size at which every expert is used."""
    for p in module.parameters():
        nn.init.normal_(p, std=p.shape[-1] ** -0.5 if p.dim() > 1 else 0.3)
    return module


class Mlp(nn.Module):
    def __init__(self, m, f, names=("gate_proj", "up_proj", "down_proj")):
        super().__init__()
        self.names, self.act_fn = names, SiLU()
        for name, (a, b) in zip(names, ((m, f), (m, f), (f, m))):
            setattr(self, name, Linear(a, b, bias=False))

    def forward(self, x):
        gate, up, down = (getattr(self, name) for name in self.names)
        return down(self.act_fn(gate(x)) * up(x))


def spread(x, chosen, gates, expert):
    """Sum over the choices of gate · expert(e, its tokens), in the type of x."""
    y = torch.zeros_like(x)
    for e in chosen.unique().tolist():
        token, choice = torch.where(chosen == e)
        y = y.index_add(0, token, (expert(e, x[token]) * gates[token, choice, None]).to(x.dtype))
    return y


class PackedExperts(nn.Module):
    """transformers 5: [E,2F,M], gates first, and [E,M,F]."""

    def __init__(self, m, e, f):
        super().__init__()
        self.gate_up_proj, self.down_proj = nn.Parameter(torch.empty(e, 2 * f, m)), nn.Parameter(torch.empty(e, m, f))
        self.act_fn = SiLU()

    def forward(self, hidden_states, top_k_index, top_k_weights):
        def expert(e, x):
            gate, up = linear(x, self.gate_up_proj[e]).chunk(2, -1)
            return linear(self.act_fn(gate) * up, self.down_proj[e])

        return spread(hidden_states, top_k_index, top_k_weights, expert)


class TopKRouter(nn.Module):
    """transformers 5: logits in the type of x, gates in float32 or cast, indices. returns: "logits" or, as its first releases did, "scores"."""

    def __init__(self, m, e, k, norm_topk_prob, cast=True, returns="logits"):
        super().__init__()
        self.top_k, self.norm_topk_prob, self.cast, self.returns = k, norm_topk_prob, cast, returns
        self.weight = nn.Parameter(torch.empty(e, m))

    def forward(self, hidden_states):
        logits = linear(hidden_states, self.weight)
        scores = logits.softmax(-1, dtype=torch.float32)
        gates, chosen = scores.topk(self.top_k, dim=-1)
        if self.norm_topk_prob:
            gates = gates / gates.sum(-1, keepdim=True)
        return logits if self.returns == "logits" else scores, gates.to(logits.dtype) if self.cast else gates, chosen


class SoftmaxBlock(nn.Module):
    """Mixtral, Qwen3-MoE, OLMoE, and with a gated shared expert Qwen2-MoE, in transformers 5."""

    def __init__(self, m=12, e=6, f=8, k=2, norm_topk_prob=True, shared=False, cast=True, returns="logits"):
        super().__init__()
        self.gate, self.experts = TopKRouter(m, e, k, norm_topk_prob, cast, returns), PackedExperts(m, e, f)
        if shared:
            self.shared_expert, self.shared_expert_gate = Mlp(m, 10), Linear(m, 1, bias=False)
        init(self)

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        _, gates, chosen = self.gate(flat)
        y = self.experts(flat, chosen, gates)
        if hasattr(self, "shared_expert"):
            y = y + sigmoid(self.shared_expert_gate(flat)) * self.shared_expert(flat)
        return y.reshape(hidden_states.shape)


class ListBlock(nn.Module):
    """The same in transformers 4: a Linear for a router, a module an expert, and only the logits are returned."""

    def __init__(self, m=12, e=6, f=8, k=2, norm_topk_prob=True, shared=False, names=("gate_proj", "up_proj", "down_proj")):
        super().__init__()
        self.top_k, self.norm_topk_prob = k, norm_topk_prob
        self.gate, self.experts = Linear(m, e, bias=False), nn.ModuleList(Mlp(m, f, names) for _ in range(e))
        if shared:
            self.shared_expert, self.shared_expert_gate = Mlp(m, 10), Linear(m, 1, bias=False)
        init(self)

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        logits = self.gate(flat)
        gates, chosen = logits.softmax(-1, dtype=torch.float32).topk(self.top_k, dim=-1)
        if self.norm_topk_prob:
            gates = gates / gates.sum(-1, keepdim=True)
        y = spread(flat, chosen, gates.to(flat.dtype), lambda e, x: self.experts[e](x))
        if hasattr(self, "shared_expert"):
            y = y + sigmoid(self.shared_expert_gate(flat)) * self.shared_expert(flat)
        return y.reshape(hidden_states.shape), logits


class DeepseekRouter(nn.Module):
    """Float32 throughout. transformers 5 returns logits, transformers 4 the choice and its gates."""

    def __init__(self, m, e):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(e, m))
        self.register_buffer("e_score_correction_bias", torch.randn(e) * 0.1)

    def forward(self, hidden_states):
        return linear(hidden_states.reshape(-1, hidden_states.shape[-1]).float(), self.weight.float())


class DeepseekBlock(nn.Module):
    """DeepSeek-V3 of transformers 5: sigmoid, groups, correction bias, an ungated shared expert."""

    def __init__(self, m=12, e=8, f=8, k=3, n_group=4, topk_group=2):
        super().__init__()
        self.top_k, self.n_group, self.topk_group, self.norm_topk_prob, self.routed_scaling_factor = k, n_group, topk_group, True, 2.5
        self.gate, self.experts, self.shared_experts = DeepseekRouter(m, e), PackedExperts(m, e, f), Mlp(m, 10)
        init(self)

    def route_tokens_to_experts(self, router_logits):
        scores = router_logits.sigmoid()
        biased = scores + self.gate.e_score_correction_bias
        grouped = biased.reshape(len(biased), self.n_group, -1)
        best = grouped.topk(2, dim=-1)[0].sum(-1).topk(self.topk_group, dim=-1, sorted=False)[1]
        kept = torch.zeros(grouped.shape[:2], dtype=torch.bool).scatter(1, best, True)
        chosen = grouped.masked_fill(~kept[..., None], float("-inf")).reshape(biased.shape).topk(self.top_k, dim=-1, sorted=False)[1]
        gates = scores.gather(1, chosen)
        return chosen, gates / (gates.sum(-1, keepdim=True) + 1e-20) * self.routed_scaling_factor

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        chosen, gates = self.route_tokens_to_experts(self.gate(hidden_states))
        return (self.experts(flat, chosen, gates) + self.shared_experts(flat)).reshape(hidden_states.shape)


class DeepseekListBlock(DeepseekBlock):
    """The same in transformers 4: the router routes and returns indices and gates; a module an expert."""

    def __init__(self, m=12, e=8, f=8, k=3):
        super().__init__(m, e, f, k, n_group=1, topk_group=1)
        self.experts, block = nn.ModuleList(Mlp(m, f) for _ in range(e)), self
        init(self)

        class Router(DeepseekRouter):
            def forward(self, hidden_states):
                return DeepseekBlock.route_tokens_to_experts(block, super().forward(hidden_states))

        self.gate.__class__ = Router

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        chosen, gates = self.gate(hidden_states)
        return (spread(flat, chosen, gates, lambda e, x: self.experts[e](x)) + self.shared_experts(flat)).reshape(hidden_states.shape)


class GptOssExperts(nn.Module):
    """[E,M,2F] with gate and up alternating, [E,F,M], biases added by an op of their own; the clamped activation."""

    def __init__(self, m, e, f):
        super().__init__()
        self.alpha, self.limit = 1.702, 7.0
        self.gate_up_proj, self.gate_up_proj_bias = nn.Parameter(torch.empty(e, m, 2 * f)), nn.Parameter(torch.empty(e, 2 * f))
        self.down_proj, self.down_proj_bias = nn.Parameter(torch.empty(e, f, m)), nn.Parameter(torch.empty(e, m))

    def forward(self, hidden_states, router_indices, routing_weights):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        if routing_weights.shape[-1] != router_indices.shape[-1]:
            routing_weights = routing_weights.gather(-1, router_indices)

        def expert(e, x):
            both = linear(x, self.gate_up_proj[e].T) + self.gate_up_proj_bias[e]
            gate, up = both[..., ::2].clamp(max=self.limit), both[..., 1::2].clamp(-self.limit, self.limit)
            return linear((up + 1) * (gate * sigmoid(gate * self.alpha)), self.down_proj[e].T) + self.down_proj_bias[e]

        return spread(flat, router_indices, routing_weights, expert).reshape(hidden_states.shape)


class GptOssRouter(nn.Module):
    """transformers 5 returns logits, gates, indices; transformers 4 gates over all experts, 0 at the others, and indices."""

    def __init__(self, m, e, k, dense):
        super().__init__()
        self.top_k, self.dense = k, dense
        self.weight, self.bias = nn.Parameter(torch.empty(e, m)), nn.Parameter(torch.empty(e))

    def forward(self, hidden_states):
        logits = linear(hidden_states.reshape(-1, hidden_states.shape[-1]), self.weight, self.bias)
        best, chosen = logits.topk(self.top_k, dim=-1)
        gates = best.softmax(-1, dtype=torch.float32).to(best.dtype)
        return (torch.zeros_like(logits).scatter(1, chosen, gates), chosen) if self.dense else (logits, gates, chosen)


class GptOssBlock(nn.Module):
    def __init__(self, m=12, e=6, f=8, k=2, dense=False):
        super().__init__()
        self.router, self.experts = GptOssRouter(m, e, k, dense), GptOssExperts(m, e, f)
        init(self)

    def forward(self, hidden_states):
        *_, gates, chosen = self.router(hidden_states)
        return self.experts(hidden_states, chosen, gates), gates


class SwitchRouter(nn.Module):
    """One-hot of what is kept, the largest probability, logits; its own arithmetic in float32."""

    def __init__(self, m, e, capacity):
        super().__init__()
        self.expert_capacity, self.classifier = capacity, Linear(m, e, bias=False)

    def forward(self, hidden_states):
        self.classifier.float()
        logits = self.classifier(hidden_states.float())
        probability, chosen = logits.softmax(-1).to(hidden_states.dtype).max(-1, keepdim=True)
        hot = F.one_hot(chosen[..., 0], logits.shape[-1])
        return hot * (hot.cumsum(1) <= self.expert_capacity), probability, logits


class SwitchExpert(nn.Module):
    def __init__(self, m, f):
        super().__init__()
        self.wi, self.wo, self.act = Linear(m, f, bias=False), Linear(f, m, bias=False), nn.ReLU()

    def forward(self, x):
        return self.wo(self.act(self.wi(x)))


class SwitchBlock(nn.Module):
    def __init__(self, m=12, e=4, f=8, capacity=4):
        super().__init__()
        self.router, self.experts = SwitchRouter(m, e, capacity), nn.ModuleDict({f"expert_{i}": SwitchExpert(m, f) for i in range(e)})
        init(self)

    def forward(self, hidden_states):
        kept, probability, logits = self.router(hidden_states)
        y = torch.zeros_like(hidden_states)
        for e, expert in enumerate(self.experts.values()):
            y = y + kept[..., e:e + 1].to(y.dtype) * expert(hidden_states)
        return y * probability, (logits, kept.argmax(-1))


class EarlySwitchBlock(SwitchBlock):
    """As in early releases of transformers 5: flat tokens, no token dropped, the probability where the logits were."""

    def __init__(self):
        super().__init__()
        self.router = EarlySwitchRouter(12, 4, 4)
        init(self)

    def forward(self, hidden_states):
        flat = hidden_states.reshape(-1, hidden_states.shape[-1])
        _, kept, probability = self.router(flat)
        y = torch.zeros_like(flat)
        for e, expert in enumerate(self.experts.values()):
            y = y + kept[:, 0, e:e + 1].to(y.dtype) * expert(flat)
        return (y * probability).reshape(hidden_states.shape)


class EarlySwitchRouter(SwitchRouter):
    def forward(self, hidden_states):
        probability, expert = self.classifier(hidden_states).softmax(-1).max(-1, keepdim=True)
        return probability, torch.nn.functional.one_hot(expert, self.classifier.out_features), probability
