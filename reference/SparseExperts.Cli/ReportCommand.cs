using System.CommandLine;
using System.CommandLine.Parsing;
using SparseExperts.Analysis;
using SparseExperts.Formats;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Runs;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary><c>moe report</c>: a page of a training run, or of the check of a case file.</summary>
static class ReportCommand
{
    static readonly Argument<string> WhatArgument = new("run-or-file") { Description = "Folder of a run, or a case file (.safetensors, .npz)." };
    static readonly Option<string?> OutOption = new("--out")
    {
        Description = "Page to write, for a case file. Default: the file's name with .html, beside it.",
    };
    static readonly CheckOptions HeldTo = new();

    public static Command Create()
    {
        var command = new Command("report", "Write the page of a run, or of the check of a case file.") { WhatArgument, OutOption };
        HeldTo.AddTo(command);
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        var what = parsed.GetValue(WhatArgument)!;
        Console.WriteLine(File.Exists(what) || Path.GetExtension(what) is ".safetensors" or ".npz" ? Check(parsed, what) : Training(parsed, what));
        return ExitCode.Ok;
    }

    static string Training(ParseResult parsed, string folder)
    {
        if (parsed.Tokens.Any(t => t.Type == TokenType.Option && t.Value != "--debug"))
            throw new RunException($"{folder}: options are for case files; the page of a run is its report.html");
        if (TrainingRun.ReadConfig(Found.As(Wanted.Run, folder)).IsImported)
            throw new RunException($"{folder}: was imported and has no training to show; moe evaluate {folder} --text FILE measures it, "
                + $"and a run that moe train --from {folder} makes has a page");
        using var machine = BackendCatalog.Create("cpu", 0);
        using var opened = TrainingRun.Open(folder, _ => machine);
        if (opened.Note is { } note) Console.Error.WriteLine($"warning: {CommandRunner.OneLine(note)}");
        return RunReportBuilder.Write(opened);
    }

    static string Check(ParseResult parsed, string file)
    {
        var path = parsed.GetValue(OutOption) ?? Path.ChangeExtension(file, ".html");
        if (path.Length == 0) throw new CaseException("--out: it is empty; name a page");
        if (Path.GetFullPath(path) == Path.GetFullPath(file)) throw new CaseException($"{path}: is the case file itself; choose another --out for its page");
        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path)))) throw new CaseException($"{path}: its folder does not exist; make it first");
        var format = HeldTo.Format.Read(parsed);
        var (read, verdict) = CheckOptions.Judge(HeldTo.Reader(parsed)(file), format);
        using var backend = new ScalarBackend<Tracked>();
        AtomicFile.WriteText(path, CheckReport.Html(read, verdict, Picture(read, backend)));
        return path;
    }

    /// <summary>Nothing can be drawn of routes that follow from no numbers: logits that are NaN, say, which the verdict names.</summary>
    static CheckPicture? Picture(Case read, ScalarBackend<Tracked> backend)
    {
        try
        {
            return CheckPicture.Of(read, backend);
        }
        catch (RoutingException)
        {
            return null;
        }
    }
}
