using System.Text.Json.Nodes;
using SparseExperts.Oracle;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// A Qwen3-MoE layer (softmax, gates over their sum, gated silu experts) that computes in a narrow format and rounds after every op, and what it writes:
/// a case whose numbers were widened to float32, as numpy makes one.
/// </summary>
sealed class NarrowEngine(NumberFormat format, int seed = 1)
{
    const int Tokens = 24, Width = 16, Experts = 8, Hidden = 8, Choices = 4;

    /// <summary>Rounds the running sum at every addition, or adds in float32 and rounds once.</summary>
    public bool RoundsEveryAddition { get; init; }

    /// <summary>The format of what it computes, where that is not the one of the numbers that it starts from.</summary>
    public NumberFormat? Arithmetic { get; init; }

    // Faults.
    public bool GatesAreNotDivided { get; init; }
    public bool SecondExpertIsItsNeighbour { get; init; }
    public bool OneWeightIsZero { get; init; }

    public Case Run(int bits = 53)
    {
        var random = new Random(seed);
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        double[] Draw(int count, double scale) => [.. Enumerable.Range(0, count).Select(_ => Few(Rounding.To(format, scale * Normal()), bits))];
        double[] x = Draw(Tokens * Width, 1), router = Draw(Experts * Width, 0.25);
        double[] up = Draw(Experts * Hidden * Width, 0.25), gate = Draw(up.Length, 0.25), down = Draw(up.Length, 0.35);
        double[] logits = new double[Tokens * Experts], gates = new double[Tokens * Choices], expert = new double[gates.Length], y = new double[x.Length];
        double R(double value) => Rounding.To(Arithmetic ?? format, value);
        var used = (double[])down.Clone();
        if (OneWeightIsZero) used[Array.FindIndex(used, w => Math.Abs(w) > 0.5)] = 0;
        for (var t = 0; t < Tokens; t++)
        {
            var row = x.AsSpan(t * Width, Width).ToArray();
            for (var e = 0; e < Experts; e++) logits[t * Experts + e] = R(Dot(router, e * Width, row));
            var own = logits.AsSpan(t * Experts, Experts).ToArray();
            var chosen = Enumerable.Range(0, Experts).OrderByDescending(e => own[e]).Take(Choices).ToArray();
            double[] p = [.. chosen.Select(e => Math.Exp(own[e] - own.Max()))];
            var divisor = GatesAreNotDivided ? own.Sum(l => Math.Exp(l - own.Max())) : p.Sum();
            for (var j = 0; j < Choices; j++)
            {
                (expert[t * Choices + j], gates[t * Choices + j]) = (chosen[j], R((float)(p[j] / divisor)));
                var run = j == 1 && SecondExpertIsItsNeighbour ? (chosen[j] + 1) % Experts : chosen[j];
                var hidden = new double[Hidden];
                for (var f = 0; f < Hidden; f++)
                {
                    var a = R(Dot(gate, (run * Hidden + f) * Width, row));
                    hidden[f] = R(R(a / (1 + Math.Exp(-a))) * R(Dot(up, (run * Hidden + f) * Width, row)));
                }
                for (var c = 0; c < Width; c++)
                {
                    var sum = y[t * Width + c] + R(gates[t * Choices + j] * R(Dot(used, (run * Width + c) * Hidden, hidden)));
                    y[t * Width + c] = RoundsEveryAddition || j == Choices - 1 ? R(sum) : (float)sum;
                }
            }
        }
        CaseTensor Floats(string name, double[] values, params long[] shape) => new(name, "F32", shape, values);
        return Case.Create("hf.qwen3_moe", "eval", [
            Floats("x", x, 1, Tokens, Width), Floats("router.weight", router, Experts, Width),
            Floats("experts.wi", up, Experts, Hidden, Width), Floats("experts.wi_gate", gate, Experts, Hidden, Width),
            Floats("experts.wo", down, Experts, Width, Hidden),
            Floats("claim.logits", logits, 1, Tokens, Experts), new("claim.expert", "I32", [1, Tokens, Choices], expert),
            Floats("claim.gate", gates, 1, Tokens, Choices), Floats("claim.y", y, 1, Tokens, Width),
        ], new JsonObject { ["k"] = Choices, ["normalize"] = "sum" });
    }

    /// <summary>So many significant bits of a number.</summary>
    static double Few(double value, int bits)
    {
        if (value == 0 || bits >= 53) return value;
        var unit = Math.ScaleB(1, Math.ILogB(value) - bits + 1);
        return Math.Round(value / unit) * unit;
    }

    /// <summary>As float32 adds it up.</summary>
    static double Dot(double[] weights, int start, double[] row)
    {
        float sum = 0;
        for (var i = 0; i < row.Length; i++) sum = MathF.FusedMultiplyAdd((float)weights[start + i], (float)row[i], sum);
        return sum;
    }
}
