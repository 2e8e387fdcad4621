"""Record everything that one forward pass of a whole model computes, block by block, from PyTorch and transformers; needs moe_record.py.

    from moe_record_model import record_model

    record_model(model, tokenizer(texts, return_tensors="pt", padding=True), "io.safetensors")

Names, each tensor in the type that the model gave it (I layer, B rows, S columns, M width, T = B·S, E experts, k choices):

    input_ids, attention_mask, position_ids, labels …         what the model was given, whole numbers as int32
    hidden_states.I                                           each layer's input [B,S,M]; last the final norm's output
    block.layers.I.self_attn.in, .out                         the residual stream before and after attention, norm and sum included (linear_attn, mamba, conv)
    block.layers.I.mlp.in, .out                               the same of the feed-forward or the experts; .in is the attention's .out
    router.NAME, .gates, .experts                             logits (or scores) [T,E], gates [T,k] and choice [T,k] of the router NAME
    logits, loss, aux_loss, grad.NAME                         gradients of the loss by the parameters' names, where labels are given

    of Switch Transformers: block.encoder.block.I.layer.J.in, .out, block.decoder…, encoder_hidden_states.I, decoder_hidden_states.I, encoder_last_hidden_state,
    router.NAME.logits, .probability, .kept, encoder_z_loss, encoder_aux_loss, decoder_z_loss, decoder_aux_loss
"""
import sys

import torch

from moe_case import write_tensors
from moe_parts import EXPERTS, ROUTERS, Parts, find
from moe_record import Watch, before, first

STACKS = ("model.layers", "layers", "model.language_model.layers", "language_model.layers", "language_model.model.layers", "transformer.layers")
MIXERS = ("self_attn", "linear_attn", "mamba", "conv", "attention", "attn")
# What normalises the residual stream for the feed-forward; Gemma's post_attention_layernorm is another thing, and has the first name beside it.
SECOND_NORMS = ("pre_feedforward_layernorm", "post_attention_layernorm", "pre_ff_layernorm", "ffn_norm", "pre_mlp_layernorm", "ln_2")
LAST_NORMS = ("norm", "final_layernorm", "final_layer_norm", "final_norm", "embedding_norm", "ln_f")
LOSSES = ("loss", "aux_loss", "encoder_z_loss", "decoder_z_loss", "encoder_aux_loss", "decoder_aux_loss")


def record_model(model, inputs, path, labels=None, *, rename=None, note=""):
    """Run the model once by hooks and write what it computed to path (.safetensors); returns the tensors by name.

    inputs: a dict of what the model is called with, or its input_ids [B,S]. labels: handed to the model too; its loss is differentiated, with the modules' own
    .grad left alone. rename: a function from a parameter's or router's name in the model to its name in the checkpoint, where they differ (Mixtral in
    transformers 5: lambda name: name.replace(".mlp.", ".block_sparse_moe.")). ValueError, in one line: the model is in training mode, its layers are not
    recognised, it has no loss.
    """
    if not str(path).endswith(".safetensors"):
        raise ValueError(f"{path}: name it .safetensors")
    if model.training:
        raise ValueError(f"{type(model).__name__} is in training mode, where dropout makes a recording that nothing reproduces; call eval() first")
    inputs = {"input_ids": inputs} if isinstance(inputs, torch.Tensor) else dict(inputs)
    if labels is not None:
        inputs["labels"] = labels
    rename = rename or (lambda name: name)
    recording = {}
    hooks = _encoder_decoder(model, recording) if find(model, ("encoder.block",)) else _decoder(model, recording)
    sparse = {name: Watch(Parts(module)) for name, module in model.named_modules() if _is_sparse(module)}
    try:
        for watch in sparse.values():
            watch.__enter__()
        with torch.set_grad_enabled(labels is not None):
            output = model(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for watch in sparse.values():
            watch.__exit__()
    if not isinstance(getattr(output, "logits", None), torch.Tensor):
        raise ValueError(f"{type(model).__name__} returned {type(output).__name__} without logits; take the model with its head (…ForCausalLM, "
                         "…ForConditionalGeneration) and return_dict left on")
    given = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    recording |= {name: value if value.is_floating_point() else value.int() for name, value in given.items()}
    recording["logits"] = output.logits
    recording |= {name: value for name in LOSSES if isinstance(value := getattr(output, name, None), torch.Tensor)}
    for watch in sparse.values():
        name = next(name for name, module in model.named_modules() if module is watch.parts.router)
        recording |= {f"router.{rename(name)}{part}": value for part, value in _decisions(watch).items()}
    if labels is not None:
        recording |= _gradients(model, recording, rename)
    recording = {name: value.detach() for name, value in recording.items()}
    library = sys.modules.get("transformers")
    producer = f"{f'transformers {library.__version__}, ' if library else ''}torch {torch.__version__}, {type(model).__name__}"
    write_tensors(path, {"producer": producer, "note": note}, recording)
    return recording


def _decoder(model, recording):
    """Hooks on a stack of decoder layers: each layer's input and output, the input of its second norm, the last norm's output."""
    stack = next((name for name in STACKS if isinstance(find(model, (name,)), torch.nn.ModuleList)), None)
    if stack is None:
        raise ValueError(f"{type(model).__name__} has no stack of layers that can be recognised (looked for {', '.join(STACKS)}, encoder.block)")
    layers, hooks = find(model, (stack,)), []
    for i, layer in enumerate(layers):
        mixer, norm = (next((name for name in names if hasattr(layer, name)), None) for names in (MIXERS, SECOND_NORMS))
        if mixer is None or norm is None:
            raise ValueError(f"layer {i}, {type(layer).__name__}, has no {'norm' if mixer else 'attention'} that can be recognised; it holds "
                             f"{', '.join(name for name, _ in layer.named_children())}; looked for {', '.join(SECOND_NORMS if mixer else MIXERS)}")
        hooks.append(before(layer, _in(recording, f"hidden_states.{i}", f"block.layers.{i}.{mixer}.in")))
        hooks.append(before(getattr(layer, norm), _in(recording, f"block.layers.{i}.{mixer}.out", f"block.layers.{i}.mlp.in")))
        hooks.append(layer.register_forward_hook(_out(recording, f"block.layers.{i}.mlp.out")))
    hooks.append(_last_norm(model, stack).register_forward_hook(_out(recording, f"hidden_states.{len(layers)}")))
    return hooks


def _encoder_decoder(model, recording):
    """The same of Switch Transformers, whose sublayers hold their norm and residual sum."""
    hooks = []
    for side in ("encoder", "decoder"):
        blocks = find(model, (f"{side}.block",))
        for i, block in enumerate(blocks):
            hooks.append(before(block, _in(recording, f"{side}_hidden_states.{i}")))
            for j, layer in enumerate(block.layer):
                hooks.append(before(layer, _in(recording, f"block.{side}.block.{i}.layer.{j}.in")))
                hooks.append(layer.register_forward_hook(_out(recording, f"block.{side}.block.{i}.layer.{j}.out")))
        names = [f"{side}_hidden_states.{len(blocks)}"] + ["encoder_last_hidden_state"] * (side == "encoder")
        hooks.append(_last_norm(model, f"{side}.block").register_forward_hook(_out(recording, *names)))
    return hooks


def _last_norm(model, stack):
    parent = stack.rpartition(".")[0]
    found = find(model, [f"{parent}.{name}" if parent else name for name in LAST_NORMS])
    if found is None:
        raise ValueError(f"{type(model).__name__} has no norm beside {stack} that can be recognised (looked for {', '.join(LAST_NORMS)})")
    return found


def _in(recording, *names):
    def see(given):
        if not given:
            raise ValueError(f"what gives {names[-1]} was called by keyword, which PyTorch 1 does not show a hook; use PyTorch 2")
        # A copy, for what comes may be added to in place.
        recording.update(dict.fromkeys(names, given[0].detach().clone()))
    return see


def _out(recording, *names):
    def hook(module, inputs, output):
        recording.update(dict.fromkeys(names, first(output).detach().clone()))
    return hook


def _is_sparse(module):
    children = {name for name, _ in module.named_children()}
    return bool(children & set(ROUTERS)) and bool(children & set(EXPERTS))


def _decisions(watch):
    """By what follows the router's name."""
    returned = watch.returned[0] if watch.returned else []
    if watch.parts.setting("expert_capacity") is not None:
        kept, probability, logits = watch.switch()
        return ({} if logits is None else {".logits": logits}) | {".probability": probability, ".kept": kept.int()}
    wide = [t for t in returned if t.is_floating_point() and t.shape[-1] == watch.parts.count]
    if len(wide) == 2 and all(t.is_floating_point() for t in returned):
        # Llama 4: gates over all experts, 0 where nothing is, and logits; no choice.
        gates, logits = sorted(wide, key=lambda t: int((t != 0).sum()))
        return {"": logits.reshape(-1, watch.parts.count), ".gates": gates.reshape(-1, watch.parts.count)}
    claims, _ = watch.routing()
    over_all = claims.get("logits", claims.get("scores"))
    return ({} if over_all is None else {"": over_all}) | {".gates": claims["gate"], ".experts": claims["expert"]}


def _gradients(model, recording, rename):
    """Of the loss, by each parameter once; 0 where nothing depends on it."""
    if "loss" not in recording:
        raise ValueError(f"{type(model).__name__} returned no loss for its labels; leave labels out")
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not named:
        raise ValueError(f"no parameter of {type(model).__name__} requires gradients; call requires_grad_() first, or leave labels out")
    found = torch.autograd.grad(recording["loss"], list(named.values()), allow_unused=True)
    coefficient = getattr(getattr(model, "config", None), "router_aux_loss_coef", None)
    more = {"aux_coefficient": torch.tensor(float(coefficient))} if "aux_loss" in recording and coefficient is not None else {}
    return more | {f"grad.{rename(name)}": torch.zeros_like(p) if g is None else g for (name, p), g in zip(named.items(), found)}
