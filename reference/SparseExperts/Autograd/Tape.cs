using SparseExperts.Sharding;

namespace SparseExperts.Autograd;

/// <summary>
/// Remembers what was computed, in order, so that gradients can be found by going back. One training step: run the model,
/// <c>Backward</c>, update, <see cref="Reset"/>. All memory that ops rent here returns to the backend's pool on reset.
/// </summary>
/// <param name="shards">The other shards of the batch; null where this tape has the whole of it.</param>
public sealed class Tape(IBackend backend, IShards? shards = null)
{
    readonly List<Action> _backward = [];
    readonly List<Storage> _rented = [];
    readonly List<Parameter> _parameters = [];
    readonly Dictionary<int, Matrix> _ones = [];
    readonly Dictionary<int, Stack<double[]>> _hostFree = [];
    readonly List<double[]> _hostUsed = [];
    readonly Dictionary<int, double[]> _hostZeros = [];
    int _exactly;

    public IBackend Backend { get; } = backend;
    public IShards? Shards { get; } = shards;
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
    /// <param name="sequence">Rows of a sequence, where rows are tokens.</param>
    public Tensor Input(Matrix value, int sequence = 0) => new(this, value, true) { Sequence = sequence };

    /// <summary>
    /// The destination of an op. It requires a gradient if any of the op's inputs does, and its rows are tokens if an input of as many rows has tokens.
    /// </summary>
    internal Tensor Result(int rows, int columns, params ReadOnlySpan<Tensor?> inputs)
    {
        var requires = false;
        var (sequence, parts) = (0, 1);
        foreach (var input in inputs)
        {
            if (input is null) continue;
            requires |= input.RequiresGradient;
            if (sequence == 0 && input.Rows == rows) (sequence, parts) = (input.Sequence, input.Parts);
        }
        return new(this, Rent(rows, columns), requires && Recording) { Sequence = sequence, Parts = parts };
    }

    /// <summary>The destination of an op whose rows are tokens in sequences of so many, or none with 0.</summary>
    internal Tensor Result(int rows, int columns, int sequence, Tensor input, int parts = 1) =>
        new(this, Rent(rows, columns), input.RequiresGradient && Recording) { Sequence = sequence, Parts = parts };

    /// <summary>A destination that holds the same tokens once for every part.</summary>
    internal Tensor Result(Matrix value, IReadOnlyList<Tensor> parts) =>
        new(this, value, Recording && parts.Any(p => p.RequiresGradient)) { Sequence = parts[0].Sequence, Parts = parts.Count };

    /// <summary>
    /// Writes or adds a sum over tokens into <paramref name="target"/>'s gradient: <paramref name="sum"/> is given a destination and whether to add.
    /// With shards it is the sum over their tokens too.
    /// </summary>
    /// <param name="sequence">Rows of a sequence; 0 where rows are no tokens, so that every shard has them all.</param>
    internal void SumOverTokens(Tensor target, int sequence, Action<Matrix, bool> sum)
    {
        if (Shards is null || sequence == 0)
        {
            sum(target.GradientTarget(out var add), add);
            return;
        }
        var partial = Rent(target.Rows, target.Columns);
        sum(partial, false);
        AddOverTokens(partial, target, sequence);
    }

    /// <summary>Adds a sum over this shard's tokens, joined with those of the others, to a gradient.</summary>
    internal void AddOverTokens(Matrix partial, Tensor target, int sequence)
    {
        if (!target.RequiresGradient) return;
        if (sequence > 0) Join(partial);
        var gradient = target.GradientTarget(out var add);
        if (add) Backend.Add(gradient, partial, gradient);
        else Backend.Copy(partial, gradient);
    }

    /// <summary>A sum over this shard's tokens becomes the sum over those of all.</summary>
    internal void Join(Matrix partial)
    {
        if (Shards is null) return;
        var numbers = Backend.ToArray(partial);
        Shards.Join(numbers);
        Backend.Write(partial, (ReadOnlySpan<float>)numbers);
    }

    /// <summary>A forward sum over tokens: of each part by itself and over all shards, then one after the other. <paramref name="sum"/> is given a part's rows and a destination.</summary>
    internal Matrix SumOfParts(Tensor x, int columns, Action<Matrix, Matrix> sum)
    {
        Matrix parts = Rent(x.Parts, columns), whole = parts.RowRange(0, 1);
        for (var p = 0; p < x.Parts; p++) sum(x.Value.RowRange(p * (x.Rows / x.Parts), x.Rows / x.Parts), parts.RowRange(p, 1));
        if (x.Sequence > 0) Join(parts);
        for (var p = 1; p < x.Parts; p++) Backend.Add(whole, parts.RowRange(p, 1), whole);
        return whole;
    }

    /// <summary>The place of this shard's first token in the batch.</summary>
    internal long FirstToken(int sequence) => (long)(Shards?.Sequences.First ?? 0) * sequence;

    /// <summary>A count over the tokens of all shards.</summary>
    internal int Total(int count) => Shards?.Total(count) ?? count;

    /// <summary>Numbers of all shards' tokens, in the order of the batch.</summary>
    internal double[] Gather(double[] own) => Shards is null ? own : [.. Shards.Gather(own).SelectMany(part => part)];

    /// <summary>Counts over the tokens of all shards.</summary>
    internal double[] Total(double[] counts) => Shards?.Total(counts) ?? counts;

    /// <summary>Rows of all shards where rows are tokens, else the rows.</summary>
    internal int TotalRows(Tensor x) => x.Sequence > 0 ? Total(x.Rows) : x.Rows;

    /// <summary>Remembers how <paramref name="result"/>'s gradient flows to its inputs. Nothing flows if no gradient reached the result.</summary>
    internal void Record(Tensor result, Action backward)
    {
        if (!result.RequiresGradient) return;
        var exact = _exactly > 0;
        _backward.Add(() =>
        {
            if (!result.HasGradient) return;
            using var scope = exact ? Backend.Exactly() : null;
            backward();
        });
    }

    /// <summary>Until the scope is disposed of, products that are recorded have the definition's bits, forward and backward (<see cref="IBackend.Exactly"/>).</summary>
    internal IDisposable Exactly()
    {
        _exactly++;
        return new ExactScope(this, Backend.Exactly());
    }

    sealed class ExactScope(Tape tape, IDisposable products) : IDisposable
    {
        public void Dispose()
        {
            products.Dispose();
            tape._exactly--;
        }
    }

    /// <summary>Memory until the next reset.</summary>
    public Matrix Rent(int rows, int columns)
    {
        var matrix = Backend.Rent(rows, columns);
        _rented.Add(matrix.Storage);
        return matrix;
    }

    /// <summary>Zeros until the next reset.</summary>
    internal Matrix Zeros(int rows, int columns)
    {
        var zeros = Rent(rows, columns);
        Backend.Fill(zeros, 0);
        return zeros;
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
        foreach (var (output, cotangent) in seeds) Ops.Op.Pass(this, cotangent, output);
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
