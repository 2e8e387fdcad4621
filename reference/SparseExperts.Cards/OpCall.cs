namespace SparseExperts;

/// <summary>
/// A case bound to a backend: views by name. <c>call["x"]</c> is an argument, <c>call["dy"]</c> the cotangent of output y and
/// <c>call["dx"]</c> the gradient of input x.
/// </summary>
public sealed class OpCall(IBackend backend, OpCase @case)
{
    readonly Dictionary<string, Matrix> _views = [];
    readonly Dictionary<string, Indices> _integers = [];
    readonly List<Storage> _scratch = [];

    public OpCase Case => @case;
    public bool Accumulate => @case.Accumulate;
    public int Sequence => @case.Sequence;

    public Matrix this[string name]
    {
        get => _views.TryGetValue(name, out var view)
            ? view
            : throw new KeyNotFoundException($"{@case}: no matrix '{name}'; there are {string.Join(", ", _views.Keys)}");
        set => _views[name] = value;
    }

    /// <summary>A matrix that the case may leave out.</summary>
    public Matrix? Optional(string name) => _views.TryGetValue(name, out var view) ? view : null;

    public Indices Indices(string name) => _integers[name];

    /// <summary>Integers that the case may leave out.</summary>
    public Indices? OptionalIndices(string name) => _integers.TryGetValue(name, out var indices) ? indices : null;
    public void Bind(string name, Indices indices) => _integers[name] = indices;

    public T Get<T>(string parameter) => (T)@case.Parameters[parameter];
    public bool Flag(string parameter) => Get<bool>(parameter);
    public int Count(string parameter) => Get<int>(parameter);
    public double Number(string parameter) => Get<double>(parameter);

    /// <summary>A matrix of ones that lives as long as the call.</summary>
    public Matrix Ones(int rows, int columns)
    {
        var ones = backend.Rent(rows, columns);
        _scratch.Add(ones.Storage);
        backend.Fill(ones, 1);
        return ones;
    }

    internal IEnumerable<Storage> Scratch => _scratch;
}
