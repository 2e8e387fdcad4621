using System.Text.Json.Nodes;
using SparseExperts.Data;
using SparseExperts.Formats;
using SparseExperts.Models;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Runs;

namespace SparseExperts.Cli;

/// <summary>
/// What went wrong, as one line and an exit code: bad input is 2, a device that is missing or failed is 3, what nobody foresaw is a fault of this program,
/// 70, and its trace is shown with <c>--debug</c>.
/// </summary>
sealed record Failure(int Code, string Line, Exception? Cause = null)
{
    /// <summary>Whether traces are shown.</summary>
    public static bool Debug { get; set; }

    /// <summary>Names of the options of the command that runs: a remedy names no other; null where none runs.</summary>
    public static IReadOnlySet<string>? Options { get; set; }

    public static Failure Of(Exception e) => e switch
    {
        ConfigurationException or DataException or RunException or InvalidFileException or RoutingException or DialectException or CaseException
            or ShapeException => new(ExitCode.BadInput, Message(e), e),
        DeviceFaultException => new(ExitCode.NoDevice, e.Message, e),
        OutputException => new(ExitCode.BadInput, $"standard output cannot be written ({e.Message.TrimEnd('.')}); send it elsewhere, or free its disk", e),
        IOException or UnauthorizedAccessException =>
            new(ExitCode.BadInput, $"{FileTrouble.Line(e)}; check the path, its permissions and the free space", e),
        // What EFBIG becomes.
        ArgumentOutOfRangeException { TargetSite.DeclaringType: var place } when place == typeof(RandomAccess) =>
            new(ExitCode.BadInput, "a file would become larger than files may be here; raise the limit (ulimit -f), or name another place", e),
        OutOfMemoryException => new(ExitCode.BadInput, "the memory of this machine, or what it allows this program, is too small; choose less", e),
        _ => new(ExitCode.OwnFault, $"a fault of this program ({e.GetType().Name}: {e.Message}); please report it as CONTRIBUTING.md says, "
            + "with the command, its input and what --debug adds", e),
    };

    /// <summary>The failure of a file, which its line names.</summary>
    public Failure In(string file) => Line.Contains(Path.GetFileName(file), StringComparison.Ordinal) ? this : this with { Line = $"{file}: {Line}" };

    /// <summary>The higher of two exit codes decides: 70, 3, 2, 1, 0.</summary>
    public static int Worst(IEnumerable<int> codes) => codes.DefaultIfEmpty(ExitCode.Ok).Max();

    /// <summary>On standard error, if there is one.</summary>
    public int Print()
    {
        try
        {
            Console.Error.WriteLine($"moe: {CommandRunner.OneLine(Line)}");
            if (Debug && Cause is not null) Console.Error.WriteLine(Cause);
        }
        catch (IOException)
        {
            // Nobody can be told: the code has to do.
        }
        return Code;
    }

    public JsonObject ToJson(string file) => new() { ["file"] = file, ["error"] = CommandRunner.OneLine(Line) };

    /// <summary>What the library says, in the words of the command: it speaks of settings, people type options.</summary>
    static string Message(Exception e) => e switch
    {
        INamesSettings named when OptionsOf(named) is { Length: > 0 } options => $"{e.Message} ({string.Join(", ", options)})",
        DialectException { IsUnknownName: true } => $"{e.Message}; moe dialects lists all",
        _ => e.Message,
    };

    static string[] OptionsOf(INamesSettings named) => [.. named.Settings.Select(s => $"--{s}").Where(o => Options?.Contains(o) != false)];
}
