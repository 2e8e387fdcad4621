using System.Diagnostics;
using System.Globalization;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Training;

namespace SparseExperts.Bench;

/// <summary>How fast a model writes with kept keys and values, and with every window computed anew: the same bytes, one after the other in one run.</summary>
static class Generate
{
    static readonly (string Name, ModelConfig Model)[] Models =
    [
        ("dense", new() { Experts = 0 }),
        ("default", new()),
        ("hf.mixtral", new() { Dialect = BuiltIn.Named("hf.mixtral") }),
        ("zhou.expert_choice", new() { Dialect = BuiltIn.Named("zhou.expert_choice") }),
    ];

    /// <param name="bytes">Bytes to write; 0 writes until the context is full.</param>
    public static void Run(int steps, int[] contexts, int bytes, int threads)
    {
        Console.WriteLine($"Bytes a second after {steps} training steps, {threads} threads.\n");
        Console.WriteLine("| model | context | bytes written | positions a byte, anew | kept | bytes/s, anew | kept | times |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var (name, small) in Models)
            foreach (var context in contexts)
            {
                using var backend = new CpuBackend(threads);
                var model = small with { Context = context };
                var text = ByteText.Load(Path.Combine(AppContext.BaseDirectory, "data", "austen.txt"), context);
                var trainer = new Trainer(backend, model, new() { Batch = Math.Max(1, 2048 / context), Steps = steps });
                for (var step = 0; step < steps; step++) trainer.Train(text, (double)step / steps, false);

                var prompt = text.HeldOut[..8].ToArray();
                var count = bytes > 0 ? bytes : context - prompt.Length;
                var (anew, slow, all) = Written(trainer, prompt, count, caches: false);
                var (kept, fast, some) = Written(trainer, prompt, count, caches: true);
                if (!anew.AsSpan().SequenceEqual(kept)) throw new InvalidOperationException($"{name}: the cache changes the text");
                double slowRate = count / slow, fastRate = count / fast, allEach = (double)all / count, someEach = (double)some / count;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"| {name} | {context} | {count} | {allEach:F0} | {someEach:F1} | {slowRate:N0} | {fastRate:N0} | {slow / fast:F1} |"));
            }
    }

    static (byte[] Text, double Seconds, long Computed) Written(Predictor predictor, byte[] prompt, int count, bool caches)
    {
        Generation.Continue(predictor, prompt, Math.Min(count, 20), 0.8, 0, 1, caches, out _);
        var clock = Stopwatch.StartNew();
        var text = Generation.Continue(predictor, prompt, count, 0.8, 0, 1, caches, out var computed);
        return (text, clock.Elapsed.TotalSeconds, computed);
    }
}
