using System.Globalization;

namespace SparseExperts;

/// <summary>
/// A real argument. <paramref name="Values"/> are exactly floats. <see cref="Batch"/> is the number of its rows that belong to one
/// independent item of the batch, 0 where all items share them.
/// </summary>
public sealed record OpInput(string Name, int Rows, int Columns, double[] Values)
{
    /// <summary>The format that it is held in; the values are numbers of it.</summary>
    public ElementType Type { get; init; }
    public bool Differentiable { get; init; }

    /// <summary>The gradient op always adds, whatever the call asks for.</summary>
    public bool GradientAdds { get; init; }

    /// <summary>The gradient is a sum over the tokens of the batch, in the order of <see cref="SumTree"/>.</summary>
    public bool GradientOverTokens { get; init; }
    public int Batch { get; init; }
    public double[] OldGradient { get; init; } = [];
    public int Count => Rows * Columns;
}

/// <summary>An integer argument, one value a row.</summary>
public sealed record OpIntegers(string Name, int[] Values)
{
    public int Batch { get; init; }

    /// <summary>What the op demands of them; null where it takes any.</summary>
    public IndexRule? Rule { get; init; }

    /// <summary>The same with one of them wrong, in ways that are wrong whatever the others are, and what the op says of it.</summary>
    public IEnumerable<(OpIntegers Integers, IndexFault Fault)> Wrong =>
        Rule is not { } rule || Values.Length == 0 ? [] :
        from wrong in (int[])[rule.Limit + 1, int.MaxValue, -2, int.MinValue]
        from place in ((int[])[0, Values.Length / 2]).Distinct()
        select (With(place, wrong), new IndexFault(rule, place, wrong));

    /// <summary>The same with another value at a place.</summary>
    public OpIntegers With(int place, int value)
    {
        var values = (int[])Values.Clone();
        values[place] = value;
        return this with { Values = values };
    }
}

/// <summary>Whether an op writes over its destination, does so unless told to accumulate, or always starts from what is there.</summary>
public enum OutputMode { Overwritten, Flagged, Updated }

/// <summary>A destination. One that is <see cref="Saved"/> serves the backward op and has no cotangent.</summary>
public sealed record OpOutput(string Name, int Rows, int Columns)
{
    public ElementType Type { get; init; }
    public OutputMode Mode { get; init; }
    public bool Saved { get; init; }

    /// <summary>It is a sum over the tokens of the batch, in the order of <see cref="SumTree"/>.</summary>
    public bool OverTokens { get; init; }
    public int Batch { get; init; }
    public double[] Initial { get; init; } = [];
    public double[] Cotangent { get; init; } = [];
    public int Count => Rows * Columns;

    /// <summary>The shape that a backend states, for memory whose size and content are its own; laws look at what comes of it alone.</summary>
    public Func<IBackend, OpCase, (int Rows, int Columns)>? Opaque { get; init; }

    /// <summary>What a backend saves for the backward op in a form of its own.</summary>
    public static OpOutput Kept(string name, Func<IBackend, OpCase, (int Rows, int Columns)> shape) => new(name, 0, 0) { Opaque = shape, Saved = true };
}

/// <summary>One call of an op as plain numbers, on no backend yet.</summary>
public sealed record OpCase(string Op)
{
    public IReadOnlyList<OpInput> Inputs { get; init; } = [];
    public IReadOnlyList<OpIntegers> Integers { get; init; } = [];
    public IReadOnlyList<OpOutput> Outputs { get; init; } = [];
    public IReadOnlyDictionary<string, object> Parameters { get; init; } = new Dictionary<string, object>();
    public bool Accumulate { get; init; }

    /// <summary>Unused elements between the rows of every view.</summary>
    public int Padding { get; init; }

    /// <summary>The parameter that counts the items of the batch, for ops that take it.</summary>
    public string? BatchParameter { get; init; }

    /// <summary>Independent items of the batch; 0 when the op mixes rows.</summary>
    public int Items => Outputs.Where(o => o.Batch > 0).Select(o => o.Rows / o.Batch).FirstOrDefault();

    /// <summary>Items of a sequence, where items are tokens that are summed over; 0 elsewhere.</summary>
    public int Sequence { get; init; }

    /// <summary>Tokens (or sequences, where they are the items) that are summed over.</summary>
    public int Tokens => Inputs.Where(i => i.Batch > 0).Select(i => i.Rows / i.Batch).FirstOrDefault();

    public OpOutput Output(string name) => Outputs.First(o => o.Name == name);

    /// <summary>The case with other integers of the same name.</summary>
    public OpCase With(OpIntegers integers) => this with { Integers = [.. Integers.Select(i => i.Name == integers.Name ? integers : i)] };

    /// <summary>Items <paramref name="start"/> … <paramref name="start"/> + <paramref name="count"/> − 1 as a case of their own.</summary>
    public OpCase Slice(int start, int count)
    {
        double[] Part(double[] values, int item) => values.Length == 0 ? values : values.AsSpan(start * item, count * item).ToArray();
        return this with
        {
            Inputs = [.. Inputs.Select(i => i.Batch == 0 ? i : i with
            {
                Rows = count * i.Batch, Values = Part(i.Values, i.Batch * i.Columns), OldGradient = Part(i.OldGradient, i.Batch * i.Columns),
            })],
            Integers = [.. Integers.Select(i => i.Batch == 0 ? i : i with { Values = i.Values.AsSpan(start * i.Batch, count * i.Batch).ToArray() })],
            Outputs = [.. Outputs.Select(o => o.Batch == 0 ? o : o with
            {
                Rows = count * o.Batch, Initial = Part(o.Initial, o.Batch * o.Columns), Cotangent = Part(o.Cotangent, o.Batch * o.Columns),
            })],
            Parameters = BatchParameter is null ? Parameters : new Dictionary<string, object>(Parameters) { [BatchParameter] = count },
        };
    }

    public override string ToString()
    {
        var inputs = Inputs.Select(i => $"{i.Name} {i.Rows}×{i.Columns}{Text(i.Type)}").Concat(Integers.Select(i => $"{i.Name}[{i.Values.Length}]"));
        var outputs = Outputs.Where(o => o.Opaque is null).Select(o => $"{o.Name} {o.Rows}×{o.Columns}{Text(o.Type)}");
        var sequence = Sequence > 0 ? new[] { $"sequence={Sequence}" } : [];
        var rest = Parameters.Select(p => $"{p.Key}={Text(p.Value)}").Concat(sequence).Append($"accumulate={Text(Accumulate)}").Append($"padding={Padding}");
        return $"{Op}({string.Join(", ", inputs)} → {string.Join(", ", outputs)}; {string.Join(", ", rest)})";
    }

    static string Text(ElementType type) => type == ElementType.Real ? "" : $" {type}";

    static string Text(object value) => value switch
    {
        int[] many => $"[{string.Join(' ', many)}]",
        bool flag => flag ? "yes" : "no",
        IConvertible one => Convert.ToString(one, CultureInfo.InvariantCulture)!,
        _ => value.ToString()!,
    };
}
