using System.Diagnostics;
using System.Globalization;
using SparseExperts.Conformance.Mutants;

namespace SparseExperts.Bench;

/// <summary><c>mutants</c>: one instruction of the GPU's kernels changed at a time, and how many of the changes the cards' cases see.</summary>
static class MutantTable
{
    public static void Run(string[] kernels, int perKernel, int seed, int every)
    {
        var clock = Stopwatch.StartNew();
        var cases = new KernelCases(every, kernels);
        List<MutantResult> all = [];
        Console.WriteLine($"{"kernel",-26} {"killed",7} {"of",5}");
        foreach (var kernel in MutantRun.Draw(kernels, perKernel, seed).GroupBy(m => m.Kernel))
        {
            var results = kernel.Select(m => MutantRun.Run(m, cases)).ToArray();
            all.AddRange(results);
            Console.WriteLine($"{kernel.Key,-26} {results.Count(r => r.Killed is not null),7} {results.Length,5}");
        }
        foreach (var survivor in all.Where(r => r.Killed is null)) Console.WriteLine($"survived {survivor.Cases} cases: {survivor.Mutant}");
        foreach (var kind in all.GroupBy(r => r.Mutant.What).OrderBy(g => g.Key))
            Console.WriteLine($"{kind.Key,-26} {kind.Count(r => r.Killed is not null),7} {kind.Count(),5}");
        var killed = all.Count(r => r.Killed is not null);
        var share = 100.0 * killed / Math.Max(1, all.Count);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{killed} of {all.Count} killed, {share:F1} %, {clock.Elapsed.TotalSeconds:F0} s"));
    }
}
