namespace SparseExperts.Autograd;

/// <summary>What a layer keeps with a tape: made when it first asks, reset with every step.</summary>
interface IStepScratch
{
    void Reset();
}

/// <summary>What goes with a step's end besides its memory: who watches over its results, and what layers keep.</summary>
public sealed partial class Tape
{
    readonly List<Action> _watches = [];
    readonly Dictionary<Type, IStepScratch> _scratch = [];

    /// <summary>How often this tape was reset: what the backend made for a step is gone with the next one.</summary>
    internal int Resets { get; private set; }

    /// <summary>Is asked before the step's numbers are believed: <paramref name="refuse"/> throws where they may not be.</summary>
    internal void Watch(Action refuse) => _watches.Add(refuse);

    /// <summary>
    /// Throws where an op has met an index out of its range, and where a backend's plan since the last reset ranked NaN, with the line of the host's engine:
    /// before numbers that came of them are believed. Waits for the work that was given; one small read a plan.
    /// </summary>
    public void CheckFaults()
    {
        Backend.CheckFaults();
        foreach (var refuse in _watches) refuse();
    }

    /// <summary>The only one of its type on this tape.</summary>
    internal T Scratch<T>() where T : IStepScratch, new()
    {
        if (!_scratch.TryGetValue(typeof(T), out var scratch)) _scratch[typeof(T)] = scratch = new T();
        return (T)scratch;
    }

    void EndStep()
    {
        _watches.Clear();
        foreach (var scratch in _scratch.Values) scratch.Reset();
        Resets++;
    }
}
