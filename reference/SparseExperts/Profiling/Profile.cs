using System.Text.Json;
using SparseExperts.Autograd;
using SparseExperts.Formats;
using SparseExperts.Runs;

namespace SparseExperts.Profiling;

/// <summary>Calls of one kernel for one op of one part of the model: a line of <c>profile.json</c>. Totals of all steps.</summary>
/// <param name="Layer">Part of the model, <c>blocks.1.experts</c>; empty for what belongs to none.</param>
/// <param name="Op">The tape's op, <c>GroupedLinear</c>; empty between ops.</param>
/// <param name="Kernel">The contract's op, <c>GemmGrouped</c>.</param>
/// <param name="Share">Of the time of all steps.</param>
public sealed record ProfileLine(
    string Layer, string Op, string Kernel, Activity Activity, long Calls, double Seconds, double Share, long BytesRead, long BytesWritten);

/// <summary>Where the time of a command went: <c>profile.json</c>.</summary>
public sealed record Profile
{
    public const int CurrentFormat = 1;

    public int Format { get; init; } = CurrentFormat;

    /// <summary><c>train</c> or <c>evaluate</c>.</summary>
    public required string Command { get; init; }
    public required string Backend { get; init; }
    public required string Device { get; init; }

    /// <summary>What the totals are of: training steps, or batches of an evaluation.</summary>
    public required long Steps { get; init; }

    /// <summary>Time of those steps on the clock, host included.</summary>
    public required double Seconds { get; init; }

    /// <summary>Whether every call was waited for, so that times are the calls' own.</summary>
    public required bool Waits { get; init; }
    public required bool Recompute { get; init; }

    /// <summary>Bytes that stay rented from step to step: parameters, the optimizer's state, constants.</summary>
    public required long LastingBytes { get; init; }

    /// <summary>The most that was rented at once.</summary>
    public required long PeakBytes { get; init; }
    public required long Rents { get; init; }

    /// <summary>Costliest first.</summary>
    public required IReadOnlyList<ProfileLine> Calls { get; init; }

    /// <summary>Seconds in which no call ran: planning, drawing, recording.</summary>
    public double HostSeconds => Seconds - Calls.Sum(c => c.Seconds);

    /// <param name="below">Only calls of this part of the model, whose name is left off; empty for those of no evaluation.</param>
    public static Profile Of(CountingBackend counter, string command, string below, long steps, TimeSpan time, bool recompute, long lasting) => new()
    {
        Command = command,
        Backend = counter.Info.Name,
        Device = counter.Info.Device,
        Steps = steps,
        Seconds = time.TotalSeconds,
        Waits = counter.Waits,
        Recompute = recompute,
        LastingBytes = lasting,
        PeakBytes = counter.PeakBytes,
        Rents = counter.Rents,
        Calls =
        [
            .. from call in counter.Calls
               let layer = Layer(call.Key, below)
               where layer is not null
               let total = call.Value
               orderby total.Time descending
               select new ProfileLine(layer, call.Key.Op, call.Key.Kernel, call.Key.Activity, total.Calls, total.Time.TotalSeconds,
                   total.Time / time, total.BytesRead, total.BytesWritten),
        ],
    };

    /// <summary>The layer that a call belongs to; null where it is not part of the steps: evaluations of a training run, checkpoints.</summary>
    static string? Layer(CallKey key, string below)
    {
        if (below.Length > 0) return Below(key.Path, below);
        var isCheckpoint = key is { Path: "", Op: "", Activity: Activity.Forward };
        return isCheckpoint || Below(key.Path, Training.Trainer.EvaluationPath) is not null ? null : key.Path;
    }

    /// <summary>The rest of a path below a part; null where it is not below.</summary>
    static string? Below(string path, string part) =>
        path == part ? "" : path.StartsWith(part + ".", StringComparison.Ordinal) ? path[(part.Length + 1)..] : null;

    public void Write(string path) => AtomicFile.WriteText(path, JsonSerializer.Serialize(this, RunConfig.Json) + "\n");
}
