using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Scalar;

namespace SparseExperts.Bench;

/// <summary>
/// Pairs of calls that share tokens, as engines record them whose kernels look at the size of the batch: the test files of <c>moe compare --rows</c>.
/// A pair is <c>NAME/a.safetensors</c>, some tokens alone, and <c>NAME/b.safetensors</c>, the same among others and in another order.
/// </summary>
static class RowCalls
{
    const int Width = 16, Experts = 6, Hidden = 8, Choices = 2, Alone = 6, Together = 14;

    /// <summary>What a batch of this size is computed with.</summary>
    /// <param name="Splits">Parts into which the inner dimension of a product is cut; each is summed apart.</param>
    /// <param name="Format">What outputs are kept in.</param>
    /// <param name="RoundsEachSum">Every addition of the combine is rounded to it, and not their sum once.</param>
    /// <param name="Quantizes">Experts' inputs are rounded to steps of the batch's largest number / 127.</param>
    sealed record Kernels(int Splits = 1, NumberFormat Format = NumberFormat.Float32, bool RoundsEachSum = false, bool Quantizes = false);

    public static int Run(string folder)
    {
        Write(folder, "equal", new(), new(), hasIds: false);
        Write(folder, "split", new(), new(Splits: 4), hasIds: true);
        var narrow = new Kernels(Format: NumberFormat.BFloat16);
        Write(folder, "bfloat16", narrow, narrow with { RoundsEachSum = true }, hasIds: false);
        Write(folder, "quantized", new(Quantizes: true), new(Quantizes: true), hasIds: true);
        WriteCapacity(folder);
        return 0;
    }

    static int[] Order { get; } = [3, 11, 0, 7, 5, 12, 1, 8, 4, 13, 2, 9, 10, 6];

    /// <summary>Numbers of a normal distribution that the format has.</summary>
    static float[] Normal(int count, ulong seed, double scale, NumberFormat format = NumberFormat.Float32) =>
        [.. Enumerable.Range(0, count).Select(i => (float)Rounding.To(format, scale * Philox.Normal(new(seed, 0), (ulong)i)))];

    static void Write(string folder, string name, Kernels alone, Kernels together, bool hasIds)
    {
        Save(folder, name, "a", Call([.. Enumerable.Range(0, Alone)], alone, hasIds));
        Save(folder, name, "b", Call(Order, together, hasIds));
    }

    static void Save(string folder, string name, string file, Case call)
    {
        Directory.CreateDirectory(Path.Combine(folder, name));
        call.Save(Path.Combine(folder, name, $"{file}.safetensors"));
    }

    /// <summary>As many slots as tokens: who comes later is dropped, and who comes later is another one in another batch.</summary>
    static void WriteCapacity(string folder)
    {
        var x = Normal(Together * Width, 1, 1);
        Case Of(int[] tokens)
        {
            using var backend = new ScalarBackend<Float32>();
            var parameters = new JsonObject { ["capacity_factor"] = 1, ["min_capacity"] = 1 };
            return CaseAnswers.Fill(Case.Create("mesh.switch", "eval", [.. Inputs(tokens, x, NumberFormat.Float32, hasIds: true)], parameters), backend);
        }
        Save(folder, "capacity", "a", Of([.. Enumerable.Range(0, Alone)]));
        Save(folder, "capacity", "b", Of(Order));
    }

    static IEnumerable<CaseTensor> Inputs(int[] tokens, float[] x, NumberFormat format, bool hasIds)
    {
        var dtype = format == NumberFormat.BFloat16 ? "BF16" : "F32";
        yield return Tensor("x", dtype, [1, tokens.Length, Width], [.. tokens.SelectMany(t => x.Skip(t * Width).Take(Width))]);
        yield return Tensor("router.weight", "F32", [Experts, Width], Router());
        foreach (var (name, seed) in ((string, ulong)[])[("wi", 3), ("wi_gate", 4), ("wo", 5)])
        {
            long[] shape = name == "wo" ? [Experts, Width, Hidden] : [Experts, Hidden, Width];
            yield return Tensor($"experts.{name}", dtype, shape, Normal(Experts * Hidden * Width, seed, 0.3, format));
        }
        if (hasIds) yield return new("x.row", "I64", [1, tokens.Length], [.. tokens.Select(t => 1000.0 + t)]);
    }

    /// <summary>The last expert is the one before it, so that rounding decides between the two.</summary>
    static float[] Router()
    {
        var weight = Normal(Experts * Width, 2, 0.5);
        Array.Copy(weight, (Experts - 2) * Width, weight, (Experts - 1) * Width, Width);
        weight[^1] = MathF.BitIncrement(weight[^1]);
        return weight;
    }

    static CaseTensor Tensor(string name, string dtype, long[] shape, float[] values) => new(name, dtype, shape, Array.ConvertAll(values, v => (double)v));

    static Case Call(int[] tokens, Kernels kernels, bool hasIds)
    {
        var x = Normal(Together * Width, 1, 1, kernels.Format);
        CaseTensor[] inputs = [.. Inputs(tokens, x, kernels.Format, hasIds)];
        float[] Numbers(string name) => inputs.First(t => t.Name == name).Floats;
        float[] rows = Numbers("x"), router = Numbers("router.weight");
        float[] logits = new float[tokens.Length * Experts], gates = new float[tokens.Length * Choices], y = new float[tokens.Length * Width];
        var chosen = new int[tokens.Length * Choices];
        var step = kernels.Quantizes ? rows.Max(MathF.Abs) / 127 : 0;
        for (var t = 0; t < tokens.Length; t++)
        {
            var own = rows.AsSpan(t * Width, Width).ToArray();
            for (var e = 0; e < Experts; e++) logits[t * Experts + e] = Dot(router.AsSpan(e * Width, Width), own, kernels.Splits);
            Route(logits.AsSpan(t * Experts, Experts), chosen.AsSpan(t * Choices, Choices), gates.AsSpan(t * Choices, Choices));
            if (step > 0) own = Array.ConvertAll(own, v => MathF.Round(v / step) * step);
            for (var k = 0; k < Choices; k++)
            {
                var output = Expert(own, chosen[t * Choices + k], Numbers, kernels);
                Add(y.AsSpan(t * Width, Width), output, gates[t * Choices + k], kernels, isLast: k == Choices - 1);
            }
        }
        long s = tokens.Length;
        var dtype = kernels.Format == NumberFormat.BFloat16 ? "BF16" : "F32";
        // An engine of narrow numbers hands its gates on in float32, as vLLM's router does.
        CaseTensor[] claims =
        [
            Tensor("claim.logits", "F32", [1, s, Experts], logits),
            new("claim.expert", "I32", [1, s, Choices], Array.ConvertAll(chosen, e => (double)e)),
            Tensor("claim.gate", "F32", [1, s, Choices], gates),
            Tensor("claim.y", dtype, [1, s, Width], y),
        ];
        var parameters = new JsonObject { ["k"] = Choices };
        foreach (var stage in kernels.Format == NumberFormat.Float32 ? Array.Empty<string>() : ["router_dtype", "gate_dtype"]) parameters[stage] = "f32";
        return Case.Create("hf.mixtral", "eval", [.. inputs, .. claims], parameters, producer: "bench -- rows");
    }

    /// <summary>Parts of the inner dimension, each summed from its start, then added one after the other.</summary>
    static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b, int splits)
    {
        var (sum, part) = (0f, a.Length / splits);
        for (var p = 0; p < splits; p++)
        {
            var own = 0f;
            for (var i = p * part; i < (p + 1) * part; i++) own += a[i] * b[i];
            sum += own;
        }
        return sum;
    }

    /// <summary>Softmax over all experts, the best of it, divided by their sum.</summary>
    static void Route(ReadOnlySpan<float> logits, Span<int> chosen, Span<float> gates)
    {
        var scores = new float[logits.Length];
        var (largest, sum, kept) = (logits.ToArray().Max(), 0f, 0f);
        for (var e = 0; e < scores.Length; e++) sum += scores[e] = CanonicalMath.Exp(logits[e] - largest);
        int[] best = [.. Enumerable.Range(0, scores.Length).OrderByDescending(e => scores[e]).Take(chosen.Length)];
        for (var k = 0; k < chosen.Length; k++) kept += gates[k] = scores[chosen[k] = best[k]] / sum;
        for (var k = 0; k < gates.Length; k++) gates[k] /= kept;
    }

    /// <summary>wo · (silu(wi_gate · x) ∘ wi · x).</summary>
    static float[] Expert(float[] x, int e, Func<string, float[]> weights, Kernels kernels)
    {
        float Kept(float value) => (float)Rounding.To(kernels.Format, value);
        float[] wi = weights("experts.wi"), gate = weights("experts.wi_gate"), wo = weights("experts.wo"), hidden = new float[Hidden];
        for (var f = 0; f < Hidden; f++)
        {
            var row = (e * Hidden + f) * Width;
            float up = Kept(Dot(wi.AsSpan(row, Width), x, kernels.Splits)), g = Kept(Dot(gate.AsSpan(row, Width), x, kernels.Splits));
            hidden[f] = Kept(Kept(g / (1 + CanonicalMath.Exp(-g))) * up);
        }
        var y = new float[Width];
        for (var m = 0; m < Width; m++) y[m] = Kept(Dot(wo.AsSpan((e * Width + m) * Hidden, Hidden), hidden, Math.Min(kernels.Splits, 2)));
        return y;
    }

    static void Add(Span<float> sum, float[] y, float gate, Kernels kernels, bool isLast)
    {
        for (var m = 0; m < sum.Length; m++)
        {
            sum[m] += kernels.RoundsEachSum ? (float)Rounding.To(kernels.Format, gate * y[m]) : gate * y[m];
            if (kernels.RoundsEachSum || isLast) sum[m] = (float)Rounding.To(kernels.Format, sum[m]);
        }
    }
}
