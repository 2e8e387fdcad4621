using SparseExperts.Cpu;
using SparseExperts.Models;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary>The backends that the command can name.</summary>
static class BackendCatalog
{
    public static IReadOnlyList<(string Name, string Purpose, Func<int, IBackend> Create)> All { get; } =
    [
        ("cpu", "SIMD kernels, bit-reproducible; the default", threads => new CpuBackend(threads)),
        ("scalar", "the definition in plain loops: the same bits, hundreds of times slower", _ => new ScalarBackend<Float32>()),
        ("scalar-double", "the definition in double precision: the arbiter", _ => new ScalarBackend<Float64>()),
    ];

    public static IBackend Create(string name, int threads)
    {
        if (threads is < 0 or > 1024) throw new ConfigurationException($"--threads {threads}: between 1 and 1024, or 0 for one a processor");
        foreach (var backend in All)
            if (backend.Name == name) return backend.Create(threads);
        throw new ConfigurationException($"--backend {name}: unknown; choose one of {string.Join(", ", All.Select(b => b.Name))}");
    }
}
