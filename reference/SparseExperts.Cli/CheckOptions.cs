using System.CommandLine;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary>What a case file is held to: itself, or another dialect, mode or value of an axis.</summary>
sealed class CheckOptions
{
    readonly Option<string?> _dialect = new("--dialect") { Description = "Hold the files to this dialect instead of the one they name." };
    readonly Option<string?> _mode = new("--mode") { Description = "train or eval, instead of what the files say." };
    readonly Option<string[]> _set = new("--set") { Description = "Set an axis: key=value. Can be given several times." };

    public FormatOption Format { get; } = new();

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_dialect, _mode, _set, Format.Option]) command.Add(option);
    }

    /// <summary>How to read a file; bad options are refused here, before any file is opened.</summary>
    public Func<string, Case> Reader(ParseResult parsed)
    {
        var mode = parsed.GetValue(_mode);
        if (mode is not (null or "train" or "eval")) throw new CaseException($"--mode {mode}: choose train or eval");
        var dialect = parsed.GetValue(_dialect) is { } name ? Found.Dialect(name) : null;
        (DialectAxis Axis, string Value)[] settings = [.. (parsed.GetValue(_set) ?? []).Select(Setting)];
        return file =>
        {
            var read = Found.Case(file);
            read.RequireClaims();
            if (dialect is not null) read = read.HeldTo(dialect, mode);
            else if (mode is not null) read = read.Under(read.Dialect, mode);
            foreach (var (axis, value) in settings) read = read.Under(axis.With(read.Dialect, value, $"--set {axis.Name}"), read.Mode);
            return read;
        };
    }

    static (DialectAxis, string) Setting(string text)
    {
        var at = text.IndexOf('=');
        if (at <= 0) throw new CaseException($"--set {text}: write key=value");
        var key = text[..at];
        if (DialectFile.AxisOf(key) is { } axis) return (axis, text[(at + 1)..]);
        var near = string.Join(", ", BuiltIn.Nearest(key, DialectAxis.All.Select(a => a.Name)));
        throw new DialectException($"--set {key}: no such axis; near it are {near}");
    }

    /// <summary>The case as it was held, and the verdict with its sentence.</summary>
    public static FormatCheck Judge(Case read, FormatChoice format)
    {
        var (held, verdict) = FormatCheck.Run(read, format, () => new ScalarBackend<Tracked>());
        return new(held, Causes.On(held, verdict, () => new ScalarBackend<Tracked>()));
    }
}
