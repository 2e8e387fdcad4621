"""Hold `moe` to the transformers that is installed here (4.57 or newer, with PyTorch): tiny models of its own making, with random weights.

    python python/check_transformers.py OUT --moe moe --configs FOLDER… --exports FOLDER…

--configs: folders or files with config.json of small models. Of each, every sparse block is recorded with gradients and given to `moe check` under the dialect
that `moe dialects --config` finds; and a whole model that `moe` computes, of a file named config.json, is saved, recorded block by block with a loss and all
gradients, and given to `moe check-model`. --exports: folders that `moe export` wrote; each is loaded, nothing may be missing or left over, and what
transformers computes with it is given to `moe check-model` too; embeddings that transformers itself forgets (of an untied Switch) are put in. One line each;
the exit code is 1 if anything departs, and 0 if all that could be run agrees.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback

import torch
import transformers

from moe_record import record_layer
from moe_record_model import _is_sparse, record_model

COMPUTED = {"mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "deepseek_v2", "deepseek_v3", "gpt_oss", "glm4_moe", "llama4_text", "ernie4_5_moe", "minimax_m2",
            "granitemoe", "gemma4_text", "switch_transformers"}


def run(moe, *arguments):
    done = subprocess.run([*moe, *arguments], capture_output=True, text=True)
    return done.returncode, (done.stdout or done.stderr).strip()


def configurations(places):
    for place in places:
        if os.path.isfile(place):
            yield place
        for folder, _, files in sorted(os.walk(place)):
            yield from (os.path.join(folder, name) for name in sorted(files) if name.endswith(".json") and (name == "config.json" or name.startswith("hf.")))


def randomised(model):
    """Weights of a size that moves something, norms near 1, biases that are not 0."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, p in list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if "bias" in n]:
            if not p.is_floating_point():
                continue
            if p.dim() > 1:
                p.normal_(0, p.shape[-1] ** -0.5)
            elif "norm" in name and name.endswith("weight"):
                p.normal_(1, 0.1)
            else:
                p.normal_(0, 0.1)
        for stack in ("encoder", "decoder"):
            # Of T5's kind; what a checkpoint stores once is one thing.
            if hasattr(model, "shared") and hasattr(model, stack):
                getattr(model, stack).embed_tokens.weight.copy_(model.shared.weight)
    return model.eval()


def built(path, small=False):
    """The configuration in a file; small: of its text model, with few layers and words, for its blocks are all that is looked at."""
    with open(path) as file:
        written = json.load(file)
    if small:
        written = written.get("text_config", written.get("thinker_config", {}).get("text_config", written))
        layers = written.get("first_k_dense_replace", written.get("num_dense_layers", 0)) + 4
        written = {key: value[:layers] if key in ("layer_types", "mlp_layer_types") and isinstance(value, list) else value for key, value in written.items()}
        written |= {key: most for key, most in (("num_hidden_layers", layers), ("vocab_size", 128)) if written.get(key, 0) > most}
        written |= {key: None for key in ("pad_token_id", "bos_token_id", "eos_token_id") if isinstance(written.get(key), int) and written[key] >= 128}
    config = transformers.AutoConfig.for_model(written.pop("model_type"), **written)
    config._attn_implementation = config._experts_implementation = "eager"
    for part in ("text_config",):
        if isinstance(getattr(config, part, None), transformers.PretrainedConfig):
            getattr(config, part)._attn_implementation = getattr(config, part)._experts_implementation = "eager"
    return config


def blocks(path, out, moe, config):
    code, text = run(moe, "dialects", "--config", path, "--json")
    if code:
        return [("none", "dialect", text)]
    found = json.loads(text)
    model = randomised(transformers.AutoModel.from_config(config))
    kind = next(model.parameters()).dtype
    lines = []
    for name, block in model.named_modules():
        if not _is_sparse(block) or len(lines) == 2:
            continue
        width = getattr(config.get_text_config(), "hidden_size", None) or config.d_model
        label = f"{os.path.basename(path)} {name}"
        try:
            case = os.path.join(out, f"{os.path.basename(path)[:-5]}-{os.path.basename(os.path.dirname(path))}-{len(lines)}.safetensors")
            record_layer(block, torch.randn(2, 9, width).to(kind), found["dialect"], path=case, parameters=found["parameters"])
        except Exception as fault:
            lines.append(("unrecorded", label, f"{type(fault).__name__}: {fault}"))
            continue
        code, text = run(moe, "check", case)
        lines.append(("agrees" if code == 0 else "differs", f"{label} [{found['dialect']}]", "" if code == 0 else text))
    return lines or [("none", os.path.basename(path), "no sparse block")]


def hub_name(kind):
    return (lambda name: name.replace(".mlp.", ".block_sparse_moe.")) if kind in ("mixtral", "minimax_m2") else None


def inputs(config):
    torch.manual_seed(1)
    vocabulary = config.get_text_config().vocab_size
    ids = torch.randint(3, min(vocabulary, 1000), (2, 11))
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    labels = torch.where(mask == 1, ids, -100)
    if config.model_type == "switch_transformers":
        mask[1] = 1
        mask[1, -3:] = 0
        labels = torch.randint(3, min(vocabulary, 1000), (2, 6))
    return {"input_ids": ids, "attention_mask": mask}, labels


def checked(model, folder, moe):
    """A model that lies in a folder, recorded there and checked."""
    given, labels = inputs(model.config)
    io = os.path.join(folder, "io.safetensors")
    record_model(model, given, io, labels=labels, rename=hub_name(model.config.model_type))
    first = run(moe, "check-model", folder, "--activations", io)
    second = run(moe, "check-model", folder, "--gradients", io)
    lines = [("agrees" if code == 0 else "differs", what, "" if code == 0 else text) for what, (code, text) in (("activations", first), ("gradients", second))]
    return lines


def class_of(config):
    return transformers.SwitchTransformersForConditionalGeneration if config.model_type == "switch_transformers" else transformers.AutoModelForCausalLM


def models(path, out, moe, config):
    if config.model_type not in COMPUTED:
        return []
    kind = class_of(config)
    model = randomised(kind(config) if config.model_type == "switch_transformers" else kind.from_config(config))
    folder = os.path.join(out, "models", f"{os.path.basename(os.path.dirname(path))}-{os.path.basename(path)[:-5]}")
    model.save_pretrained(folder)
    lines = [(verdict, f"{config.model_type} {what}", text) for verdict, what, text in checked(model, folder, moe)]
    shutil.rmtree(folder) if all(verdict == "agrees" for verdict, _, _ in lines) else None
    return lines


def exported(folder, moe, tell):
    config = transformers.AutoConfig.from_pretrained(folder)
    config._attn_implementation = config._experts_implementation = "eager"
    model, loading = class_of(config).from_pretrained(folder, config=config, output_loading_info=True)
    left = {key: sorted(value) for key, value in loading.items() if value}
    if left == {"missing_keys": ["decoder.embed_tokens.weight", "encoder.embed_tokens.weight"]}:
        # Of an untied Switch as it is published: both stacks embed with shared.weight, and the library begins with random numbers.
        with torch.no_grad():
            for stack in (model.encoder, model.decoder):
                stack.embed_tokens.weight.copy_(model.shared.weight)
        lines = [("forgotten", f"{folder} loads", "transformers forgets the embeddings of both stacks; checked with shared.weight in their places")]
    else:
        lines = [("differs" if left else "agrees", f"{folder} loads", json.dumps(left, default=str) if left else "")]
    tell(lines)
    return [(verdict, f"{folder} {what}", text) for verdict, what, text in checked(model.eval(), folder, moe)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--moe", nargs="+", default=["moe"], help="the command")
    parser.add_argument("--configs", nargs="*", default=[])
    parser.add_argument("--exports", nargs="*", default=[])
    parser.add_argument("--seconds", type=int, default=60, help="for each model at most")
    given = parser.parse_args()
    os.makedirs(given.out, exist_ok=True)
    print(f"transformers {transformers.__version__}, torch {torch.__version__}", flush=True)
    counts = {}

    def too_long(*_):
        raise TimeoutError(f"took more than {given.seconds} s")

    signal.signal(signal.SIGALRM, too_long)

    def tell(lines):
        for verdict, what, text in lines:
            counts[verdict] = counts.get(verdict, 0) + 1
            print(f"{verdict:<10} {what}" + "".join(f"\n    {line}" for line in text.splitlines()), flush=True)

    def attempt(what, work):
        try:
            signal.alarm(given.seconds)
            lines = work()
            signal.alarm(0)
            tell(lines)
        except Exception as fault:
            signal.alarm(0)
            where = traceback.extract_tb(fault.__traceback__)[-1]
            tell([("unrun", what, f"{type(fault).__name__}: {fault} ({os.path.basename(where.filename)}:{where.lineno})")])

    for folder in given.exports:
        attempt(folder, lambda: exported(folder, given.moe, tell))
    for path in configurations(given.configs):
        if os.path.basename(path) == "config.json":
            attempt(path, lambda: models(path, given.out, given.moe, built(path)))
        attempt(path, lambda: blocks(path, given.out, given.moe, built(path, small=True)))
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return 1 if counts.get("differs") else 0


if __name__ == "__main__":
    sys.exit(main())
