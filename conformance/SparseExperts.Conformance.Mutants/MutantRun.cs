using System.Text;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;

namespace SparseExperts.Conformance.Mutants;

/// <summary>What became of a mutant: how the suite saw it, or null where it survived.</summary>
public sealed record MutantResult(Mutant Mutant, string? Killed, int Cases);

/// <summary>Runs mutants on the cases of their kernels.</summary>
public static class MutantRun
{
    /// <summary>Files of kernels that no card reaches: those that plan, whose definition is the host's engine, and those of groups that a plan made.</summary>
    static readonly string[] BeyondCards = ["routing.ptx", "padded.ptx"];

    /// <summary>Up to so many mutants of every kernel that cards reach, or of those that are named, drawn with a seed.</summary>
    public static IEnumerable<Mutant> Draw(IReadOnlyCollection<string> kernels, int perKernel, int seed) =>
        from file in Files.Where(f => kernels.Count > 0 || !BeyondCards.Contains(f)).Select(f => Mutations.Of(f, Text(f)).ToArray())
        from kernel in file.GroupBy(m => m.Kernel)
        where kernels.Count == 0 || kernels.Contains(kernel.Key)
        from mutant in Drawn([.. kernel], perKernel, seed)
        select mutant;

    public static MutantResult Run(Mutant mutant, KernelCases cases)
    {
        var own = cases.Of(mutant.Kernel);
        Dictionary<int, CudaBackend> backends = [];
        try
        {
            for (var i = 0; i < own.Count; i++)
            {
                var device = own[i].Multiprocessors;
                if (!backends.TryGetValue(device, out var backend)) backends[device] = backend = Planted(mutant, device);
                if (own[i].Fault(backend) is { } fault) return new(mutant, $"{own[i].Card}: {fault}", i + 1);
            }
            return new(mutant, null, own.Count);
        }
        finally
        {
            foreach (var backend in backends.Values) backend.Dispose();
        }
    }

    /// <summary>A device with the mutant in the place of its kernel.</summary>
    public static CudaBackend Planted(Mutant mutant, int multiprocessors, Precision precision = Precision.Exact) => new(
        new EmulatedDriver(KernelCases.Options(multiprocessors) with { Rewrite = (file, text) => file == mutant.File ? mutant.Plant(text) : text }),
        precision: precision);

    static IEnumerable<Mutant> Drawn(Mutant[] all, int count, int seed)
    {
        new Random(seed).Shuffle(all);
        return all.Take(count);
    }

    static IEnumerable<string> Files =>
        typeof(CudaBackend).Assembly.GetManifestResourceNames().Where(n => n.EndsWith(".ptx", StringComparison.Ordinal)).Order();

    static string Text(string file)
    {
        using var reader = new StreamReader(typeof(CudaBackend).Assembly.GetManifestResourceStream(file)!, Encoding.ASCII);
        return reader.ReadToEnd();
    }
}
