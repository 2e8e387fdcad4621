using System.CommandLine;
using System.Globalization;
using SparseExperts.Formats;

namespace SparseExperts.Cli;

/// <summary>
/// Exit codes of the command (README); where several files have several, the highest. A run that a signal stopped gives 128 plus the signal's number, so 130
/// for Ctrl-C.
/// </summary>
static class ExitCode
{
    public const int Ok = 0, Differs = 1, BadInput = 2, NoDevice = 3, OwnFault = 70;
}

/// <summary>Runs a command; whatever it throws becomes one line and an exit code (<see cref="Failure"/>).</summary>
static class CommandRunner
{
    static readonly Option<bool> DebugOption = new("--debug") { Description = "Show the trace of what went wrong.", Recursive = true };

    public static int Run(RootCommand root, string[] args)
    {
        root.Add(DebugOption);
        try
        {
            var parsed = root.Parse(args);
            Failure.Debug = parsed.GetValue(DebugOption);
            Console.SetError(new VisibleWriter(Console.Error));
            // The live display of a training draws with what others must not.
            if (parsed.CommandResult.Command.Name != "train") Console.SetOut(new VisibleWriter(Console.Out));
            if (parsed.UnmatchedTokens.Count > 0) return Refuse($"'{parsed.UnmatchedTokens[0]}' is no command or option; see moe --help");
            if (parsed.Errors.Count > 0) return Refuse($"{parsed.Errors[0].Message.TrimEnd('.')}; see moe {Prefix(parsed.CommandResult.Command)}--help");
            return parsed.Invoke(new() { EnableDefaultExceptionHandler = false });
        }
        catch (Exception e)
        {
            return Failure.Of(e).Print();
        }
    }

    static string Prefix(Command command) => command.Name == "moe" ? "" : command.Name + " ";

    static int Refuse(string line) => new Failure(ExitCode.BadInput, line).Print();

    /// <summary>A message without line breaks and without anything that a terminal would obey: parts of it come from files.</summary>
    public static string OneLine(string message) => string.Concat(message.ReplaceLineEndings(" ")
        .Select(c => char.IsControl(c) || char.GetUnicodeCategory(c) == UnicodeCategory.Format ? '?' : c));
}
