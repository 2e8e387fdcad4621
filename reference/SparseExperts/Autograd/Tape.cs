namespace SparseExperts.Autograd;

/// <summary>
/// Remembers what was computed, in order, so that gradients can be found by going back. One training step: run the model,
/// <c>Backward</c>, update, <see cref="Reset"/>. All memory that ops rent here returns to the backend's pool on reset.
/// </summary>
public sealed class Tape(IBackend backend)
{
    readonly List<Action> _backward = [];
    readonly List<Storage> _rented = [];
    readonly List<Parameter> _parameters = [];
    readonly Dictionary<int, Matrix> _ones = [];
    readonly Dictionary<int, Stack<double[]>> _hostFree = [];
    readonly List<double[]> _hostUsed = [];
    readonly Dictionary<int, double[]> _hostZeros = [];

    public IBackend Backend { get; } = backend;
    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>False while evaluating: nothing is remembered, no gradient is possible.</summary>
    public bool Recording { get; set; } = true;

    /// <summary>A new trained matrix with the given start values (row-major).</summary>
    public Parameter Parameter(string name, int rows, int columns, ReadOnlySpan<float> values, int stack = 1)
    {
        var value = Backend.Rent(rows, columns);
        Backend.Write(value, values);
        var parameter = new Parameter(this, name, value, stack);
        _parameters.Add(parameter);
        return parameter;
    }

    /// <summary>A value that is not trained.</summary>
    public Tensor Constant(Matrix value) => new(this, value, false);

    /// <summary>A value that is not trained, from host numbers.</summary>
    public Tensor Constant(int rows, int columns, ReadOnlySpan<float> values)
    {
        var value = Rent(rows, columns);
        Backend.Write(value, values);
        return Constant(value);
    }

    /// <summary>A tensor that is asked for its gradient but is not a parameter: the inputs of a gradient check.</summary>
    public Tensor Input(Matrix value) => new(this, value, true);

    /// <summary>The destination of an op. It requires a gradient if any of the op's inputs does.</summary>
    internal Tensor Result(int rows, int columns, params ReadOnlySpan<Tensor?> inputs)
    {
        var requires = false;
        foreach (var input in inputs) requires |= input is { RequiresGradient: true };
        return new(this, Rent(rows, columns), requires && Recording);
    }

    /// <summary>Remembers how <paramref name="result"/>'s gradient flows to its inputs. Nothing flows if no gradient reached the result.</summary>
    internal void Record(Tensor result, Action backward)
    {
        if (result.RequiresGradient) _backward.Add(() => { if (result.HasGradient) backward(); });
    }

    /// <summary>Memory until the next reset.</summary>
    public Matrix Rent(int rows, int columns)
    {
        var matrix = Backend.Rent(rows, columns);
        _rented.Add(matrix.Storage);
        return matrix;
    }

    /// <summary>Integers until the next reset.</summary>
    public Indices Upload(ReadOnlySpan<int> values)
    {
        var indices = Backend.Upload(values);
        _rented.Add(indices.Storage);
        return indices;
    }

    /// <summary>A host array of exactly that length until the next reset; its contents are arbitrary.</summary>
    internal double[] HostNumbers(int count)
    {
        var array = _hostFree.TryGetValue(count, out var free) && free.TryPop(out var known) ? known : new double[count];
        _hostUsed.Add(array);
        return array;
    }

    /// <summary>Zeros on the host, shared by all who only read.</summary>
    internal double[] HostZeros(int count) => _hostZeros.TryGetValue(count, out var zeros) ? zeros : _hostZeros[count] = new double[count];

    /// <summary>A column of ones, kept for ever: products with it broadcast and sum exactly.</summary>
    internal Matrix Ones(int rows)
    {
        if (_ones.TryGetValue(rows, out var ones)) return ones;
        ones = Backend.Rent(rows, 1);
        Backend.Fill(ones, 1);
        return _ones[rows] = ones;
    }

    /// <summary>∂loss/∂everything, for a loss of one element.</summary>
    public void Backward(Tensor loss)
    {
        if (loss.Value.Count != 1) throw new ShapeException($"Backward: the loss is {loss.Value.Shape}; reduce it to 1×1 first");
        Backend.Fill(loss.GradientTarget(out _), 1);
        Flow();
    }

    /// <summary>Backward from given cotangents: gradients of Σ⟨cotangent, output⟩.</summary>
    public void Backward(params ReadOnlySpan<(Tensor Output, Matrix Cotangent)> seeds)
    {
        foreach (var (output, cotangent) in seeds) Backend.Copy(cotangent, output.GradientTarget(out _));
        Flow();
    }

    void Flow()
    {
        for (var i = _backward.Count - 1; i >= 0; i--) _backward[i]();
        _backward.Clear();
    }

    /// <summary>Forgets the step: gradients become unset, rented memory returns to the pool.</summary>
    public void Reset()
    {
        _backward.Clear();
        foreach (var parameter in _parameters) parameter.ForgetGradient();
        foreach (var storage in _rented) Backend.Return(storage);
        _rented.Clear();
        foreach (var array in _hostUsed)
        {
            if (!_hostFree.TryGetValue(array.Length, out var free)) _hostFree[array.Length] = free = [];
            free.Push(array);
        }
        _hostUsed.Clear();
    }
}
