"""Record a sparse block of `transformers` (or one built like it) as a case with every claim, for `moe check`; needs PyTorch.

    from moe_record import record_layer

    case = record_layer(model.model.layers[0].mlp, x, dialect="hf.qwen3_moe")
    case.save("a.safetensors")

Axis letters: G groups, S tokens a group, T = G·S, M width, E experts, k choices, F an expert's hidden width. Copy this file and moe_case.py where you need them.
"""
import inspect
import sys

import torch

from moe_case import write_case

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
DIVIDE = {f"hf.{name}" for name in ("qwen2_moe", "qwen3_moe", "qwen3_next", "qwen3_omni_moe", "qwen4_exp", "olmoe", "flex_olmo", "mellum")}
DEEPSEEK = {f"hf.{name}" for name in ("deepseek_v3", "deepseek_v32", "glm4_moe", "glm4_moe_lite", "glm4v_moe", "glm_moe_dsa", "dots1", "exaone_moe", "solar_open",
                                      "kimi_linear", "axk1", "bailing_hybrid", "mimo_v2_flash")}


def record_layer(block, x, dialect, *, path=None, parameters=None, router=None, experts=None, tensors=None, gradients=True, cotangent=None, seed=0, note=""):
    """Run a sparse block once on x [G,S,M] (or [T,M]: one group) and return a Recorded case: inputs, weights, and every claim that the block lets one see.

    dialect: a name of `moe dialects` or an inline dialect. path: written at once, too. parameters: added to those that are clear from the block and its
    configuration (k, normalize, scaling_factor, groups, activation, capacity, layouts); None takes one out. router, experts: the submodules or their names where
    they are not found by name. tensors: parameters of the block by a case's names ({"experts.in": block.fc.weight}), for those that have no name here.
    gradients: claim.grad.* of all of these for cotangent [G,S,M], or a normal one from seed; the modules' own .grad is left alone.

    The choice and the gates are what the experts module was called with, else what the router returned. Where experts are modules of their own and neither shows it
    (transformers 4), the block runs again with expert e's output replaced by the e-th unit vector, which makes its output the gates. What the router returns over all
    experts is claimed as logits or as scores, whichever it is nearer to. Switch: a dropped token's choice is the argmax of its probabilities.
    Types are kept. ValueError, in one line: no router or experts are found, a parameter has no name, the block draws random numbers.
    """
    x = x if x.dim() == 3 else x[None]
    parts = Parts(block, router, experts, tensors)
    if block.training and parts.setting("jitter_noise", "router_jitter_noise"):
        raise ValueError(f"{type(block).__name__} multiplies its input by random numbers in training, which a hook cannot see; call eval() first")
    named = parts.tensors()
    parts.refuse_unnamed(named)
    leaf = x.detach().clone().requires_grad_()
    weights = [p for value in named.values() for p in _list(value)]
    frozen = [p for p in weights if not p.requires_grad and p.is_floating_point()]
    try:
        for p in frozen if gradients else ():
            p.requires_grad_()
        with torch.set_grad_enabled(gradients), Watch(parts) as watch:
            y = first(block(leaf.clone()))
        claims, more = watch.routing()
        case = {"x": x} | {name: _stack(value, lambda p: p) for name, value in named.items()} | {f"claim.{name}": value for name, value in claims.items()}
        case["claim.y"] = y.reshape(x.shape)
        if gradients:
            case |= _gradients(y.reshape(x.shape), leaf, named, weights, cotangent, seed)
    finally:
        for p in frozen:
            p.requires_grad_(False)
    if parts.correction_bias() is not None:
        case["router.correction_bias"] = parts.correction_bias().reshape(-1)
    groups, size, _ = x.shape
    case = {name: _shaped(name, value.detach(), groups, size) for name, value in case.items()}
    library = sys.modules.get("transformers")
    producer = f"{f'transformers {library.__version__}, ' if library else ''}torch {torch.__version__}, {type(block).__name__}"
    known = parts.parameters(dialect, case) | more | (parameters or {})
    recorded = Recorded(dialect, "train" if block.training else "eval", {key: value for key, value in known.items() if value is not None}, case, producer, note)
    if path is not None:
        recorded.save(path)
    return recorded


class Recorded:
    """A case in memory: dialect, mode, parameters, tensors by the format's names, producer, note; change what you like, then save."""

    def __init__(self, dialect, mode, parameters, tensors, producer, note):
        self.dialect, self.mode, self.parameters, self.tensors, self.producer, self.note = dialect, mode, parameters, tensors, producer, note

    def save(self, path):
        """Write it to .safetensors or .npz."""
        write_case(path, dialect=self.dialect, mode=self.mode, parameters=self.parameters, producer=self.producer, note=self.note, **self.tensors)


class Parts:
    """The router, experts, and shared experts of a block, found by the names of transformers or given."""

    def __init__(self, block, router=None, experts=None, tensors=None):
        self.block, self.more, kind = block, tensors or {}, type(block).__name__
        self.router, self.experts = _given(block, router, "router") or find(block, ROUTERS), _given(block, experts, "experts") or find(block, EXPERTS)
        for module, what, names in ((self.router, "router", ROUTERS), (self.experts, "experts", EXPERTS)):
            if module is None:
                inside = [name for name, child in block.named_modules() if name and find(child, ROUTERS) and find(child, EXPERTS)]
                hint = f"record {inside[0]} of it, or pass" if inside else "pass"
                raise ValueError(f"{kind} has no {what} that can be recognised (looked for {', '.join(names)}); {hint} {what}= with the module or its name")
        self.shared, self.shared_gate = find(block, SHARED), find(block, SHARED_GATES)
        matrices = [m for m in self.router.modules() if isinstance(getattr(m, "weight", None), torch.Tensor) and m.weight.dim() == 2]
        if len(matrices) != 1:
            raise ValueError(f"the router {type(self.router).__name__} of {kind} holds {len(matrices)} matrices; pass router= with the module that holds the one")
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
            named |= {f"shared.{part}": p for part, p in _parts([self.shared], "shared experts").items()}
        if self.shared_gate is not None:
            named["shared.gate"] = self.shared_gate.weight
        return {name: value for name, value in (named | self.more).items() if value is not None}

    def refuse_unnamed(self, named):
        """A weight that is used and not in the file would make y differ for no reason of the block's."""
        known = {id(p) for value in named.values() for p in _list(value)}
        rest = [name for name, p in self.block.named_parameters() if id(p) not in known and not name.endswith("e_score_correction_bias")]
        if rest:
            raise ValueError(f"{type(self.block).__name__} holds {', '.join(rest[:3])}, which has no name in a case here; pass tensors={{NAME: parameter}} with the format's name")

    def correction_bias(self):
        """What is added to the scores for selection only, or None."""
        found = [p for m in (self.router, self.block) for name, p in [*m.named_buffers(), *m.named_parameters()] if name.split(".")[-1] == "e_score_correction_bias"]
        return found[0] if found else None

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
        return {f"experts.{part}": value for part, value in _parts(self.each, "experts", every=True).items()}


class Watch:
    """Hooks on a block's router and experts for one call."""

    def __init__(self, parts):
        self.parts, self.returned, self.given, self.inputs, self.block_inputs, self._hooks = parts, [], [], [], [], []

    def __enter__(self):
        def router(module, inputs, output):
            self.inputs.append(next((i.detach() for i in inputs if isinstance(i, torch.Tensor)), None))
            self.returned.append([t.detach() for t in _flat(output)])

        self._hooks = [self.parts.router.register_forward_hook(router), before(self.parts.block, lambda given: self.block_inputs.append(given[0].detach())),
                       before(self.parts.experts, lambda given: self.given.append([t.detach() for t in given]))]
        return self

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()
        return False

    def routing(self):
        """Claims without their prefix (logits or scores, expert, gate, slot, capacity), and parameters that come with them."""
        if len(self.returned) != 1 and (self.returned or not self.given):
            raise ValueError(f"the router {type(self.parts.router).__name__} ran {len(self.returned)} times in one call; pass router= with the module that runs once")
        if self.parts.setting("expert_capacity") is not None:
            return self._switch()
        # A block that multiplies by its router's weight itself shows no logits.
        count, returned, claims = self.parts.count, [t.reshape(-1, t.shape[-1]) for t in (self.returned[0] if self.returned else [])], {}
        given = [t.reshape(-1, t.shape[-1]) for t in (self.given[0] if self.given else [])]
        wide = [t for t in returned if t.is_floating_point() and t.shape[-1] == count]
        # The first floating tensor that experts are given is their input.
        handed = [t for t in given if not t.is_floating_point()] + [t for t in given if t.is_floating_point()][1:]
        expert = next((t for t in handed + returned if not t.is_floating_point()), None)
        gate = None
        if expert is not None:
            # Where all experts are chosen the first of two such tensors is over all of them.
            candidates = handed + [t for t in returned if expert.shape[-1] < count or t is not wide[0]]
            sparse = [t for t in candidates if t.is_floating_point() and _only_at(t, expert, count)]
            gate = next((t if t.shape[-1] == expert.shape[-1] else t.gather(-1, expert.long()) for t in sparse), None)
            wide = [t for t in wide if not any(t is s for s in sparse)]
        for t in wide[:1]:
            claims[self._kind(t)] = t
        if expert is None or gate is None:
            expert, gate = self._probe(claims.get("logits", claims.get("scores")))
        return claims | {"expert": expert.int(), "gate": gate}, {}

    def _kind(self, values):
        """logits, or scores: a softmax or sigmoid of them; whichever is nearer."""
        if isinstance(self.parts.router, torch.nn.Linear) or self.inputs[0] is None:
            return "logits"
        p, x = self.parts.projection, self.inputs[0]
        bias = getattr(p, "bias", None)
        logits = torch.nn.functional.linear(x.reshape(-1, x.shape[-1]).float(), p.weight.detach().float(), None if bias is None else bias.detach().float())
        return "logits" if _distance(values, logits) <= min(_distance(values, logits.softmax(-1)), _distance(values, logits.sigmoid())) else "scores"

    def _probe(self, scores):
        """Gates [T,k] of a block with a module an expert: with unit vectors for their outputs and 0 for the shared ones' the block returns its gates."""
        parts, each = self.parts, self.parts.each
        if each is None or scores is None:
            raise ValueError(f"neither the router {type(parts.router).__name__} nor a call of {type(parts.experts).__name__} shows the chosen experts and their gates; "
                             "pass router= with the module that returns them")
        x, dense = self.block_inputs[0], []
        width = x.shape[-1]
        for start in range(0, parts.count, width):
            hooks = [expert.register_forward_hook(lambda m, i, o, column=e - start: _unit(o, column)) for e, expert in enumerate(each)]
            hooks += [parts.shared.register_forward_hook(lambda m, i, o: torch.zeros_like(o))] if parts.shared is not None else []
            try:
                with torch.no_grad():
                    dense.append(first(parts.block(x.clone())).reshape(-1, width)[:, :parts.count - start])
            finally:
                for hook in hooks:
                    hook.remove()
        dense = torch.cat(dense, -1)
        k = parts.setting("top_k", "num_experts_per_tok", "moe_topk", "num_selected_experts") or int((dense != 0).sum(-1).max())
        # Experts in use come first, then by score; a gate may have rounded to 0.
        by_score = torch.sort(scores.float(), dim=-1, descending=True, stable=True).indices
        used = torch.sort((dense.gather(-1, by_score) != 0).int(), dim=-1, descending=True, stable=True).indices
        expert = by_score.gather(-1, used)[:, :k]
        return expert, dense.gather(-1, expert)

    def _switch(self):
        """One-hot of what is kept [G,S,E], largest probability [G,S,1], logits [G,S,E]: the choice before dropping, places in token order, gates of what is kept."""
        kept, probability, logits = (self.returned[0] + [None] * 3)[:3]
        if logits is None or kept.is_floating_point() or kept.shape != logits.shape or probability.shape != (*logits.shape[:2], 1):
            raise ValueError(f"the router {type(self.parts.router).__name__} has a capacity and does not return (one-hot, probability, logits) as Switch's of transformers 4; write its claims by hand")
        here = kept.sum(-1, keepdim=True) > 0
        chosen = logits.softmax(-1).to(probability.dtype).argmax(-1, keepdim=True)
        expert = torch.where(here, kept.argmax(-1, keepdim=True), chosen)
        place = (kept.cumsum(1) - 1).gather(-1, expert)
        capacity = int(self.parts.setting("expert_capacity"))
        claims = {"logits": logits, "capacity": torch.tensor(capacity, dtype=torch.int32), "expert": expert.int(), "slot": torch.where(here, place, -1).int(),
                  "gate": torch.where(here, probability, torch.zeros_like(probability))}
        return claims, {"capacity": capacity}


def before(module, see):
    """A hook that shows the tensors a module is called with, in their order; PyTorch 1 shows positional arguments only."""
    def hook(module, inputs, named=None):
        see(_flat([inputs, list((named or {}).values())]))

    try:
        return module.register_forward_pre_hook(hook, with_kwargs=True)
    except TypeError:
        return module.register_forward_pre_hook(hook)


def _gradients(y, leaf, named, weights, cotangent, seed):
    """Of <cotangent, y>; what nothing depends on has gradient 0."""
    if cotangent is None:
        cotangent = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed)).to(y)
    unique = list({id(p): p for p in [leaf, *weights]}.values())
    found = dict(zip(map(id, unique), torch.autograd.grad(y, unique, cotangent.reshape(y.shape), allow_unused=True)))

    def of(p):
        return torch.zeros_like(p) if found[id(p)] is None else found[id(p)]

    gradients = {f"claim.grad.{name}": _stack(value, of) for name, value in named.items()}
    return {"cotangent.y": cotangent, "cotangent.losses": torch.zeros(()), "claim.grad.x": of(leaf)} | gradients


def _shaped(name, value, groups, size):
    if name.split("grad.")[-1] == "shared.gate":
        return value.reshape(-1)
    token = name in ("claim.logits", "claim.scores", "claim.expert", "claim.gate", "claim.slot")
    return value.reshape(groups, size, -1) if token else value


def _parts(modules, what, every=False):
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


def _given(block, module, what):
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


def first(output):
    return output[0] if isinstance(output, (tuple, list)) else output


def _list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _flat(value):
    """All tensors with an axis, in order."""
    if isinstance(value, torch.Tensor):
        return [value] if value.dim() else []
    return [t for item in value for t in _flat(item)] if isinstance(value, (list, tuple)) else []


def _stack(value, of):
    return torch.stack([of(p).detach() for p in value]) if isinstance(value, (list, tuple)) else of(value).detach()


def _only_at(values, expert, count):
    """Gates: [T,k], or [T,E] that are 0 but at the chosen experts."""
    if values.shape[0] != expert.shape[0] or values.shape[-1] not in (count, expert.shape[-1]):
        return False
    if values.shape[-1] == count and expert.shape[-1] < count:
        return not values.scatter(-1, expert.long(), 0).any()
    return values.shape[-1] == expert.shape[-1]


def _distance(values, others):
    return float((values.float() - others).abs().max())


def _unit(output, column):
    """Each row the unit vector of a column; 0 where the column is not in this round."""
    rows = torch.zeros_like(output)
    if 0 <= column < output.shape[-1]:
        rows[..., column] = 1
    return rows
