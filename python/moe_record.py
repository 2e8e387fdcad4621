"""Record a sparse block of `transformers` (or one built like it) as a case with every claim, for `moe check`; needs PyTorch.

    from moe_record import record_layer

    case = record_layer(model.model.layers[0].mlp, x, dialect="hf.qwen3_moe")
    case.save("a.safetensors")

Axis letters: G groups, S tokens a group, T = G·S, M width, E experts, k choices, F an expert's hidden width. Copy this file, moe_parts.py and moe_case.py where
you need them.
"""
import sys

import torch

from moe_case import write_case
from moe_parts import Parts, Rows, listed

def record_layer(block, x, dialect, *, path=None, parameters=None, router=None, experts=None, tensors=None, gradients=True, cotangent=None, seed=0, note=""):
    """Run a sparse block once on x [G,S,M] (or [T,M]: one group) and return a Recorded case: inputs, weights, and every claim that the block lets one see.
    Of a decoder layer whose router and experts read two things (Gemma 4) these two are run: x is the residual, experts.x its norm.

    dialect: a name of `moe dialects` or an inline dialect. path: written at once, too. parameters: added to those that are clear from the block and its
    configuration: k, activation, layouts, Switch's capacity, normalize of Qwen's and OLMoE's kind, normalize, scaling_factor and groups of DeepSeek-V3's kind
    (DIVIDE and DEEPSEEK of moe_parts.py); None takes one out. router, experts: the submodules or their names, where they are not found by name. tensors:
    parameters of the block by a case's names ({"experts.in": block.fc.weight}), for those that have no name here. gradients: claim.grad.* of all of these
    for cotangent [G,S,M], or a normal one from seed; the modules' own .grad is left alone.

    The choice and the gates are what the experts module was called with, else what the router returned. Where experts are modules of their own and neither
    shows it (transformers 4), the block runs again with expert e's output replaced by the e-th unit vector, which makes its output the gates. What the router
    returns over all experts is claimed as logits or as scores, whichever it is nearer to. Switch: a dropped token's choice is the argmax of its probabilities.
    Types are kept. ValueError, in one line: no router or experts are found, a parameter has no name, the block draws random numbers.
    """
    x = x if x.dim() == 3 else x[None]
    parts = Parts(block, router, experts, tensors)
    if block.training and parts.setting("jitter_noise", "router_jitter_noise"):
        raise ValueError(f"{type(block).__name__} multiplies its input by random numbers in training, which a hook cannot see; call eval() first")
    named = parts.tensors()
    parts.refuse_unnamed(named)
    leaf = x.detach().clone().requires_grad_()
    inputs, call = parts.call(leaf, seed)
    named |= inputs
    weights = [p for value in named.values() for p in listed(value)]
    frozen = [p for p in weights if not p.requires_grad and p.is_floating_point()]
    skipped = None if parts.last is None else parts.last.register_forward_hook(lambda module, inputs, output: inputs[0])
    try:
        for p in frozen if gradients else ():
            p.requires_grad_()
        with torch.set_grad_enabled(gradients), Watch(parts) as watch:
            y = first(call())
        claims, more = watch.routing()
        case = {"x": x} | {name: _stack(value, lambda p: p) for name, value in named.items()} | {f"claim.{name}": value for name, value in claims.items()}
        case["claim.y"] = y.reshape(x.shape)
        if gradients:
            case |= _gradients(y.reshape(x.shape), leaf, named, weights, cotangent, seed)
    finally:
        if skipped is not None:
            skipped.remove()
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


class Watch:
    """Hooks on a block's router and experts for one call."""

    def __init__(self, parts):
        self.parts, self.returned, self.given, self.inputs, self.block_inputs, self._hooks = parts, [], [], [], [], []
        self.projected, self.shared = [], []

    def __enter__(self):
        def router(module, inputs, output):
            self.inputs.append(next((i.detach() for i in inputs if isinstance(i, torch.Tensor)), None))
            self.returned.append([t.detach() for t in _flat(output)])

        self._hooks = [self.parts.router.register_forward_hook(router), before(self.parts.block, self._entered),
                       before(self.parts.experts, lambda given: self.given.append([t.detach() for t in given]))]
        if self.parts.projection is not self.parts.router:
            self._hooks.append(self.parts.projection.register_forward_hook(lambda module, inputs, output: self.projected.append(first(output).detach())))
        if self.parts.shared is not None:
            self._hooks.append(before(self.parts.shared, lambda given: self.shared.append([t.detach() for t in given])))
        return self

    def _entered(self, given):
        self.block_inputs.append(given[0].detach() if given else None)

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()
        return False

    def routing(self):
        """Claims without their prefix (logits or scores, expert, gate, slot, capacity), and parameters that come with them."""
        if len(self.returned) != 1 and (self.returned or not self.given):
            raise ValueError(f"the router {type(self.parts.router).__name__} ran {len(self.returned)} times in one call; "
                             "pass router= with the module that runs once")
        if self.parts.setting("expert_capacity") is not None:
            return self._switch()
        # A block that multiplies by its router's weight itself shows no logits.
        count, returned, claims = self.parts.count, [t.reshape(-1, t.shape[-1]) for t in (self.returned[0] if self.returned else [])], {}
        given = [t.reshape(-1, t.shape[-1]) for t in (self.given[0] if self.given else [])]
        wide = [t for t in returned if t.is_floating_point() and t.shape[-1] == count]
        # The first floating tensor that experts are given is their input.
        handed = [t for t in given if not t.is_floating_point()] + [t for t in given if t.is_floating_point()][1:]
        expert = next((t for t in handed + returned if not t.is_floating_point()), None)
        if expert is None and hasattr(self.parts.experts, "route_tokens_to_experts"):
            # The experts' module is given logits and chooses itself.
            with torch.no_grad():
                handed = list(self.parts.experts.route_tokens_to_experts(handed[0]))
            expert = next(t for t in handed if not t.is_floating_point())
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
        if self.parts.hides_null:
            expert = torch.where(gate == 0, count - 1, expert)
            claims["router_state"] = self.returned[0][-1]
        if self.parts.sinks:
            claims["shared_gate"] = (self.shared[0][1:] or self.returned[0])[-1].reshape(-1, self.parts.sinks)
        return claims | {"expert": expert.int(), "gate": gate}, {}

    def _kind(self, values):
        """logits, or scores: a softmax or sigmoid of them; whichever is nearer to what the matrix makes of the router's input."""
        if self.projected:
            return "logits" if torch.equal(values, self.projected[0].reshape(-1, self.projected[0].shape[-1])) else "scores"
        if isinstance(self.parts.router, torch.nn.Linear) or self.inputs[0] is None:
            return "logits"
        p, x = self.parts.projection, self.inputs[0]
        bias = getattr(p, "bias", None)
        logits = torch.nn.functional.linear(x.reshape(-1, x.shape[-1]).float(), p.weight.detach().float(), None if bias is None else bias.detach().float())
        logits = logits[:, :self.parts.count]
        return "logits" if _distance(values, logits) <= min(_distance(values, logits.softmax(-1)), _distance(values, logits.sigmoid())) else "scores"

    def _probe(self, scores):
        """Gates [T,k] of a block with a module an expert: with unit vectors for their outputs and 0 for the shared ones' the block returns its gates."""
        parts, each = self.parts, self.parts.each
        if each is None or scores is None or self.block_inputs[0] is None:
            raise ValueError(f"neither the router {type(parts.router).__name__} nor a call of {type(parts.experts).__name__} shows the chosen experts and "
                             "their gates; pass router= with the module that returns them")
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
        # A configuration's own top_k may be that of text generation.
        k = getattr(parts.block, "top_k", None) or parts.setting("num_experts_per_tok", "moe_topk", "num_selected_experts") or int((dense != 0).sum(-1).max())
        # Experts in use come first, then by score; a gate may have rounded to 0.
        by_score = torch.sort(scores.float(), dim=-1, descending=True, stable=True).indices
        used = torch.sort((dense.gather(-1, by_score) != 0).int(), dim=-1, descending=True, stable=True).indices
        expert = by_score.gather(-1, used)[:, :k]
        return expert, dense.gather(-1, expert)

    def switch(self):
        """
        What a router with a capacity returned, in whatever order: kept [G,S,E], one-hot or 0 where dropped, probability [G,S,1], logits [G,S,E] or None:
        early releases of transformers 5 return the probability in their place, take all tokens for groups of one, and drop none.
        """
        count, inputs = self.parts.count, self.block_inputs[0]
        shape = inputs.shape[:2] if inputs is not None and inputs.dim() == 3 else self.returned[0][0].shape[:-1]
        returned = [t.reshape(*shape, t.shape[-1]) for t in self.returned[0] if t.numel() == shape.numel() * t.shape[-1]]
        wide = [t for t in returned if t.shape[-1] == count]
        masks = [t for t in wide if not t.is_floating_point() or bool(((t == 0) | (t == 1)).all())]
        kept = next(iter(masks), None)
        logits = next((t for t in wide if not any(t is m for m in masks)), None)
        probability = next((t for t in returned if t.is_floating_point() and t.shape[-1] == 1), None)
        if kept is None or probability is None:
            shapes = ", ".join(f"{str(t.dtype).split('.')[-1]} {list(t.shape)}" for t in self.returned[0])
            raise ValueError(f"the router {type(self.parts.router).__name__} has a capacity and does not return one-hot choices and their probability as "
                             f"Switch's, but {shapes}; write its claims with write_case")
        return kept.long(), probability, logits

    def _switch(self):
        """The choice before dropping, places in token order, gates of what is kept."""
        kept, probability, logits = self.switch()
        here = kept.sum(-1, keepdim=True) > 0
        if logits is None:
            return {"expert": kept.argmax(-1, keepdim=True).int(), "gate": torch.where(here, probability, torch.zeros_like(probability))}, {}
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
    token = name in ("claim.logits", "claim.scores", "claim.expert", "claim.gate", "claim.slot", "claim.shared_gate", "claim.router_state")
    return value.reshape(groups, size, -1) if token else value


def first(output):
    return output[0] if isinstance(output, (tuple, list)) else output


def _flat(value):
    """All tensors with an axis, in order."""
    if isinstance(value, torch.Tensor):
        return [value] if value.dim() else []
    return [t for item in value for t in _flat(item)] if isinstance(value, (list, tuple)) else []


def _stack(value, of):
    if isinstance(value, Rows):
        return value.take(of(value.parameter)).detach().contiguous()
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
