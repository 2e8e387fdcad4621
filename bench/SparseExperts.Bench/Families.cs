using System.Globalization;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Training;

namespace SparseExperts.Bench;

/// <summary>One router of every family on the same small model, the same bytes and the same number of steps: the README's table.</summary>
static class Families
{
    static readonly string[] Representatives =
    [
        "mesh.switch", "mesh.ntlb", "mesh.top_2", "lingvo.top2", "flax.tokens_choose_masked",
        "vmoe.top_experts_per_item", "hf.switch.v4", "luc.st_moe", "deepspeed.topk", "tutel.topk",
        "fastmoe.gshard", "megablocks.dropless", "megatron.topk", "torchtitan.topk", "hf.mixtral",
        "hf.deepseek_v3", "t2t.noisy_topk", "remoe.relu", "hetu.k_top_1", "roller.hash", "thor.random",
        "clark.rl_r", "dts.gumbel", "dselect_k.per_example", "speechmoe.top1", "demix.domain",
        "mmoe.softmax", "eigen.mixture", "megatron.sinkhorn", "fairseq.base", "zhou.expert_choice",
        "vmoe.soft",
    ];

    public static void Run(int steps, int threads, int atOnce)
    {
        var rows = new Dictionary<string, string>();
        AtOnce.Each(Representatives, atOnce, name => Row(name, steps, threads), rows.Add);
        var count = steps.ToString("N0", CultureInfo.InvariantCulture);
        Console.WriteLine($"Held-out bits/byte after {count} steps of 16 × 128 bytes; width 32, 2 layers, 8 experts, seed 0.\n");
        Console.WriteLine("| dialect | held-out bits/byte | dropped at the end | later tokens decide | parameters |");
        Console.WriteLine("|---|---|---|---|---|");
        foreach (var name in Representatives) Console.WriteLine(rows[name]);
    }

    static string Row(string name, int steps, int threads)
    {
        var dialect = BuiltIn.Named(name);
        using var backend = new CpuBackend(threads);
        var model = new ModelConfig { Width = 32, Hidden = 128, Layers = 2, Experts = 8, Dialect = dialect };
        var trainer = new Trainer(backend, model, new() { Steps = steps });
        var text = ByteText.Load(Path.Combine(AppContext.BaseDirectory, "data", "austen.txt"), model.Context);
        StepResult? last = null;
        for (var step = 0; step < steps; step++) last = trainer.Train(text, (double)step / steps, details: step == steps - 1);
        var heldOut = Evaluation.Run(trainer, text.HeldOut).BitsPerByte;
        var ahead = dialect.Causality == Causality.LooksAhead ? "yes" : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"| {name} | {heldOut:F3} | {last!.DropRates.Average():P1} | {ahead} | {trainer.Model.ParameterCount:N0} |");
    }
}
