namespace SparseExperts;

/// <summary>
/// How a case is run. <paramref name="Garbage"/> is what destinations hold that an op must write over. With <paramref name="MayFault"/> an index out of its
/// range is part of the result, otherwise it is thrown.
/// </summary>
public sealed record OpRun(bool Backward = true, double Garbage = double.NaN, bool InPlace = false, bool MayFault = false);

/// <summary>What a run left behind: every output and gradient by name, and what it touched that it must not.</summary>
public sealed record OpResult(IReadOnlyDictionary<string, double[]> Values, IReadOnlyList<string> Trespasses, IReadOnlyList<string> Modified)
{
    /// <summary>The first index out of its range.</summary>
    public IndexFault? Fault { get; init; }
}

/// <summary>
/// Runs a card's case on a backend. Every view lies between guard words and, with padding, among them; the guards are checked
/// afterwards, which finds stray writes on any device.
/// </summary>
public sealed class OpRunner
{
    const int GuardLength = 16;

    readonly IBackend _backend;
    readonly OpCard _card;
    readonly OpCase _case;
    readonly OpRun _run;
    readonly Dictionary<string, (Matrix View, double[] Before)> _held = [];
    readonly List<Storage> _integers = [];

    OpRunner(IBackend backend, OpCard card, OpCase @case, OpRun run) => (_backend, _card, _case, _run) = (backend, card, @case, run);

    /// <param name="read">Reads a view; by default its values. A backend that carries error bounds can hand out those.</param>
    public static OpResult Run(IBackend backend, OpCard card, OpCase @case, OpRun? run = null, Func<Matrix, double[]>? read = null) =>
        new OpRunner(backend, card, @case, run ?? new()).Run(read ?? backend.ToDoubles);

    OpResult Run(Func<Matrix, double[]> read)
    {
        var call = new OpCall(_backend, _case);
        var aliased = _run.InPlace ? _card.InPlace!.Value : default;
        foreach (var input in _case.Inputs) call[input.Name] = Hold(input.Name, input.Rows, input.Columns, input.Values, input.Type);
        foreach (var output in _case.Outputs)
        {
            var (rows, columns) = output.Opaque?.Invoke(_backend, _case) ?? (output.Rows, output.Columns);
            call[output.Name] = output.Name == aliased.Output
                ? call[aliased.Input]
                : Hold(output.Name, rows, columns, Before(output.Mode, rows * columns, output.Initial), output.Type);
        }
        foreach (var integers in _case.Integers) call.Bind(integers.Name, Integers(integers.Values));
        List<string> modified = [];

        _card.Forward(_backend, call);
        var values = _case.Outputs.Where(o => o.Opaque is null).ToDictionary(o => o.Name, o => read(call[o.Name]));
        var written = _case.Outputs.Select(o => (o.Name, Values: _backend.ToDoubles(call[o.Name]))).ToArray();
        modified.AddRange(Changed(_case.Inputs.Where(i => i.Name != aliased.Input).Select(i => (i.Name, i.Values)), call));

        if (_run.Backward && _card.Backward is { } backward)
        {
            foreach (var output in _case.Outputs.Where(o => !o.Saved))
                call["d" + output.Name] = Hold("d" + output.Name, output.Rows, output.Columns, output.Cotangent);
            var gradients = _case.Inputs.Where(i => i.Differentiable).ToArray();
            foreach (var input in gradients)
                call["d" + input.Name] = Hold("d" + input.Name, input.Rows, input.Columns,
                    Before(input.GradientAdds ? OutputMode.Updated : OutputMode.Flagged, input.Count, input.OldGradient));
            backward(_backend, call);
            foreach (var input in gradients) values["d" + input.Name] = read(call["d" + input.Name]);
            modified.AddRange(Changed(_case.Inputs.Select(i => (i.Name, i.Values)), call));
            modified.AddRange(Changed(written, call));
            modified.AddRange(Changed(_case.Outputs.Where(o => !o.Saved).Select(o => ("d" + o.Name, o.Cotangent)), call));
        }
        var trespasses = Trespasses();
        foreach (var storage in _held.Values.Select(h => h.View.Storage).Concat(call.Scratch).Concat(_integers)) _backend.Return(storage);
        if (!_run.MayFault) _backend.CheckFaults();
        return new(values, trespasses, [.. modified.Distinct()]) { Fault = _backend.TakeFault() };
    }

    double[] Before(OutputMode mode, int count, double[] old)
    {
        if (mode == OutputMode.Updated || (mode == OutputMode.Flagged && _case.Accumulate)) return old;
        var garbage = new double[count];
        Array.Fill(garbage, _run.Garbage);
        return garbage;
    }

    /// <summary>A view between guards, with guards in the padding of its rows.</summary>
    Matrix Hold(string name, int rows, int columns, double[] values, ElementType type = ElementType.Real)
    {
        int stride = columns + _case.Padding, front = GuardLength + _case.Padding;
        var all = new double[front + rows * stride + GuardLength];
        for (var i = 0; i < all.Length; i++) all[i] = Guard(i, type);
        for (var r = 0; r < rows; r++) Array.Copy(values, r * columns, all, front + r * stride, columns);
        var storage = _backend.Rent(type, all.Length);
        _backend.Write(storage, 0, (ReadOnlySpan<double>)all);
        var view = new Matrix(storage, front, rows, columns, stride);
        _held[name] = (view, all);
        return view;
    }

    Indices Integers(int[] values)
    {
        var indices = _backend.Upload(values);
        _integers.Add(indices.Storage);
        return indices;
    }

    /// <summary>A different number at every place, so that a shifted copy shows; numbers that every format has where the format is narrow.</summary>
    static double Guard(int place, ElementType type) => (type.IsNarrow() ? 1 : 1000003) + place % 251;

    List<string> Trespasses()
    {
        List<string> found = [];
        foreach (var (name, (view, before)) in _held)
        {
            var after = new double[before.Length];
            _backend.Read(view.Storage, 0, (Span<double>)after);
            for (var i = 0; i < after.Length; i++)
            {
                var (row, column) = ((i - (int)view.Offset) / Math.Max(1, view.Stride), (i - (int)view.Offset) % Math.Max(1, view.Stride));
                var inside = i >= view.Offset && row < view.Rows && column < view.Columns;
                if (inside || after[i] == Guard(i, view.Type)) continue;
                found.Add($"{name} {view.Shape}: element {i - view.Offset} of a view with stride {view.Stride}");
                break;
            }
        }
        return found;
    }

    IEnumerable<string> Changed(IEnumerable<(string Name, double[] Values)> expected, OpCall call) =>
        expected.Where(e => !SameBits(e.Values, _backend.ToDoubles(call[e.Name]))).Select(e => e.Name);

    /// <summary>Equal bits, any NaN counting as any other.</summary>
    public static bool SameBits(ReadOnlySpan<double> a, ReadOnlySpan<double> b) => FirstDifference(a, b) < 0;

    /// <summary>The first place where bits differ, or −1.</summary>
    public static int FirstDifference(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        for (var i = 0; i < a.Length; i++)
            if (BitConverter.DoubleToInt64Bits(a[i]) != BitConverter.DoubleToInt64Bits(b[i]) && !(double.IsNaN(a[i]) && double.IsNaN(b[i]))) return i;
        return -1;
    }
}
