using System.CommandLine;
using System.Globalization;
using SparseExperts.Data;
using SparseExperts.Formats;
using SparseExperts.Models;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Runs;

namespace SparseExperts.Cli;

/// <summary>Exit codes of the command (README); a run that a signal stopped gives 128 plus the signal's number, so 130 for Ctrl-C.</summary>
static class ExitCode
{
    public const int Ok = 0, Differs = 1, BadInput = 2, NoDevice = 3, OwnFault = 70;
}

/// <summary>
/// Bad input is one line on standard error and exit code 2, a device that is missing or failed one line and exit code 3; what nobody foresaw is a fault
/// of this program, told with its trace and exit code 70.
/// </summary>
static class CommandRunner
{
    public static int Run(RootCommand root, string[] args)
    {
        var parsed = root.Parse(args);
        if (parsed.UnmatchedTokens.Count > 0) return Refuse($"'{parsed.UnmatchedTokens[0]}' is no command or option; see moe --help");
        if (parsed.Errors.Count > 0)
        {
            var command = parsed.CommandResult.Command.Name is "moe" ? "moe" : $"moe {parsed.CommandResult.Command.Name}";
            return Refuse($"{parsed.Errors[0].Message.TrimEnd('.')}; see {command} --help");
        }
        try
        {
            return parsed.Invoke(new() { EnableDefaultExceptionHandler = false });
        }
        catch (Exception e) when (IsOfInput(e))
        {
            return Refuse(Message(e));
        }
        catch (DeviceFaultException e)
        {
            return Refuse(e.Message, ExitCode.NoDevice);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Refuse($"{e.Message.TrimEnd('.')}; check the path, its permissions and the free space");
        }
        catch (Exception e)
        {
            Console.Error.WriteLine($"moe: a fault of this program; please report it with the command and its input\n{e}");
            return ExitCode.OwnFault;
        }
    }

    /// <summary>What the library says, in the words of the command: it speaks of settings, people type options.</summary>
    public static string Message(Exception e) => e switch
    {
        INamesSettings { Settings.Count: > 0 } named => $"{e.Message} ({string.Join(", ", named.Settings.Select(s => $"--{s}"))})",
        DialectException { IsUnknownName: true } => $"{e.Message}; moe dialects lists all",
        _ => e.Message,
    };

    static int Refuse(string line, int code = ExitCode.BadInput)
    {
        Console.Error.WriteLine($"moe: {OneLine(line)}");
        return code;
    }

    /// <summary>Whether what was asked for is at fault, and not this program.</summary>
    static bool IsOfInput(Exception e) => e is
        ConfigurationException or DataException or RunException or InvalidFileException or
        RoutingException or DialectException or CaseException or ShapeException;

    /// <summary>A message without line breaks and without anything that a terminal would obey: parts of it come from files.</summary>
    public static string OneLine(string message)
    {
        static bool IsHidden(char c) => char.IsControl(c) || char.GetUnicodeCategory(c) == UnicodeCategory.Format;
        return string.Concat(message.ReplaceLineEndings(" ").Select(c => IsHidden(c) ? '?' : c));
    }
}
