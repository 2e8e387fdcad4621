using System.CommandLine;

namespace SparseExperts.Cli;

/// <summary>Options and arguments that several commands share.</summary>
static class CommonOptions
{
    public static Option<int> Threads() => new("--threads") { Description = "Threads; 0 takes one a processor. The numbers do not depend on it.", DefaultValueFactory = _ => 0 };

    public static Option<string> Backend() => new("--backend")
    {
        Description = $"What computes: {string.Join(", ", BackendCatalog.All.Select(b => b.Name))}.",
        DefaultValueFactory = _ => "cpu",
    };

    public static Argument<string> Run() => new("run") { Description = "Folder of a training run." };
}
