using System.CommandLine;
using SparseExperts.Oracle;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary><c>moe probe</c>: inputs on which implementations part ways, for an implementation to fill in.</summary>
static class ProbeCommand
{
    static readonly Argument<string> DialectArgument = new("dialect") { Description = "A built-in dialect (moe dialects lists them), or a JSON file." };
    static readonly Option<string> OutOption = new("--out") { Description = "Folder for the files; it is made where it is missing.", Required = true };
    static readonly Option<string?> ModeOption = new("--mode") { Description = "train or eval alone, instead of both." };
    static readonly Option<bool> NpzOption = new("--npz") { Description = "Write .npz instead of .safetensors." };
    static readonly Option<bool> AnswersOption = new("--answers")
    {
        Description = "Fill in what the dialect computes, for people without an implementation at hand.",
    };
    static readonly Option<bool> ForceOption = new("--force") { Description = "Replace files of the same names." };

    public static Command Create()
    {
        var command = new Command("probe", "Write inputs on which implementations part ways, for an implementation to fill in.")
        {
            DialectArgument, OutOption, ModeOption, NpzOption, AnswersOption, ForceOption,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        var mode = parsed.GetValue(ModeOption);
        if (mode is not (null or "train" or "eval")) throw new CaseException($"--mode {mode}: choose train or eval");
        var dialect = Found.Dialect(parsed.GetValue(DialectArgument)!);
        var folder = parsed.GetValue(OutOption)!;
        if (folder.Length == 0) throw new CaseException("--out: it is empty; name a folder");
        var extension = parsed.GetValue(NpzOption) ? "npz" : "safetensors";
        var probes = Probes.Of(dialect, mode).Select(p => (Probe: p, Path: Path.Combine(folder, $"{p.Name}.{extension}"))).ToArray();
        if (!parsed.GetValue(ForceOption) && probes.FirstOrDefault(p => File.Exists(p.Path)) is { Path: { } taken })
            throw new CaseException($"{taken}: is there already, and may hold an implementation's claims; choose another --out, or --force to replace it");

        // All is computed before anything is written.
        using var backend = new ScalarBackend<Float32>();
        if (parsed.GetValue(AnswersOption))
            probes = [.. probes.Select(p => (p.Probe with { Case = CaseAnswers.Fill(p.Probe.Case, backend) }, p.Path))];
        Directory.CreateDirectory(folder);
        foreach (var (probe, path) in probes)
        {
            probe.Case.Save(path);
            Console.WriteLine($"{path}  {probe.Decides}");
        }
        return ExitCode.Ok;
    }
}
