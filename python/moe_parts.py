"""What a sparse block of transformers 4 or 5 holds, found by the names there: router, experts, shared experts, their parameters and settings."""
import inspect

import torch

ROUTERS = ("gate", "router", "moe_gate", "router_gate")
EXPERTS = ("experts", "mlp.experts", "moe.experts")
SHARED = ("shared_experts", "shared_expert", "shared_mlp")
SHARED_GATES = ("shared_expert_gate",)
PARTS = {"gate_proj": "wi_gate", "up_proj": "wi", "down_proj": "wo", "w1": "wi_gate", "w3": "wi", "w2": "wo", "wi": "wi", "wo": "wo", "fc1": "wi", "fc2": "wo"}
BIASES = {"wi": "bi", "wi_gate": "bi_gate", "wo": "bo"}
ACTIVATIONS = {"silu": "silu", "swish": "silu", "SiLU": "silu", "SiLUActivation": "silu", "gelu": "gelu_erf", "GELU": "gelu_erf", "GELUActivation": "gelu_erf",
               "gelu_new": "gelu_tanh", "NewGELUActivation": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "PytorchGELUTanh": "gelu_tanh",
               "GELUTanh": "gelu_tanh", "relu": "relu", "ReLU": "relu"}
# Dialects that divide gates if norm_topk_prob, and those with DeepSeek-V3's router.
DIVIDE = {f"hf.{name}" for name in ("qwen2_moe", "qwen3_moe", "qwen3_next", "qwen3_omni_moe", "qwen4_exp", "olmoe", "flex_olmo", "mellum", "lara_mini",
                                    "flint")}
DEEPSEEK = {f"hf.{name}" for name in ("deepseek_v3", "deepseek_v32", "glm4_moe", "glm4_moe_lite", "glm4v_moe", "glm_moe_dsa", "dots1", "exaone_moe",
                                      "solar_open", "kimi_linear", "axk1", "bailing_hybrid", "mimo_v2_flash")}
# Names of the bias that is added for selection only.
CORRECTIONS = ("e_score_correction_bias", "expert_bias", "balancing_biases")
# What a router holds besides its matrix, in transformers and in a case.
ROUTER = {"scale": "router.norm", "per_expert_scale": "router.expert_scale", "global_scale": "router.global_scale", "down_proj.weight": "router.down.weight",
          "down_proj.bias": "router.down.bias", "router_states_scale": "router.previous_scale", "router_mlp.norm.weight": "router.mlp.norm",
          "router_mlp.fc1.weight": "router.mlp.w1", "router_mlp.fc1.bias": "router.mlp.b1", "router_mlp.fc2.weight": "router.mlp.w2",
          "router_mlp.fc2.bias": "router.mlp.b2"}
# One tensor of all experts.
PACKED = {"gate_up_proj": "experts.gate_up", "gate_up_proj_bias": "experts.gate_up_bias", "up_proj": "experts.wi", "gate_proj": "experts.wi_gate",
          "down_proj": "experts.wo", "down_proj_bias": "experts.bo", "up_proj_bias": "experts.bi", "gate_proj_bias": "experts.bi_gate",
          "fc1.weight": "experts.gate_up", "fc2.weight": "experts.wo"}
# Dialects whose experts clamp; their activation is no function of a name.
CLAMPED = {"hf.gpt_oss", "hf.minimax_m3_vl"}
# The norm behind a block's sum: a case's y stands before it.
LAST = ("post_mlp_layernorm",)
# The norm in a decoder layer that holds router and experts itself, where the experts read another thing than the router.
EXPERTS_NORM = ("pre_feedforward_layernorm_2",)


class Rows:
    """A part of a parameter: what is taken of it is taken of its gradient, too."""

    def __init__(self, parameter, take):
        self.parameter, self.take = parameter, take


class Parts:
    """The router, experts, and shared experts of a block, found by the names of transformers or given."""

    def __init__(self, block, router=None, experts=None, tensors=None):
        self.block, self.more, kind = block, tensors or {}, type(block).__name__
        self.router, self.experts = given(block, router, "router") or find(block, ROUTERS), given(block, experts, "experts") or find(block, EXPERTS)
        for module, what, names in ((self.router, "router", ROUTERS), (self.experts, "experts", EXPERTS)):
            if module is None:
                inside = [name for name, child in block.named_modules() if name and find(child, ROUTERS) and find(child, EXPERTS)]
                hint = f"record {inside[0]} of it, or pass" if inside else "pass"
                raise ValueError(f"{kind} has no {what} that can be recognised (looked for {', '.join(names)}); {hint} {what}= with the module or its name")
        self.shared, self.shared_gate, self.last = find(block, SHARED), find(block, SHARED_GATES), find(block, LAST)
        self.experts_norm = find(block, EXPERTS_NORM) if hasattr(block, "self_attn") else None
        matrices = [m for name, m in self.router.named_modules() if f"{name}.weight" not in ROUTER
                    and isinstance(getattr(m, "weight", None), torch.Tensor) and m.weight.dim() == 2]
        if len(matrices) != 1:
            raise ValueError(f"the router {type(self.router).__name__} of {kind} holds {len(matrices)} matrices; "
                             "pass router= with the module that holds the one")
        self.projection = matrices[0]
        # The last rows may be those of shared experts that take part in the gates' normalisation.
        self.sinks = getattr(self.router, "n_shared_experts", 0) if hasattr(self.router, "global_scale") else 0
        self.count = self.projection.weight.shape[0] - self.sinks
        # The library reports the first expert with gate 0 where the last of these, which does nothing, is chosen.
        self.hides_null = hasattr(self.router, "num_router_classes")

    @property
    def each(self):
        """The experts' own modules, or None where one module holds them all."""
        return list(self.experts.children()) if isinstance(self.experts, (torch.nn.ModuleList, torch.nn.ModuleDict)) else None

    def tensors(self):
        """A case's name to a parameter, or to the list of the experts' parameters."""
        matrix, count = self.projection.weight, self.count
        named = {"router.weight": matrix, "router.bias": getattr(self.projection, "bias", None)}
        if self.sinks:
            named |= {"router.weight": Rows(matrix, lambda p: p[:count]), "router.shared_weight": Rows(matrix, lambda p: p[count:])}
        named |= {ROUTER[name]: p for name, p in self.router.named_parameters() if name in ROUTER}
        named |= self._packed() if self.each is None else self._stacked()
        if self.shared is not None:
            named |= {f"shared.{part}": p for part, p in shared(self.shared).items()}
        if self.shared_gate is not None:
            named["shared.gate"] = self.shared_gate.weight
        return {name: value for name, value in (named | self.more).items() if value is not None}

    def refuse_unnamed(self, named):
        """A weight that is used and not in the file would make y differ for no reason of the block's."""
        known = {id(p) for value in named.values() for p in listed(value)}
        known |= {id(p) for p in self.last.parameters()} if self.last is not None else set()
        # Of a whole decoder layer only these two are run.
        here = [(self.block, "")] if self.experts_norm is None else [(self.router, "router."), (self.experts, "experts.")]
        rest = [prefix + name for module, prefix in here for name, p in module.named_parameters() if id(p) not in known and not name.endswith(CORRECTIONS)]
        if rest:
            raise ValueError(f"{type(self.block).__name__} holds {', '.join(rest[:3])}, which has no name in a case here; "
                             "pass tensors={NAME: parameter} with the format's name")

    def call(self, x, seed):
        """Further inputs by a case's names, and what computes y [.., M] of x, and maybe more: the block, or the router and experts of a decoder layer."""
        if self.experts_norm is not None:
            with torch.no_grad():
                read = self.experts_norm(x.detach())
            read.requires_grad_()
            return {"experts.x": read}, lambda: self._branch(x.clone(), read)
        if "router_states_scale" not in dict(self.router.named_parameters()):
            return {}, lambda: self.block(x.clone())
        width = self.projection.weight.shape[1]
        previous = torch.randn(*x.shape[:-1], width, generator=torch.Generator().manual_seed(seed + 1)).to(x).requires_grad_()
        return {"router.previous": previous}, lambda: self.block(x.clone(), previous.clone())

    def _branch(self, x, read):
        flat = x.reshape(-1, x.shape[-1])
        returned = [t for t in self.router(flat) if isinstance(t, torch.Tensor)]
        chosen = next(t for t in returned if not t.is_floating_point())
        gates = [t for t in returned if t.is_floating_point() and t.shape == chosen.shape][-1]
        return self.experts(read.reshape(flat.shape), chosen, gates)

    def correction_bias(self):
        """What is added to the scores for selection only, or None."""
        named = [item for m in (self.router, self.block) for item in [*m.named_buffers(), *m.named_parameters()]]
        return next((p for name, p in named if name.split(".")[-1] in CORRECTIONS), None)

    def setting(self, *names):
        """An attribute of router, block or experts, or a value of their configuration."""
        for name in names:
            for owner in (self.router, self.block, self.experts, *(getattr(m, "config", None) for m in (self.block, self.router, self.experts))):
                value = getattr(owner, name, None)
                if value is not None and not callable(value):
                    return value
        return None

    def parameters(self, dialect, case):
        """Those that are clear from the block. An inline dialect has those of the one that it is like."""
        if not isinstance(dialect, str):
            dialect = dialect.get("like", "")
        known = {"k": case["claim.expert"].shape[-1]} if dialect not in ("hf.switch.v4", "hf.switch.v5") else {}
        if "experts.gate_up" in case:
            concatenated = getattr(self.experts, "is_concatenated", dialect != "hf.gpt_oss")
            known |= {} if concatenated else {"gate_up_layout": "alternate"}
        if self.each is None and self.is_transposed(case):
            known["experts_layout"] = "in_out"
        if dialect in DIVIDE | DEEPSEEK and (divided := self.setting("norm_topk_prob")) is not None:
            known["normalize"] = "sum" if divided else "none"
        if dialect in DEEPSEEK:
            known |= {"scaling_factor": self.setting("routed_scaling_factor"), "groups": self.setting("n_group"), "groups_kept": self.setting("topk_group")}
            known["group_mask"] = self.group_mask()
        if dialect == "hf.deepseek_v2":
            known["scaling_factor"] = self.setting("routed_scaling_factor")
            if self.setting("topk_method") == "group_limited_greedy":
                known |= {"groups": self.setting("n_group", "num_group"), "groups_kept": self.setting("topk_group"), "group_score": "max", "group_mask": "zero"}
        precise = dialect in DEEPSEEK | {"hf.longcat_flash"} or "claim.logits" in case and case["claim.logits"].dtype == torch.float32
        if precise and case["x"].dtype != torch.float32:
            known["router_dtype"] = "f32"
        known |= self._forms(dialect, case)
        if dialect in CLAMPED:
            known |= {"activation": "swiglu_clamped", "activation_alpha": self.setting("alpha", "swiglu_alpha"),
                      "activation_limit": self.setting("limit", "swiglu_limit")}
        elif dialect.startswith("hf."):
            known["activation"] = self.activation()
        return known

    def _forms(self, dialect, case):
        """Those of routers and experts of a shape of their own."""
        known = {}
        if "router.norm" in case or "router.mlp.norm" in case:
            norm = self.router.router_mlp.norm if "router.mlp.norm" in case else self.router
            known["router_norm_epsilon"] = next((getattr(norm, name) for name in ("eps", "variance_epsilon") if hasattr(norm, name)), None)
        if "router.shared_weight" in case:
            known["scaling_factor"] = self.setting("route_scale")
        real = case["experts.wo"].shape[0] if "experts.wo" in case else self.count
        if real < self.count:
            known["null_experts" if self.hides_null else "identity_experts"] = self.count - real
        if dialect == "hf.longcat_flash":
            known["scaling_factor"] = self.setting("routed_scaling_factor")
        if dialect == "hf.minimax_m3_vl":
            known["output_scaling_factor"] = self.setting("routed_scaling_factor")
        return known

    def group_mask(self):
        """What masked groups get differs between releases and is no attribute: the selecting function's source says it. None where it cannot be read."""
        for owner, name in ((self.block, "route_tokens_to_experts"), (self.router, "get_topk_indices")):
            if hasattr(owner, name):
                try:
                    return "minus_infinity" if "inf" in inspect.getsource(getattr(owner, name)) else "zero"
                except (OSError, TypeError):
                    return None
        return None

    def activation(self):
        """By the function's class, else by the configuration; None where it is none of the known."""
        act = next((m.act_fn if hasattr(m, "act_fn") else m.act for m in (self.experts, *(self.each or ())) if hasattr(m, "act_fn") or hasattr(m, "act")), None)
        names = (type(act).__name__, getattr(act, "__name__", None), self.setting("hidden_act", "hidden_activation", "dense_act_fn"))
        return next((ACTIVATIONS[name] for name in names if name in ACTIVATIONS), None)

    @staticmethod
    def is_transposed(case):
        """Each expert's last matrix is [F,M], not [M,F]; where both are one number the first tells."""
        width = case["x"].shape[-1]
        first, last = case.get("experts.gate_up", case.get("experts.wi")), case.get("experts.wo")
        if last is None or first is None:
            return False
        return last.shape[1] != width if last.shape[1] != last.shape[2] else first.shape[2] != width

    def _packed(self):
        """One module with tensors of all experts: both first projections in one, or one without a gate; out_in or in_out as they are."""
        own = dict(self.experts.named_parameters())
        found = {name: own[key] for key, name in PACKED.items() if key in own}
        if "experts.wo" not in found and not any(name.startswith("experts.") for name in self.more):
            raise ValueError(f"{type(self.experts).__name__} holds {', '.join(own) or 'no parameter'}; looked for gate_up_proj and down_proj, or modules of "
                             "single experts; pass experts= with the module that has them, or tensors= by the format's names")
        real = found["experts.wo"].shape[0] if "experts.wo" in found else 0
        # Experts that compute nothing have rows in the first tensor alone.
        return {name: Rows(p, lambda whole: whole[:real]) if 0 < real < p.shape[0] else p for name, p in found.items()}

    def _stacked(self):
        return {f"experts.{part}": value for part, value in projections(self.each, "experts", every=True).items()}


def shared(module):
    """Projections of the shared experts by a case's names: of a module each, or tensors of all, or both first ones in one."""
    own = dict(module.named_parameters())
    if {"gate_proj", "up_proj", "down_proj"} <= own.keys():
        return {part: own[name] for name, part in PARTS.items() if name in own}
    both = own.get("gate_up_proj.weight")
    if both is None or "down_proj.weight" not in own:
        return projections([module], "shared experts")
    half = both.shape[0] // 2
    return {"wi_gate": Rows(both, lambda p: p[:half]), "wi": Rows(both, lambda p: p[half:]), "wo": own["down_proj.weight"]}


def projections(modules, what, every=False):
    """Projections by a case's names; lists over the experts where every. w1 of two matrices is the one projection of an expert without gate."""
    children = [dict(m.named_children()) for m in modules]
    names = [name for name in children[0] if name in PARTS and isinstance(getattr(children[0][name], "weight", None), torch.Tensor)]
    if not any(PARTS[name] == "wo" for name in names):
        raise ValueError(f"{type(modules[0]).__name__}, one of the {what}, holds {', '.join(children[0]) or 'no module'}; looked for {', '.join(PARTS)}")
    found = {}
    for name in names:
        part = "wi" if name == "w1" and "w3" not in names else PARTS[name]
        for key, attribute in ((part, "weight"), (BIASES[part], "bias")):
            values = [getattr(c[name], attribute, None) for c in children]
            if values[0] is not None:
                found[key] = values if every else values[0]
    return found


def given(block, module, what):
    if not isinstance(module, str):
        return module
    found = find(block, (module,))
    if found is None:
        raise ValueError(f"{what}={module!r} names no submodule of {type(block).__name__}; it has {', '.join(name for name, _ in block.named_children())}")
    return found


def find(module, names):
    """The first submodule of such a name, or None."""
    children = dict(module.named_modules())
    return next((children[name] for name in names if name in children), None)


def listed(value):
    """The parameters behind it."""
    return list(value) if isinstance(value, (list, tuple)) else [value.parameter if isinstance(value, Rows) else value]
