using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.RegularExpressions;
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
static partial class CommandRunner
{
    static readonly Option<bool> DebugOption = new("--debug") { Description = "Show the trace of what went wrong.", Recursive = true };

    public static int Run(RootCommand root, string[] args)
    {
        root.Add(DebugOption);
        try
        {
            var parsed = root.Parse(args);
            Failure.Debug = parsed.GetValue(DebugOption);
            Failure.Options = parsed.CommandResult.Command.Options.Select(o => o.Name).ToHashSet();
            Console.SetError(new VisibleWriter(Console.Error));
            // The live display of a training draws with what others must not.
            var draws = parsed.CommandResult.Command.Name == "train";
            if (!draws || Console.IsOutputRedirected) Console.SetOut(new OutputWriter(Console.Out));
            if (!draws) Console.SetOut(new VisibleWriter(Console.Out));
            if (parsed.UnmatchedTokens.Count > 0) return Refuse($"'{parsed.UnmatchedTokens[0]}' is no command or option; see moe --help");
            if (parsed.Errors.Count > 0)
                return Refuse($"{InWords(parsed.Errors[0].Message.TrimEnd('.'))}; see moe {Prefix(parsed.CommandResult.Command)}--help");
            if (Empty(parsed) is { } empty)
                return Refuse($"{empty}: it is empty; give a value, or leave it out; see moe {Prefix(parsed.CommandResult.Command)}--help");
            return parsed.Invoke(new() { EnableDefaultExceptionHandler = false });
        }
        catch (Exception e)
        {
            return Failure.Of(e).Print();
        }
    }

    const string Type = @"'(?:System\.Nullable`1\[)?(.*?)\]?'", Values = @"(?:\. Did you mean one of the following\?\s*(.*))?";

    [GeneratedRegex($"^Cannot parse argument '(.*)' for (?:option|command) '(.*)' as expected type {Type}{Values}$", RegexOptions.Singleline)]
    private static partial Regex Unparsed();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    /// <summary>What the library says of a value that is of another type, without the type's name.</summary>
    static string InWords(string message) => Unparsed().Match(message) is not { Success: true } match ? Spaces().Replace(message, " ")
        : $"{match.Groups[2].Value} {match.Groups[1].Value}: {Wanted(match.Groups[3].Value, match.Groups[4].Value)}";

    static string Wanted(string type, string values) => type switch
    {
        "System.UInt64" or "System.UInt32" => "give a whole number, 0 or more",
        "System.Int32" or "System.Int64" => "give a whole number",
        "System.Double" => "give a number",
        _ => $"choose one of {string.Join(", ", values.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).ToLowerInvariant()}",
    };

    /// <summary>An option or argument that was given nothing, as by a variable that is not set: of texts alone may one be empty.</summary>
    static string? Empty(ParseResult parsed) => parsed.CommandResult.Children.Select(child => child switch
    {
        OptionResult { Option.Name: not ("--prompt" or "--stop") } option when option.Tokens.Any(t => t.Value.Length == 0) => option.Option.Name,
        ArgumentResult argument when argument.Tokens.Any(t => t.Value.Length == 0) => argument.Argument.Name,
        _ => null,
    }).FirstOrDefault(name => name is not null);

    static string Prefix(Command command) => command.Name == "moe" ? "" : command.Name + " ";

    static int Refuse(string line) => new Failure(ExitCode.BadInput, line).Print();

    /// <summary>A message without line breaks and without anything that a terminal would obey: parts of it come from files.</summary>
    public static string OneLine(string message) => string.Concat(message.ReplaceLineEndings(" ")
        .Select(c => char.IsControl(c) || char.GetUnicodeCategory(c) == UnicodeCategory.Format ? '?' : c));
}
