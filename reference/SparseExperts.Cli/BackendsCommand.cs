using System.CommandLine;
using SparseExperts.Cpu;

namespace SparseExperts.Cli;

/// <summary><c>moe backends</c>: what can compute here.</summary>
static class BackendsCommand
{
    public static Command Create()
    {
        var command = new Command("backends", "List the backends of this machine.");
        command.SetAction(_ =>
        {
            foreach (var (name, purpose, create) in BackendCatalog.All)
            {
                using var backend = create(0);
                Console.WriteLine($"{name,-14} {backend.Info.Device}; {backend.Info.Precision}; {backend.Info.Threads} thread{(backend.Info.Threads == 1 ? "" : "s")}\n{"",-14} {purpose}");
            }
            Console.WriteLine($"SIMD level: {CpuBackend.SimdLevel}");
            return ExitCode.Ok;
        });
        return command;
    }
}
