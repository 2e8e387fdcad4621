using System.CommandLine;
using SparseExperts.Oracle;

namespace SparseExperts.Cli;

/// <summary><c>--format</c>: to which format's rounding numbers are held.</summary>
sealed class FormatOption
{
    public Option<string?> Option { get; } = new("--format")
    {
        Description = "auto, f32, bf16 or f16: whose rounding the numbers are held to. "
            + "auto (default): float32, and where that does not explain a claim, the narrower format that all its numbers are of.",
    };

    /// <summary>That a case was held to a narrower format, and how to insist on float32.</summary>
    public static string Says(HeldFormat held) => $"{held}; `--format f32` insists";

    /// <exception cref="CaseException">It is none of the four.</exception>
    public FormatChoice Read(ParseResult parsed) => parsed.GetValue(Option) switch
    {
        null or "auto" => FormatChoice.Auto,
        "f32" => FormatChoice.Float32,
        "bf16" => FormatChoice.BFloat16,
        "f16" => FormatChoice.Float16,
        var other => throw new CaseException($"--format {other}: choose auto, f32, bf16 or f16"),
    };
}
