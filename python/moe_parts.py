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
CORRECTIONS = ("e_score_correction_bias", "expert_bias")


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
        self.shared, self.shared_gate = find(block, SHARED), find(block, SHARED_GATES)
        matrices = [m for m in self.router.modules() if isinstance(getattr(m, "weight", None), torch.Tensor) and m.weight.dim() == 2]
        if len(matrices) != 1:
            raise ValueError(f"the router {type(self.router).__name__} of {kind} holds {len(matrices)} matrices; "
                             "pass router= with the module that holds the one")
        self.projection = matrices[0]
        self.count = self.projection.weight.shape[0]

    @property
    def each(self):
        """The experts' own modules, or None where one module holds them all."""
        return list(self.experts.children()) if isinstance(self.experts, (torch.nn.ModuleList, torch.nn.ModuleDict)) else None

    def tensors(self):
        """A case's name to a parameter, or to the list of the experts' parameters."""
        named = {"router.weight": self.projection.weight, "router.bias": getattr(self.projection, "bias", None)}
        named |= self._packed() if self.each is None else self._stacked()
        if self.shared is not None:
            named |= {f"shared.{part}": p for part, p in projections([self.shared], "shared experts").items()}
        if self.shared_gate is not None:
            named["shared.gate"] = self.shared_gate.weight
        return {name: value for name, value in (named | self.more).items() if value is not None}

    def refuse_unnamed(self, named):
        """A weight that is used and not in the file would make y differ for no reason of the block's."""
        known = {id(p) for value in named.values() for p in listed(value)}
        rest = [name for name, p in self.block.named_parameters() if id(p) not in known and not name.endswith(CORRECTIONS)]
        if rest:
            raise ValueError(f"{type(self.block).__name__} holds {', '.join(rest[:3])}, which has no name in a case here; "
                             "pass tensors={NAME: parameter} with the format's name")

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
        """Those that are clear from the block."""
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
        if (dialect in DEEPSEEK or "claim.logits" in case and case["claim.logits"].dtype == torch.float32) and case["x"].dtype != torch.float32:
            known["router_dtype"] = "f32"
        if dialect == "hf.gpt_oss":
            known |= {"activation": "swiglu_clamped", "activation_alpha": self.setting("alpha"), "activation_limit": self.setting("limit", "swiglu_limit")}
        elif isinstance(dialect, str) and dialect.startswith("hf."):
            known["activation"] = self.activation()
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
        names = {"gate_up_proj": "experts.gate_up", "gate_up_proj_bias": "experts.gate_up_bias", "up_proj": "experts.wi", "gate_proj": "experts.wi_gate",
                 "down_proj": "experts.wo", "down_proj_bias": "experts.bo", "up_proj_bias": "experts.bi", "gate_proj_bias": "experts.bi_gate"}
        found = {name: own[key] for key, name in names.items() if key in own}
        if "experts.wo" not in found and not any(name.startswith("experts.") for name in self.more):
            raise ValueError(f"{type(self.experts).__name__} holds {', '.join(own) or 'no parameter'}; looked for gate_up_proj and down_proj, or modules of "
                             "single experts; pass experts= with the module that has them, or tensors= by the format's names")
        return found

    def _stacked(self):
        return {f"experts.{part}": value for part, value in projections(self.each, "experts", every=True).items()}


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
    return list(value) if isinstance(value, (list, tuple)) else [value]
