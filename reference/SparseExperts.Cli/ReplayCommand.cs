using System.CommandLine;
using SparseExperts.Oracle;
using SparseExperts.Scalar;

namespace SparseExperts.Cli;

/// <summary><c>moe replay</c>: one engine's routes forced on another's scores.</summary>
static class ReplayCommand
{
    static readonly Argument<string> FileArgument = new("file") { Description = "Case file whose tokens, router and experts are used." };
    static readonly Option<string> RoutesOption = new("--routes") { Description = "Case file whose claim.expert (and claim.slot) is forced.", Required = true };
    static readonly Option<string> OutOption = new("--out")
    {
        Description = "Case file to write: the same inputs, with what they give on those routes as claims.",
        Required = true,
    };
    static readonly Option<bool> ForceOption = new("--force") { Description = "Replace a file of that name." };

    public static Command Create()
    {
        var command = new Command("replay", "Force recorded routes, and recompute gates, outputs and losses from the full scores at those experts.")
        {
            FileArgument, RoutesOption, OutOption, ForceOption,
        };
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        var path = parsed.GetValue(OutOption)!;
        if (path.Length == 0) throw new CaseException("--out: it is empty; name a file");
        if (File.Exists(path) && !parsed.GetValue(ForceOption))
            throw new CaseException($"{path}: is there already; choose another --out, or --force to replace it");
        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path)))) throw new CaseException($"{path}: its folder does not exist; make it first");
        Case asked = Found.Case(parsed.GetValue(FileArgument)!), routes = Found.Case(parsed.GetValue(RoutesOption)!);
        using var exact = new ScalarBackend<Float32>();
        using var backend = new ScalarBackend<Tracked>();
        var replayed = CaseAnswers.Replay(asked, routes, exact);
        List<string> lines = [path];
        string Changed(Case other) => RouteComparison.Of("", replayed, other, backend).Changed();
        if (routes.Has("x") || routes.Has("claim.logits")) lines.Add($"against the forced routes' own file: {Changed(routes)}");
        if (asked.Has("claim.expert")) lines.Add($"against what the file claimed before: {Changed(asked)}");
        replayed.Save(path);
        lines.ForEach(Console.WriteLine);
        return ExitCode.Ok;
    }
}
