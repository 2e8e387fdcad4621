namespace SparseExperts.Autograd;

/// <summary>What is trained.</summary>
public sealed partial class Tape
{
    readonly List<Parameter> _parameters = [];

    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>
    /// Raised in a backward pass when a parameter has received its last contribution: from then on its gradient does not change. A parameter that no
    /// gradient reaches is not reported.
    /// </summary>
    public event Action<Parameter>? GradientReady;

    /// <summary>A new trained matrix with the given start values (row-major).</summary>
    public Parameter Parameter(string name, int rows, int columns, ReadOnlySpan<float> values, int stack = 1)
    {
        var value = Backend.Rent(rows, columns);
        Backend.Write(value, values);
        var parameter = new Parameter(this, name, value, stack);
        _parameters.Add(parameter);
        return parameter;
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
            if (input is Parameter parameter && --parameter.Uses == 0 && parameter.HasGradient) GradientReady?.Invoke(parameter);
    }
}
