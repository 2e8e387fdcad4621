using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Xunit;

namespace SparseExperts.Tests.Numerics;

/// <summary>Rules about what sources may say.</summary>
public sealed partial class SourceTests
{
    /// <summary>
    /// Places that may call the C library's functions, with the reason: no bit of a checkpoint, of a route, of an output or of a loss comes from them.
    /// </summary>
    static readonly Dictionary<string, string> Allowed = new()
    {
        ["reference/SparseExperts/Analysis/Report/CheckBars.cs"] = "axis of a picture",
        ["reference/SparseExperts/Analysis/Report/ReportRange.cs"] = "axis of a picture",
        ["reference/SparseExperts/Analysis/Report/ReportText.cs"] = "digits to print",
        ["reference/SparseExperts/Analysis/Report/RunReport.cs"] = "a line in a picture",
        ["reference/SparseExperts/Analysis/Report/Svg.cs"] = "a shade in a picture",
        ["reference/SparseExperts/Ops/Widening.cs"] = "bounds of errors",
        ["backends/SparseExperts.Scalar/Disturbed.cs"] = "errors that are drawn within their bounds",
        ["backends/SparseExperts.Scalar/IReal.cs"] = "the double arbiter",
        ["backends/SparseExperts.Scalar/Tracked.cs"] = "bounds of errors",
    };

    /// <summary>Whatever is not exact or rounded once: logarithms, powers, circular and hyperbolic functions, roots but the square one, estimates.</summary>
    const string Inexact = @"Log\w*|Exp\d*(M1)?|Pow|(Sin|Cos|Tan|Asin|Acos|Atan|SinCos)(h|Pi|2)?|Cbrt|RootN|Hypot|\w*Estimate";

    [GeneratedRegex(@"\b(Math|MathF|double|float|Double|Single)\.(" + Inexact + @")\b")]
    private static partial Regex LibraryFunction();

    [GeneratedRegex(@"""[^""\n]*(?<![\w(])--[a-z][a-z-]*[^""\n]*""")]
    private static partial Regex Flag();

    static string Root([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../.."));

    static IEnumerable<(string Name, string Text)> Sources(params string[] folders) =>
        from folder in folders
        from file in Directory.GetFiles(Path.Combine(Root(), folder), "*.cs", SearchOption.AllDirectories)
        let name = Path.GetRelativePath(Root(), file).Replace('\\', '/')
        where !name.Contains("/obj/") && !name.Contains("/bin/")
        orderby name
        select (name, File.ReadAllText(file));

    [Fact]
    public void Only_named_places_call_the_C_library()
    {
        string[] callers = [.. Sources("reference", "backends").Where(s => LibraryFunction().IsMatch(s.Text)).Select(s => s.Name)];
        Assert.Equal(Allowed.Keys.Order(StringComparer.Ordinal), callers.Order(StringComparer.Ordinal));
    }

    /// <summary>CSS variables look like options.</summary>
    [Fact]
    public void The_library_speaks_of_settings_and_not_of_options_of_the_command() =>
        Assert.Empty(from source in Sources("reference", "backends")
                     where !source.Name.StartsWith("reference/SparseExperts.Cli/", StringComparison.Ordinal)
                     from Match match in Flag().Matches(source.Text)
                     where !match.Value.Contains("var(--") && !match.Value.Contains("{--")
                     select $"{source.Name}: {match.Value}");
}
