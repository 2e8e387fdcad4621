namespace SparseExperts;

/// <summary>
/// An index that an op could not follow: the first one of the first op that met one. The op went on as if the index were "none" and touched nothing that it
/// must not; who reads results asks for faults first (<see cref="IBackend.TakeFault"/>).
/// </summary>
/// <param name="Position">Its place among the indices of the call.</param>
public sealed record IndexFault(IndexRule Rule, int Position, int Value)
{
    /// <summary>Op, index, place, what would have been right.</summary>
    public string Message => Rule.None is { } none
        ? $"{Rule.Op}: index {Value} at row {Position} is outside 0…{Rule.Limit - 1}; {none} means none"
        : $"{Rule.Op}: offset {Value} at place {Position} is below the one before or beyond {Rule.Limit}; offsets ascend within 0…{Rule.Limit}";
}

/// <summary>
/// What an op demands of its indices: each is <paramref name="None"/> or within 0 … <paramref name="Limit"/> − 1. Without a none they are offsets, which
/// ascend within 0 … <paramref name="Limit"/>.
/// </summary>
public readonly record struct IndexRule(string Op, int Limit, int? None)
{
    /// <summary>The first index that breaks the rule, or null.</summary>
    public IndexFault? Find(ReadOnlySpan<int> indices)
    {
        var before = 0;
        for (var i = 0; i < indices.Length; i++)
        {
            var value = indices[i];
            var right = None is { } none ? value == none || (uint)value < (uint)Limit : value >= before && value <= Limit;
            if (!right) return new(this, i, value);
            before = value;
        }
        return null;
    }
}

/// <summary>The first fault since the last look, for backends whose ops see their indices on the host.</summary>
public sealed class FaultFlag
{
    IndexFault? _first;

    /// <summary>Looks at the indices of a call. What breaks the rule counts as none in the op that follows.</summary>
    public void Look(string op, ReadOnlySpan<int> indices, int limit, int? none) => _first ??= new IndexRule(op, limit, none).Find(indices);

    /// <summary>Whether there is one that nobody took.</summary>
    public bool IsSet => _first is not null;

    public IndexFault? Take()
    {
        var first = _first;
        _first = null;
        return first;
    }
}
