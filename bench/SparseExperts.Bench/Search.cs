using System.Diagnostics;
using System.Globalization;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Bench;

/// <summary>The default preset against its neighbours: equal time each, one change at a time.</summary>
static class Search
{
    public static void Run(double minutes)
    {
        ModelConfig model = new();
        TrainingConfig training = new() { Minutes = minutes };
        (string Change, ModelConfig Model, TrainingConfig Training)[] candidates =
        [
            ("width 64, 3 layers, 16 experts, 16 × 128 bytes, rate 3e-3", model, training),
            ("32 experts", model with { Experts = 32 }, training),
            ("rate 5e-3", model, training with { Rate = 5e-3 }),
            ("rate 2e-3", model, training with { Rate = 2e-3 }),
            ("batch 8", model, training with { Batch = 8 }),
            ("batch 32", model, training with { Batch = 32, Rate = 4e-3 }),
            ("width 48", model with { Width = 48, Hidden = 192 }, training),
            ("width 96", model with { Width = 96, Hidden = 384 }, training),
            ("4 layers", model with { Layers = 4 }, training),
            ("context 256, batch 8", model with { Context = 256 }, training with { Batch = 8 }),
            ("relu", model with { Activation = Activation.Relu }, training),
        ];
        var time = minutes.ToString(CultureInfo.InvariantCulture);
        Console.WriteLine($"Held-out bits/byte after {time} minutes on {Environment.ProcessorCount} processors, seed 0.\n");
        Console.WriteLine("| candidate | bytes/s | held-out bits/byte |");
        Console.WriteLine("|---|---|---|");
        foreach (var (change, candidate, recipe) in candidates)
        {
            using var backend = new CpuBackend();
            var trainer = new Trainer(backend, candidate, recipe);
            var text = ByteText.Load(Path.Combine(AppContext.BaseDirectory, "data", "austen.txt"), candidate.Context);
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed.TotalMinutes < minutes) trainer.Train(text, clock.Elapsed.TotalMinutes / minutes, false);
            var speed = trainer.Step * recipe.Batch * candidate.Context / clock.Elapsed.TotalSeconds;
            var heldOut = Evaluation.Run(trainer, text.HeldOut).BitsPerByte;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {change} | {speed:N0} | {heldOut:F3} |"));
        }
    }
}
