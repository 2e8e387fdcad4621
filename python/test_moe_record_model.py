"""Records stand-in models into a folder and holds the recordings to what the models compute: python3 python/test_moe_record_model.py FOLDER"""
import json
import os
import struct
import sys


def read(path, torch):
    """A .safetensors file's tensors by name."""
    kinds = {"F32": torch.float32, "BF16": torch.bfloat16, "I32": torch.int32}
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    assert header.pop("__metadata__")["producer"].startswith("torch ")
    return {name: torch.frombuffer(bytearray(data[slice(*at["data_offsets"])]), dtype=kinds[at["dtype"]]).reshape(at["shape"]) for name, at in header.items()}


def renamed(name):
    return name.replace("layers.1.mlp.", "layers.1.block_sparse_moe.")


def decoders(folder, torch, record_model):
    import standins
    import standin_models

    for dtype, name in ((torch.float32, "f32"), (torch.bfloat16, "bf16")):
        torch.manual_seed(0)
        model = standin_models.LanguageModel([standins.SoftmaxBlock(), standins.ListBlock(), standins.DeepseekBlock(), standins.GptOssBlock()]).to(dtype).eval()
        ids, path = torch.randint(20, (2, 7)), os.path.join(folder, f"decoder-{name}.safetensors")
        mask, labels = torch.ones_like(ids), torch.where(ids == 3, -100, ids)
        record_model(model, {"input_ids": ids, "attention_mask": mask}, path, labels=labels, rename=renamed)
        assert all(p.grad is None for p in model.parameters())
        io, layers = read(path, torch), 5
        routers = [f"router.model.layers.{i}.{part}" for i, part in enumerate(["block_sparse_moe.gate", "mlp.gate", "mlp.gate", "mlp.router"], 1)]
        expected = {"input_ids", "attention_mask", "labels", "logits", "loss"} | {f"hidden_states.{i}" for i in range(layers + 1)}
        expected |= {f"block.layers.{i}.{part}.{end}" for i in range(layers) for part in ("self_attn", "mlp") for end in ("in", "out")}
        expected |= {router + part for router in routers for part in ("", ".gates", ".experts")}
        expected |= {f"grad.{renamed(n)}" for n, _ in model.named_parameters()}
        assert set(io) == expected, set(io) ^ expected
        assert io["input_ids"].dtype == torch.int32 and io["labels"].tolist() == labels.tolist() and io["hidden_states.0"].dtype == dtype
        for i, layer in enumerate(model.model.layers):
            attention, feed_forward = (lambda end, part=part: io[f"block.layers.{i}.{part}.{end}"] for part in ("self_attn", "mlp"))
            assert torch.equal(attention("in"), io[f"hidden_states.{i}"]) and torch.equal(attention("out"), feed_forward("in"))
            assert torch.equal(attention("out"), attention("in") + layer.self_attn(layer.input_layernorm(attention("in")))[0])
            y = layer.mlp(layer.post_attention_layernorm(feed_forward("in")))
            assert torch.equal(feed_forward("out"), feed_forward("in") + (y[0] if isinstance(y, tuple) else y))
        assert torch.equal(io["hidden_states.5"], model.model.norm(io["block.layers.4.mlp.out"]))
        assert torch.equal(io["logits"], model.lm_head(io["hidden_states.5"]))
        for router, count, k in zip(routers, (6, 6, 8, 6), (2, 2, 3, 2)):
            assert io[router].shape == (14, count) and io[f"{router}.experts"].shape == io[f"{router}.gates"].shape == (14, k)
            chosen = io[router].gather(-1, io[f"{router}.experts"].long())
            assert "layers.3" in router or torch.equal(chosen.float(), io[router].float().topk(k).values), router
        assert abs(io["loss"].item() - model(ids, labels=labels).loss.item()) == 0
        model(ids, labels=labels).loss.backward()
        assert all(torch.equal(io[f"grad.{renamed(n)}"], torch.zeros_like(p) if p.grad is None else p.grad)
                   for n, p in model.named_parameters())
        model.zero_grad(set_to_none=True)
        without = record_model(model, ids, path)
        assert "loss" not in without and not any(n.startswith("grad.") for n in without)


def switch(folder, torch, record_model):
    import standin_models

    torch.manual_seed(0)
    model = standin_models.SwitchModel().eval()
    ids, decoder_ids = torch.randint(20, (2, 9)), torch.randint(20, (2, 6))
    path = os.path.join(folder, "switch.safetensors")
    record_model(model, {"input_ids": ids, "decoder_input_ids": decoder_ids}, path, labels=decoder_ids)
    io = read(path, torch)
    routers = ("encoder.block.0.layer.1.mlp.router", "decoder.block.0.layer.2.mlp.router")
    expected = {"input_ids", "decoder_input_ids", "labels", "logits", "loss", "encoder_z_loss", "encoder_last_hidden_state"}
    expected |= {f"{side}_hidden_states.{i}" for side in ("encoder", "decoder") for i in range(2)} | {f"grad.{n}" for n, _ in model.named_parameters()}
    expected |= {f"block.{side}.block.0.layer.{j}.{end}" for side, count in (("encoder", 2), ("decoder", 3)) for j in range(count) for end in ("in", "out")}
    expected |= {f"router.{router}.{part}" for router in routers for part in ("logits", "probability", "kept")}
    assert set(io) == expected, set(io) ^ expected
    assert io[f"router.{routers[0]}.logits"].shape == (2, 9, 4) and io[f"router.{routers[1]}.probability"].shape == (2, 6, 1)
    last = model.decoder.block[0].layer[2]
    assert torch.equal(last(io["block.decoder.block.0.layer.2.in"])[0], io["block.decoder.block.0.layer.2.out"])
    assert torch.equal(io["encoder_last_hidden_state"], io["encoder_hidden_states.1"])


def refusals(folder, torch, record_model):
    import standin_models

    path = os.path.join(folder, "refused.safetensors")
    odd = standin_models.LanguageModel([]).eval()
    del odd.model.layers[0].post_attention_layernorm
    headless = standin_models.LanguageModel([]).eval()
    headless.register_forward_hook(lambda module, inputs, output: (output.logits,))
    for model, more, text in ((standin_models.LanguageModel([]), {}, "is in training mode"),
                              (torch.nn.Linear(2, 2).eval(), {}, "looked for model.layers, layers,"),
                              (headless, {}, "LanguageModel returned tuple without logits; take the model with its head"),
                              (odd, {}, "layer 0, DecoderLayer, has no norm that can be recognised; it holds self_attn, mlp, input_layernorm"),
                              (standin_models.LanguageModel([]).eval().requires_grad_(False), {"labels": torch.ones(1, 3).long()}, "requires gradients")):
        try:
            record_model(model, torch.ones(1, 3).long(), path, **more)
        except ValueError as error:
            assert text in str(error) and "\n" not in str(error), str(error)
        else:
            raise AssertionError(f"recorded, where it should say: {text}")
    assert not os.path.exists(path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("test_moe_record_model.py: name a folder to write to")
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed here; nothing was recorded")
    else:
        from moe_record_model import record_model

        os.makedirs(sys.argv[1], exist_ok=True)
        for test in (decoders, switch, refusals):
            test(sys.argv[1], torch, record_model)
        print("recorded models hold what was computed")
