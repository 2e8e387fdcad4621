using System.CommandLine;

namespace SparseExperts.Cli;

/// <summary>Options and arguments that several commands share.</summary>
static class CommonOptions
{
    public static Option<int> Threads() => new("--threads")
    {
        Description = "Threads; 0 takes one a processor. The numbers do not depend on it.",
        DefaultValueFactory = _ => 0,
    };

    public static Option<string> Backend() => new("--backend")
    {
        Description = $"What computes: {string.Join(", ", BackendCatalog.Names())}.",
        DefaultValueFactory = _ => "cpu",
    };

    public static Option<Precision> Precision()
    {
        var option = new Option<Precision>("--precision")
        {
            Description = "Products: exact (the CPU's bits), or by a vendor's library in float32 (f32) or with factors rounded to tf32 or bf16. "
                + "Routers stay exact.",
            DefaultValueFactory = _ => SparseExperts.Precision.Exact,
        };
        return option.AcceptOnlyFromAmong([.. Enum.GetValues<Precision>().Select(p => p.Text())]);
    }

    public static Option<string?> Plugins() => new("--plugins")
    {
        Description = "Folder with more backends, a folder each, besides those in plugins/ beside the program.",
    };

    public static Option<bool> Profile() => new("--profile")
    {
        Description = "Count and time every call of the backend, by layer and op; prints tables and writes profile.json to the run folder. "
            + "Waits for each call, so steps take longer.",
    };

    public static Argument<string> Run() => new("run") { Description = "Folder of a training run." };
}
