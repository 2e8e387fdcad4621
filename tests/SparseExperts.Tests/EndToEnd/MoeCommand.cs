using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>
/// The command as a user runs it: arguments, an exit code and two streams. Calls that only their answer matters of share processes
/// (<see cref="MoeWorker"/>); what is about processes (environment, signals, locks, kills, threads, bits of another process) has one for itself.
/// </summary>
static partial class MoeCommand
{
    public sealed record Result(int ExitCode, string Output, string Error);

    public static Result Run(params string[] arguments) => MoeWorker.Run(arguments);

    /// <summary>In a process of its own.</summary>
    public static Result RunAlone(string[] arguments, params (string Name, string Value)[] environment)
    {
        using var process = Start(arguments, environment);
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new(process.ExitCode, output, error.Result);
    }

    public static Process Start(string[] arguments, params (string Name, string Value)[] environment) =>
        StartProcess("dotnet", [Moe, .. arguments], environment: environment);

    /// <summary>One that obeys signals, even where whoever runs the tests ignores them, as a shell does for what it runs in the background.</summary>
    public static Process StartToBeStopped(string[] arguments) =>
        StartProcess("env", ["--default-signal=HUP,INT,TERM", "dotnet", Moe, .. arguments]);

    static string Moe => Path.Combine(AppContext.BaseDirectory, "moe.dll");

    public static Process StartProcess(string command, string[] arguments, bool input = false, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(command, arguments) { RedirectStandardInput = input, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DOTNET_TieredPGO"] = "0";        // which pays only in longer runs
        foreach (var (name, value) in environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>SIGINT, as Ctrl-C sends it.</summary>
    public static void Interrupt(Process process) => Signal(process, 2);

    public static void Signal(Process process, int signal) => Kill(process.Id, signal);

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}

/// <summary>A folder of its own with a small text, gone at the end.</summary>
sealed class Workspace : IDisposable
{
    /// <param name="lines">Of the text; a tenth of it is held out.</param>
    public Workspace(int lines = 60)
    {
        Folder = Directory.CreateTempSubdirectory("sparse-experts-").FullName;
        TextPath = Path.Combine(Folder, "text.txt");
        var line = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.\n";
        File.WriteAllText(TextPath, string.Concat(Enumerable.Range(0, lines).Select(i => $"{i}. {line}")));
    }

    public string Folder { get; }
    public string TextPath { get; }
    public string At(string name) => Path.Combine(Folder, name);

    /// <summary>Arguments of a training of seconds.</summary>
    public string[] Tiny(string run, params string[] more)
    {
        string[] threads = more.Contains("--threads") ? [] : ["--threads", "1"];
        return ["train", "--preset", "tiny", "--text", TextPath, "--out", At(run), .. more, .. threads];
    }

    /// <summary>A copy of a run of another workspace.</summary>
    public void Take(Workspace from, string run)
    {
        foreach (var folder in Directory.GetDirectories(from.At(run), "*", SearchOption.AllDirectories).Prepend(from.At(run)))
        {
            var to = Directory.CreateDirectory(Path.Combine(Folder, Path.GetRelativePath(from.Folder, folder))).FullName;
            foreach (var file in Directory.GetFiles(folder)) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }

    /// <summary>SHA-256 over every file of the newest checkpoint.</summary>
    public string CheckpointHash(string run, string pattern = "*")
    {
        var newest = Directory.GetDirectories(At($"{run}/checkpoints"), pattern).Order(StringComparer.Ordinal).Last();
        var files = Directory.GetFiles(newest).Order(StringComparer.Ordinal);
        var all = files.SelectMany(f => Encoding.UTF8.GetBytes(Path.GetFileName(f)).Concat(File.ReadAllBytes(f)));
        return Path.GetFileName(newest) + " " + Convert.ToHexString(SHA256.HashData([.. all]));
    }

    public void Dispose() => Directory.Delete(Folder, true);
}
