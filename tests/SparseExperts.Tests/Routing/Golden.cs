using System.Globalization;
using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>
/// A layer whose tokens are the logits: router weight = unit matrix. What it routes, which gates it applies and which losses it reports, in double.
/// </summary>
sealed class Golden
{
    /// <summary>Six digits are printed in the documents.</summary>
    const double Printed = 6e-7;

    public required SparseResult Result { get; init; }
    public required double[] Gates { get; init; }
    public required Dictionary<string, double> Losses { get; init; }

    public static Golden Run(
        Dialect dialect,
        double[] logits,
        int experts,
        bool training = true,
        float[]? tokenMask = null,
        RouterDraws? draws = null,
        bool noiseWeight = false,
        double[]? bias = null)
    {
        using var backend = new ScalarBackend<Float64>();
        using var tape = new Tape(backend);
        Tensor Matrix(int rows, int columns, double[] values)
        {
            var matrix = tape.Rent(rows, columns);
            backend.Write(matrix, values);
            return tape.Input(matrix);
        }
        var tokens = logits.Length / experts;
        var unit = new double[experts * experts];
        for (var e = 0; e < experts; e++) unit[e * experts + e] = 1;
        var call = new RouterCall
        {
            Dialect = dialect,
            Groups = 1,
            Size = tokens,
            Experts = experts,
            Training = training,
            TokenMask = tokenMask ?? [],
            Draws = draws ?? new(),
        };
        RouterWeights router = new()
        {
            Weight = Matrix(experts, experts, unit),
            NoiseWeight = noiseWeight ? Matrix(experts, experts, new double[unit.Length]) : null,
            CorrectionBias = bias ?? [],
        };
        ExpertWeights weights = new()
        {
            Wi = Matrix(experts * experts, 1, new double[experts * experts]),
            Wo = Matrix(experts, experts, new double[experts * experts]),
        };
        var result = SparseLayer.Forward(tape, call, Matrix(tokens, experts, logits), router, weights);
        return new()
        {
            Result = result,
            Gates = backend.ToDoubles(result.Inputs!.Gates.Value),
            Losses = result.Losses.ToDictionary(l => l.Name, l => backend.ToDoubles(l.Value.Value)[0]),
        };
    }

    /// <summary>
    /// <paramref name="expected"/> as the documents write it: <c>t0{0:.665241,1:.244728} t2{1:.687131}</c>; tokens that are not named are dropped.
    /// </summary>
    public Golden Combines(string expected)
    {
        var plan = Result.Plan;
        var wanted = new SortedDictionary<(int Token, int Expert), double>();
        foreach (var entry in expected.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var token = int.Parse(entry[1..entry.IndexOf('{')], CultureInfo.InvariantCulture);
            foreach (var pair in entry[(entry.IndexOf('{') + 1)..^1].Split(','))
                wanted[(token, int.Parse(pair.Split(':')[0], CultureInfo.InvariantCulture))] = double.Parse(pair.Split(':')[1], CultureInfo.InvariantCulture);
        }
        var found = new SortedDictionary<(int, int), double>();
        for (var i = 0; i < plan.RowOf.Length; i++)
            if (plan.RowOf[i] >= 0 && Gates[i] != 0) found[(i / plan.Choices, plan.Expert[i])] = Gates[i];
        Assert.Equal(wanted.Keys, found.Keys);
        foreach (var (key, gate) in wanted) Assert.Equal(gate, found[key], Printed);
        return this;
    }

    public Golden Loses(string name, double expected)
    {
        Assert.Equal(expected, Losses[name], Printed * Math.Max(1, Math.Abs(expected)));
        return this;
    }
}
