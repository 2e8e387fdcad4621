using System.CommandLine;
using System.Text.Json;
using SparseExperts.Cpu;

namespace SparseExperts.Cli;

/// <summary><c>moe backends</c>: what can compute here.</summary>
static class BackendsCommand
{
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print one JSON list." };
        var plugins = CommonOptions.Plugins();
        var command = new Command("backends", "List the backends, and whether they can work on this machine.") { plugins, json };
        command.SetAction(parsed =>
        {
            var all = BackendCatalog.All(parsed.GetValue(plugins)).Select(b => (Backend: b, Probe: b.Probe())).ToList();
            if (parsed.GetValue(json))
            {
                Console.WriteLine(JsonSerializer.Serialize(all.Select(b => new
                {
                    name = b.Backend.Name,
                    version = b.Backend.Version,
                    precisions = b.Backend.Provider?.Precisions.Select(p => p.Text()) ?? [],
                    available = b.Probe.IsAvailable,
                    why = CommandRunner.OneLine(b.Probe.Why),
                })));
                return ExitCode.Ok;
            }
            foreach (var (backend, probe) in all)
            {
                Console.WriteLine($"{backend.Name,-14} {(probe.IsAvailable ? "" : "not here: ")}{CommandRunner.OneLine(probe.Why)}");
                if (backend.Provider is not { } provider) continue;
                Console.WriteLine($"{"",-14} {provider.Purpose}");
                Console.WriteLine($"{"",-14} precisions: {string.Join(", ", provider.Precisions.Select(p => p.Text()))}");
            }
            Console.WriteLine($"SIMD level: {CpuBackend.SimdLevel}");
            return ExitCode.Ok;
        });
        return command;
    }
}
