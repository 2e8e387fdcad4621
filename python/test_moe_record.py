"""Records stand-ins for the blocks of transformers 4 and 5 into a folder, right ones and some with a planted fault, and holds `moe check` to what it must say:

    python3 python/test_moe_record.py FOLDER [COMMAND ...]      such as: dotnet moe.dll
"""
import json
import os
import subprocess
import sys

RIGHT = {   # name: dialect, block, what a float32 case claims besides y and gradients
    "mixtral-5": ("hf.mixtral", lambda s: s.SoftmaxBlock(cast=False), "logits expert gate"),
    "mixtral-4": ("hf.mixtral", lambda s: s.ListBlock(names=("w1", "w3", "w2")), "logits expert gate"),
    "mixtral-all-chosen": ("hf.mixtral", lambda s: s.SoftmaxBlock(e=2), "logits expert gate"),
    "qwen3_moe-5": ("hf.qwen3_moe", lambda s: s.SoftmaxBlock(), "logits expert gate"),
    "qwen3_moe-5-scores": ("hf.qwen3_moe", lambda s: s.SoftmaxBlock(returns="scores"), "scores expert gate"),
    "qwen2_moe-5": ("hf.qwen2_moe", lambda s: s.SoftmaxBlock(norm_topk_prob=False, shared=True), "logits expert gate"),
    "qwen2_moe-4-many": ("hf.qwen2_moe", lambda s: s.ListBlock(e=15, norm_topk_prob=False, shared=True), "logits expert gate"),
    "olmoe-5": ("hf.olmoe", lambda s: s.SoftmaxBlock(norm_topk_prob=False, k=3), "logits expert gate"),
    "deepseek_v3-5": ("hf.deepseek_v3", lambda s: s.DeepseekBlock(), "logits expert gate"),
    "deepseek_v3-4": ("hf.deepseek_v3", lambda s: s.DeepseekListBlock(), "expert gate"),
    "gpt_oss-5": ("hf.gpt_oss", lambda s: s.GptOssBlock(), "logits expert gate"),
    "gpt_oss-4": ("hf.gpt_oss", lambda s: s.GptOssBlock(dense=True), "expert gate"),
    "switch-4": ("hf.switch.v4", lambda s: s.SwitchBlock(), "logits capacity expert slot gate"),
    "switch-5": ("hf.switch.v5", lambda s: s.EarlySwitchBlock(), "expert gate"),
}

FORMS = {   # of standin_forms: routers and experts of a form of their own; more: claims beside y and gradients, further inputs with gradients
    "aria": ("hf.aria", lambda s: s.AriaBlock(), "logits expert gate"),
    "axk1": ("hf.axk1", lambda s: s.NormedBlock(), "logits expert gate"),
    "gemma4": ("hf.gemma4", lambda s: s.GemmaLayer(), "scores expert gate grad.experts.x"),
    "inkling": ("hf.inkling", lambda s: s.InklingBlock(), "logits expert gate shared_gate"),
    "minimax_m3_vl": ("hf.minimax_m3_vl", lambda s: s.MinimaxBlock(), "logits expert gate"),
    "zaya": ("hf.zaya", lambda s: s.ZayaBlock(), "logits expert gate router_state"),
    "zaya-first": ("hf.zaya", lambda s: s.ZayaBlock(first=True), "logits expert gate router_state"),
    "longcat_flash": ("hf.longcat_flash", lambda s: s.LongcatBlock(), "expert gate"),
}


def record_all(folder, torch, standins, record_layer, blocks):
    """Each block in float32 and bfloat16."""
    for name, (dialect, make, claims) in blocks.items():
        for dtype in (torch.float32, torch.bfloat16):
            torch.manual_seed(1)
            block = make(standins).to(dtype).eval().requires_grad_(dtype == torch.float32)
            path = os.path.join(folder, f"{name}-{'f32' if dtype == torch.float32 else 'bf16'}.safetensors")
            case = record_layer(block, torch.randn(2, 20, 12).to(dtype), dialect, path=path)
            assert all(p.grad is None and p.requires_grad == (dtype == torch.float32) for p in block.parameters()), name
            weights = {n for n in case.tensors if n.split(".")[0] in ("router", "experts", "shared") and n != "router.correction_bias"}
            expected = {f"claim.{c}" for c in claims.split()} | {"claim.y", "claim.grad.x"} | {f"claim.grad.{n}" for n in weights}
            assert {n for n in case.tensors if n.startswith("claim.")} == expected, (name, sorted(case.tensors))
            assert case.tensors["claim.y"].dtype == case.tensors["x"].dtype == dtype


def small(folder, torch, standins, forms, record_layer):
    """The files that tests of the reader hold a copy of (tests/SparseExperts.Tests/Oracle/recorded)."""
    sizes = dict(m=6, e=3, f=4)
    undivided, wide, narrow = dict(sizes, norm_topk_prob=False), torch.float32, torch.bfloat16
    # Of the last four a bound that leaves a rounding out does not hold: of a product before its bias, of each part of the gradient of x and of their sum, of
    # the products in the gradient of a gate.
    cast = {"like": "hf.longcat_flash", "name": "cast-gates", "gate_dtype": "bf16", "router_dtype": "f32"}
    for name, dialect, make, dtype, seed in (
            ("qwen2_moe-5", "hf.qwen2_moe", lambda: standins.SoftmaxBlock(**undivided, shared=True), wide, 5),
            ("mixtral-4", "hf.mixtral", lambda: standins.ListBlock(**sizes, names=("w1", "w3", "w2")), wide, 5),
            ("deepseek_v3-5-bf16", "hf.deepseek_v3", lambda: standins.DeepseekBlock(m=6, f=4), narrow, 5),
            ("gpt_oss-5", "hf.gpt_oss", lambda: standins.GptOssBlock(**sizes), wide, 5),
            ("switch-4", "hf.switch.v4", lambda: standins.SwitchBlock(**sizes, capacity=2), wide, 5),
            ("aria", "hf.aria", lambda: forms.AriaBlock(**sizes, k=2), wide, 5),
            ("axk1", "hf.axk1", lambda: forms.NormedBlock(m=6, f=4), wide, 5),
            ("gemma4", "hf.gemma4", lambda: forms.GemmaLayer(**sizes), wide, 5),
            ("inkling", "hf.inkling", lambda: forms.InklingBlock(**sizes), wide, 5),
            ("minimax_m3_vl", "hf.minimax_m3_vl", lambda: forms.MinimaxBlock(**sizes), wide, 5),
            ("zaya", "hf.zaya", lambda: forms.ZayaBlock(**sizes, r=4), wide, 5),
            ("gpt_oss-5-bf16", "hf.gpt_oss", lambda: standins.GptOssBlock(**sizes), narrow, 0),
            ("gpt_oss-5-bf16-y", "hf.gpt_oss", lambda: standins.GptOssBlock(**sizes), narrow, 20),
            ("longcat_flash-bf16", "hf.longcat_flash", lambda: forms.LongcatBlock(**sizes), narrow, 32),
            ("cast-gates-bf16", cast, lambda: forms.LongcatBlock(m=6, e=2, f=2, zero=6, cast=True), narrow, 9)):
        torch.manual_seed(seed)
        record_layer(make().to(dtype).eval(), torch.randn(1, 8, 6).to(dtype), dialect, path=os.path.join(folder, f"{name}.safetensors"),
                     note="a stand-in with random weights")


def readme(folder, torch, standins):
    """The README's two snippets, run in the folder on a stand-in model."""
    import standin_models

    torch.manual_seed(6)
    model = standin_models.LanguageModel([standins.SoftmaxBlock()]).eval()
    ids = torch.randint(20, (2, 7))
    names = {"model": model, "x": torch.randn(2, 9, 12), "ids": ids, "mask": torch.ones_like(ids), "labels": ids}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "README.md"), encoding="utf-8") as file:
        snippets = [part.split("```", 1)[0] for part in file.read().split("```python\n")[1:]]
    recording = [snippet for snippet in snippets if "from moe_record" in snippet]
    assert len(recording) == 2, "README.md has other snippets of the recorder than this test knows"
    here = os.getcwd()
    os.chdir(folder)
    try:
        for snippet in recording:
            exec(snippet, names)    # noqa: S102  our own README
        assert os.path.exists("a.safetensors") and os.path.exists("io.safetensors")
        os.unlink("io.safetensors")     # no case
    finally:
        os.chdir(here)


def other_ways(torch, standins, record_layer):
    """One group, no gradients, submodules by hand, a parameter that has no name of its own."""
    torch.manual_seed(2)
    block, x = standins.SoftmaxBlock(), torch.randn(9, 12)
    case = record_layer(block, x, "hf.qwen3_moe", gradients=False, parameters={"activation": None, "router_dtype": "f32"})
    assert case.tensors["x"].shape == case.tensors["claim.y"].shape == (1, 9, 12) and case.tensors["claim.gate"].shape == (1, 9, 2)
    assert not any("grad" in name or "cotangent" in name for name in case.tensors)
    assert case.parameters == {"k": 2, "normalize": "sum", "router_dtype": "f32"}, case.parameters

    inline = record_layer(block, x, {"like": "hf.qwen3_moe", "scaling_factor": 1.0}, gradients=False)
    assert inline.parameters == {"k": 2, "normalize": "sum", "activation": "silu"}, inline.parameters

    class Renamed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.chooser, self.crew, self.output_bias = block.gate, block.experts, torch.nn.Parameter(torch.ones(12))

        def forward(self, x):
            _, gates, chosen = self.chooser(x[0])
            return self.crew(x[0], chosen, gates)[None] + self.output_bias

    renamed = Renamed()
    again = record_layer(renamed, x, "hf.qwen3_moe", router="chooser", experts=renamed.crew, tensors={"experts.output_bias": renamed.output_bias})
    assert torch.equal(again.tensors["claim.gate"], case.tensors["claim.gate"]) and torch.equal(again.tensors["claim.y"], case.tensors["claim.y"] + 1)
    assert "claim.grad.experts.output_bias" in again.tensors

    def says(text, block, **more):
        try:
            record_layer(block, x, "hf.qwen3_moe", **more)
        except ValueError as error:
            assert text in str(error) and "\n" not in str(error), str(error)
        else:
            raise AssertionError(f"recorded, where it should say: {text}")

    says("has no router that can be recognised (looked for gate, router,", renamed)
    says("pass experts= with the module or its name", renamed, router="chooser")
    says("Renamed holds output_bias, which has no name in a case here", renamed, router="chooser", experts="crew")
    says("router='gat' names no submodule of Renamed; it has chooser, crew", renamed, router="gat")
    says("record mlp of it, or pass router=", torch.nn.ModuleDict({"mlp": block}))
    unknown = torch.nn.Module()
    unknown.proj = torch.nn.Linear(12, 12, bias=False)
    says("holds proj.weight; looked for gate_up_proj and down_proj", block, experts=unknown)
    jitters = standins.ListBlock()
    jitters.jitter_noise = 0.01
    says("multiplies its input by random numbers in training, which a hook cannot see; call eval() first", jitters.train())


def faults(folder, torch, standins, record_layer):
    """File names begin with the stage that must differ first, and every stage before it agrees."""
    x = torch.randn(2, 20, 12, generator=torch.Generator().manual_seed(3))

    class SwappedExperts(standins.PackedExperts):
        def forward(self, hidden_states, top_k_index, top_k_weights):
            half = self.gate_up_proj.shape[1] // 2
            both = torch.cat([self.gate_up_proj[:, half:], self.gate_up_proj[:, :half]], 1)
            return standins.spread(hidden_states, top_k_index, top_k_weights, lambda e, v: standins.linear(
                torch.nn.functional.silu(standins.linear(v, both[e][:half])) * standins.linear(v, both[e][half:]), self.down_proj[e]))

    class NoBias(standins.GptOssRouter):
        def forward(self, hidden_states):
            logits = hidden_states.reshape(-1, hidden_states.shape[-1]) @ self.weight.T
            best, chosen = logits.topk(self.top_k, dim=-1)
            return logits, best.softmax(-1), chosen

    class Biased(standins.DeepseekBlock):
        def route_tokens_to_experts(self, router_logits):
            chosen, _ = super().route_tokens_to_experts(router_logits)
            gates = (router_logits.sigmoid() + self.gate.e_score_correction_bias).gather(1, chosen)
            return chosen, gates / gates.sum(-1, keepdim=True) * self.routed_scaling_factor

    def seeded(make):
        torch.manual_seed(4)
        return make()

    swapped = seeded(standins.SoftmaxBlock)
    swapped.experts.__class__ = SwappedExperts
    no_bias = seeded(standins.GptOssBlock)
    no_bias.router.__class__ = NoBias
    undivided = seeded(lambda: standins.SoftmaxBlock(norm_topk_prob=False))
    forgotten = seeded(lambda: standins.SoftmaxBlock(norm_topk_prob=False, shared=True))
    forgotten.shared_expert.forward = lambda v: torch.zeros_like(v)
    list_undivided = seeded(lambda: standins.ListBlock(norm_topk_prob=False))
    planted = {
        "y-gate-and-up-swapped": ("hf.qwen3_moe", swapped),
        "gate-not-divided": ("hf.mixtral", undivided),
        "gate-not-divided-4": ("hf.mixtral", list_undivided),
        "logits-without-bias": ("hf.gpt_oss", no_bias),
        "gate-with-correction-bias": ("hf.deepseek_v3", seeded(Biased)),
        "y-shared-expert-forgotten": ("hf.qwen2_moe", forgotten),
    }
    for name, (dialect, block) in planted.items():
        record_layer(block.eval(), x, dialect, path=os.path.join(folder, f"{name}.safetensors"))


def check(command, folder, right):
    """Every right case agrees (bfloat16: ties may stay open); each of the others differs first where its name says."""
    answer = subprocess.run([*command, "check", "--json", folder], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == len(os.listdir(folder)), answer.stdout + answer.stderr
    for line in lines:
        name = os.path.basename(line["file"])
        if right:
            claimed = {stage: verdict for stage, verdict in line.get("stages", {}).items() if verdict != "not claimed"}
            assert line.get("verdict") in ("agrees", "undecided")[:1 + ("-bf16" in name)] and len(claimed) > 5, line
        else:
            assert line.get("verdict") == "differs" and line["stage"] == name.split("-", maxsplit=1)[0], line
    return len(lines)


def main(folder, command):
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed here; nothing was recorded")
        return
    import standin_forms
    import standins
    from moe_record import record_layer

    right, wrong, reduced = (os.path.join(folder, name) for name in ("right", "wrong", "small"))
    for path in (right, wrong, reduced):
        os.makedirs(path, exist_ok=True)
    record_all(right, torch, standins, record_layer, RIGHT)
    record_all(right, torch, standin_forms, record_layer, FORMS)
    other_ways(torch, standins, record_layer)
    small(reduced, torch, standins, standin_forms, record_layer)
    readme(reduced, torch, standins)
    faults(wrong, torch, standins, record_layer)
    if command:
        print(f"{check(command, right, True) + check(command, reduced, True)} recorded blocks agree, {check(command, wrong, False)} planted faults are found")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("test_moe_record.py: name a folder to write to")
    main(sys.argv[1], sys.argv[2:])
