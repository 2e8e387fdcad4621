using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>
/// A process that runs the command again and again, one call after the other, by its entry point and with streams of its own: what a call takes when nothing
/// has to be loaded and compiled first. A line of JSON asks; what is answered ends with the mark that came with the question.
/// </summary>
sealed class MoeWorker : IDisposable
{
    static readonly ConcurrentBag<MoeWorker> Idle = [];

    readonly Process _process;

    MoeWorker()
    {
        string At(string file) => Path.Combine(AppContext.BaseDirectory, file);
        var tests = typeof(MoeWorker).Assembly.GetName().Name;
        string[] command = ["exec", "--runtimeconfig", At("moe.runtimeconfig.json"), "--depsfile", At($"{tests}.deps.json"), At($"{tests}.dll")];
        _process = MoeCommand.StartProcess("dotnet", command, input: true);
    }

    /// <summary>What a call prints and returns, by a worker that has nothing to do; one that dies of it has said its last.</summary>
    public static MoeCommand.Result Run(string[] arguments)
    {
        if (!Idle.TryTake(out var worker)) worker = new();
        var result = worker.Ask(arguments);
        if (result.Lives) Idle.Add(worker);
        else worker.Dispose();
        return result.Of;
    }

    (MoeCommand.Result Of, bool Lives) Ask(string[] arguments)
    {
        var mark = Guid.NewGuid().ToString("N");
        _process.StandardInput.WriteLine(JsonSerializer.Serialize<string[]>([mark, .. arguments]));
        _process.StandardInput.Flush();
        var error = Task.Run(() => ReadTo(mark, _process.StandardError));
        var (output, isWhole) = ReadTo(mark, _process.StandardOutput);
        if (isWhole && error.Result is (var said, true)) return (new(int.Parse(said[^3..], CultureInfo.InvariantCulture), output, said[..^3]), true);
        _process.WaitForExit();
        return (new(_process.ExitCode, output, error.Result.Text), false);
    }

    static (string Text, bool IsWhole) ReadTo(string mark, StreamReader from)
    {
        var (text, buffer) = (new StringBuilder(), new char[4096]);
        while (from.Read(buffer) is > 0 and var count)
        {
            text.Append(buffer, 0, count);
            var end = text.Length - mark.Length;
            if (end >= 0 && text.ToString(end, mark.Length) == mark) return (text.ToString(0, end), true);
        }
        return (text.ToString(), false);
    }

    public void Dispose() => _process.Dispose();

    /// <summary>The worker's side, until nobody asks any more.</summary>
    static int Main()
    {
        var moe = Assembly.Load("moe").EntryPoint!;
        while (Console.ReadLine() is { } line)
        {
            var call = JsonSerializer.Deserialize<string[]>(line)!;
            using TextWriter output = Stream(Console.OpenStandardOutput()), error = Stream(Console.OpenStandardError());
            Console.SetOut(output);
            Console.SetError(error);
            var code = (int)moe.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [call[1..]], null)!;
            output.Write(call[0]);
            error.Write($"{code:D3}{call[0]}");
        }
        return 0;
    }

    static StreamWriter Stream(Stream to) => new(to) { AutoFlush = true };
}
