using System.Runtime.InteropServices;

namespace SparseExperts.Cli;

/// <summary>
/// What ends a training early: Ctrl-C, SIGTERM, SIGHUP, or a screen that is closed. The step at hand is finished and saved, what only measures is left out;
/// Ctrl-C again ends at once.
/// </summary>
sealed class StopSignals : IDisposable
{
    readonly CancellationTokenSource _cancel = new();
    readonly PosixSignalRegistration[] _signals;

    public StopSignals() =>
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP }.Select(s => PosixSignalRegistration.Create(s, Stop))];

    public CancellationToken Token => _cancel.Token;

    /// <summary>Number of the signal that came; that of Ctrl-C where none did.</summary>
    public int Signal { get; private set; } = 2;

    /// <summary>Why what is printed reaches nobody; null where it does.</summary>
    public IOException? Unheard { get; private set; }

    void Stop(PosixSignalContext context)
    {
        context.Cancel = !(_cancel.IsCancellationRequested && context.Signal == PosixSignal.SIGINT);
        Signal = context.Signal switch { PosixSignal.SIGHUP => 1, PosixSignal.SIGTERM => 15, _ => 2 };
        _cancel.Cancel();
    }

    /// <summary>Prints something; where nobody can hear it, because the terminal is closed or the disk full, the run ends and is saved.</summary>
    public void IfUnheard(Action print)
    {
        try
        {
            print();
        }
        catch (IOException e)
        {
            if (!_cancel.IsCancellationRequested) Unheard = e;
            _cancel.Cancel();
        }
    }

    /// <summary>Writes a report beside the run, which is saved already; null where a signal came first: nobody waits for the report then.</summary>
    public string? WhileWritingReport(Func<string> write)
    {
        var report = Task.Run(write);
        try
        {
            report.Wait(Token);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        catch (AggregateException)
        {
            // Thrown again below as it is.
        }
        return report.GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        foreach (var signal in _signals) signal.Dispose();
        _cancel.Dispose();
    }
}
