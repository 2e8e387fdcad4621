namespace SparseExperts.Oracle;

/// <summary>Faults whose y is that of the right layer plus something: the bias without its gate, the shared expert of the routed sum, experts of other ids.</summary>
static class OutputSums
{
    public static Cause? Find(Case c, Departure of, Func<IBackend> backend) =>
        BiasWithoutGate(c, of) ?? SharedReadsRouted(c, of, backend) ?? IdentityExperts(c, of, backend);

    /// <summary>y + Σ_j (1 − g_j)·bo: the bias is added once a choice, whatever its gate.</summary>
    static Cause? BiasWithoutGate(Case c, Departure of)
    {
        if (c.Find("experts.bo") is not { } bias || c.Find("claim.expert") is not { } expert || c.Find("claim.gate") is not { } gate) return null;
        var (k, width) = (expert.Size(-1), bias.Size(-1));
        double Added(int i, Func<double, double> weight)
        {
            double sum = 0;
            for (var j = i / width * k; j < i / width * k + k; j++)
                if (gate.Values[j] != 0 && expert.Values[j] >= 0 && expert.Values[j] < bias.Size(0)) sum += weight(gate.Values[j]) * bias.Values[(int)expert.Values[j] * width + i % width];
            return sum;
        }
        if (of.Is(i => of.Expected[i] + Added(i, g => 1 - g)))
            return new("experts.bo", "without its gate", "the bias of the second matrix (bo) was added once a choice without its gate");
        return null;
    }

    /// <summary>routed + shared(routed).</summary>
    static Cause? SharedReadsRouted(Case c, Departure of, Func<IBackend> backend)
    {
        if (c.Find("shared.wo") is not { } shared || c.Find("experts.wo") is not { } routed) return null;
        CaseTensor Without(CaseTensor t) => t with { Values = new double[t.Values.Length] };
        if (Output(c.With(Without(shared)), backend) is not { } sum) return null;
        var x = c.Get("x");
        CaseTensor[] silent = [Without(routed), .. new[] { "experts.bo", "experts.output_bias" }.Select(c.Find).OfType<CaseTensor>().Select(Without), x with { DType = "F32", Values = sum }];
        if (Output(c.With(silent), backend) is not { } dense) return null;
        return of.Is(i => sum[i] + dense[i]) ? new("shared expert", "reads the routed sum", "y is routed + shared(routed): the shared expert read the routed output") : null;
    }

    /// <summary>Tokens of experts that return their input: it is lost, or another expert is there too.</summary>
    static Cause? IdentityExperts(Case c, Departure of, Func<IBackend> backend)
    {
        var count = c.Dialect.IdentityExperts;
        if (count == 0 || c.Find("claim.expert") is not { } expert || c.Find("claim.gate") is not { } gate || c.Find("experts.wi") is not { } wi) return null;
        var (k, x, first) = (expert.Size(-1), c.Find("experts.x") ?? c.Get("x"), wi.Size(0));
        var width = x.Size(-1);
        double Passed(int i)
        {
            double sum = 0;
            for (var j = i / width * k; j < i / width * k + k; j++)
                if (expert.Values[j] >= first) sum += gate.Values[j] * x.Values[i];
            return sum;
        }
        if (of.Is(i => of.Expected[i] - Passed(i))) return new("identity experts", "lost", "the part of the identity experts is missing: their tokens' input was not added");
        var others = c.With(expert with { Values = [.. expert.Values.Select(e => e >= first ? 0 : e)] });
        if (Output(others, backend) is not { } clamped) return null;
        if (of.Is(i => clamped[i] + Passed(i)))
            return new("identity experts", "with expert 0", "every departing token chose an identity expert: expert 0 was added with that gate, its id clamped into the range");
        return of.Is(i => clamped[i]) ? new("identity experts", "read as expert 0", "identity experts were read as expert 0, their id clamped into the range") : null;
    }

    static double[]? Output(Case c, Func<IBackend> backend) => Diagnosis.TryCheck(c, backend)?.Stages.FirstOrDefault(s => s.Stage == "y")?.Numbers?.Expected;
}
