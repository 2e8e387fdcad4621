using System.Collections;

namespace SparseExperts.Autograd;

/// <summary>Numbers that lie one behind the other in a storage.</summary>
public readonly record struct StorageRun(long Start, int Length)
{
    /// <summary>These numbers of a storage as one row.</summary>
    public Matrix Of(Storage storage) => new(storage, Start, 1, Length, Length);
}

/// <summary>
/// Trained matrices, one behind the other in one storage, and their gradients in another with the same places, so that what treats them all alike is one
/// op and one read. Places are fixed when the first value is asked for: all parameters are declared before. What lies between two of them is 0 in every
/// storage of this layout, and nobody writes there. A model that is only read may keep parameters in two bytes (<see cref="KeepsStoredTypes"/>); those lie
/// apart, and have neither gradients nor moments.
/// </summary>
public sealed class ParameterStore(IBackend backend) : IReadOnlyList<Parameter>, IDisposable
{
    /// <summary>Every matrix starts at a multiple of so many numbers, a cache line.</summary>
    const int Alignment = 16;

    /// <summary>A run is one row of a matrix, and counts of elements are 32-bit integers.</summary>
    internal const int LongestRun = 1 << 30;

    readonly List<Parameter> _parameters = [];
    readonly List<Action<Matrix>> _fill = [];
    readonly Dictionary<ElementType, long> _lengths = new() { [ElementType.Real] = 0 };
    readonly Dictionary<ElementType, Storage> _narrow = [];
    Storage? _values, _gradients;

    /// <summary>Values, gradients, and what else is kept for the parameters as long as they live: moments, sums of a norm.</summary>
    internal Arena Memory { get; } = new(backend);

    public int Count => _parameters.Count;
    public Parameter this[int index] => _parameters[index];
    public IEnumerator<Parameter> GetEnumerator() => _parameters.GetEnumerator();
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Whether a parameter that its source has in two bytes is kept so: for models that are evaluated and not trained.</summary>
    internal bool KeepsStoredTypes { get; set; }

    /// <summary>All values but those in two bytes.</summary>
    public Storage Values => _values ??= Place();

    /// <summary>Where the values of a type lie.</summary>
    internal Storage ValuesIn(ElementType type)
    {
        var values = Values;
        return type == ElementType.Real ? values : _narrow[type];
    }

    /// <summary>All gradients; those of a step are where <see cref="Tensor.HasGradient"/> says so, the others are what earlier steps left.</summary>
    public Storage Gradients => _gradients ??= Zeros();

    /// <exception cref="InvalidOperationException">Values were used already.</exception>
    /// <param name="fill">Writes the values into their place: when the first value of the store is asked for, one parameter after the other.</param>
    internal Parameter Add(
        Tape tape, string name, int rows, int columns, int stack, int experts, Action<Matrix> fill, ElementType type = ElementType.Real)
    {
        if (_values is not null) throw new InvalidOperationException($"parameter '{name}' is declared after others were used; declare all parameters first");
        var place = _lengths.GetValueOrDefault(type);
        var parameter = new Parameter(tape, this, name, (type, place), rows, columns, stack, experts);
        _parameters.Add(parameter);
        _fill.Add(fill);
        _lengths[type] = place + ((long)rows * columns + Alignment - 1) / Alignment * Alignment;
        return parameter;
    }

    /// <summary>Zeros in the places of all parameters: moments.</summary>
    public Storage Zeros()
    {
        _ = Values;
        return Rented();
    }

    /// <summary>A parameter's place in a storage of this layout.</summary>
    public static Matrix View(Parameter parameter, Storage storage) => new(storage, parameter.Place, parameter.Rows, parameter.Columns, parameter.Columns);

    /// <summary>
    /// The places of those parameters for which <paramref name="which"/> holds, in order; neighbours are one run as long as it has at most
    /// <paramref name="longest"/> numbers. Parameters in two bytes are none of them.
    /// </summary>
    public IEnumerable<StorageRun> Runs(Func<Parameter, bool> which, int longest = LongestRun)
    {
        StorageRun? open = null;
        Parameter[] wide = [.. _parameters.Where(p => !p.IsNarrow)];
        for (var i = 0; i < wide.Length; i++)
        {
            if (!which(wide[i])) continue;
            long start = wide[i].Place, end = i + 1 < wide.Length ? wide[i + 1].Place : _lengths[ElementType.Real];
            if (open is { } run)
            {
                if (run.Start + run.Length == start && end - run.Start <= longest)
                {
                    open = run with { Length = (int)(end - run.Start) };
                    continue;
                }
                yield return run;
            }
            open = new(start, checked((int)(end - start)));
        }
        if (open is { } last) yield return last;
    }

    /// <summary>Gives the memory of values, gradients and moments back to the backend.</summary>
    public void Dispose() => Memory.Reset();

    Storage Place()
    {
        var values = Rented();
        foreach (var (type, length) in _lengths)
            if (type.IsNarrow()) _narrow[type] = Memory.Rent(type, length);
        for (var i = 0; i < Count; i++) _fill[i](View(this[i], this[i].IsNarrow ? _narrow[this[i].Type] : values));
        _fill.Clear();
        return values;
    }

    Storage Rented()
    {
        var storage = Memory.Rent(ElementType.Real, _lengths[ElementType.Real]);
        foreach (var run in Runs(_ => true)) backend.Fill(run.Of(storage), 0);
        return storage;
    }
}
