namespace SparseExperts.Autograd;

/// <summary>What is trained.</summary>
public sealed partial class Tape
{
    public ParameterStore Parameters { get; } = new(backend);

    /// <summary>
    /// Raised in a backward pass when a parameter has received its last contribution: from then on its gradient does not change. A parameter that no
    /// gradient reaches is not reported.
    /// </summary>
    public event Action<Parameter>? GradientReady;

    /// <summary>A new trained matrix with the given start values (row-major). All are declared before the first is used.</summary>
    public Parameter Parameter(string name, int rows, int columns, ReadOnlySpan<float> values, int stack = 1)
    {
        var start = values[..(rows * columns)].ToArray();
        return Parameters.Add(this, name, rows, columns, stack, experts: 1, to => Backend.Write(to, (ReadOnlySpan<float>)start));
    }

    static void Use(Node node)
    {
        foreach (var input in node.Inputs)
            if (input is Parameter parameter) parameter.Uses++;
    }

    /// <summary>The node has contributed what it could.</summary>
    void Done(Node node)
    {
        foreach (var input in node.Inputs)
            if (input is Parameter parameter && --parameter.Uses == 0 && parameter.HasGradient && !AwaitsMore) GradientReady?.Invoke(parameter);
    }
}
