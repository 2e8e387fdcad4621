using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>The routed experts, or the shared one, with a non-linearity of their own where both have one.</summary>
static class UnlikeActivations
{
    static readonly HashSet<string> Axes = ["activation", "activation_alpha", "activation_beta", "activation_gate_softcap", "activation_up_softcap"];

    /// <summary>Of a y that is a sum, one part under the right dialect and the other under a neighbour, within the file's effort.</summary>
    public static FoundCauses Find(Case c, Departure of, Func<IBackend> backend)
    {
        if (c.Dialect.Combination != Combination.Gated || c.Find("shared.wo") is not { } shared) return FoundCauses.None;
        if (c.Find("experts.wo") is not { } routed) return FoundCauses.None;
        CaseTensor Without(CaseTensor t) => t with { Values = new double[t.Values.Length] };
        Case ofRouted = c.With(Without(shared));
        CaseTensor?[] all = [routed, c.Find("experts.bo"), c.Find("experts.output_bias")];
        Case ofShared = c.With([.. all.OfType<CaseTensor>().Select(Without)]);
        if (OutputSums.Output(ofRouted, backend) is not { } routedIs || OutputSums.Output(ofShared, backend) is not { } sharedIs) return FoundCauses.None;
        var neighbours = Neighbours.Of(c.Dialect).Where(n => Axes.Contains(n.Change.Axis)).ToArray();
        var (effort, one, tried) = (new Effort(CheckEffort.Diagnosis(c)), 2 * CheckEffort.Of(c), 0);
        List<Cause> found = [];
        foreach (var (change, other) in neighbours)
        {
            if (!effort.TrySpend(one)) break;
            tried++;
            Try(ofRouted, sharedIs, "routed experts", "the shared one has");
            Try(ofShared, routedIs, "shared expert", "the routed ones have");

            void Try(Case part, Departure rest, string whose, string others)
            {
                if (OutputSums.Output(part.Under(other), backend) is not { } its) return;
                double[] values = [.. its.Expected.Zip(rest.Expected, (a, b) => a + b)];
                double[] bounds = [.. values.Select((v, i) => its.Bounds[i] + rest.Bounds[i] + of.HalfUnit(v))];
                if (!of.AreOthers(values, bounds)) return;
                var sentence = $"{change.Axis} is {change.Is} in the {whose}, where {others} {change.InsteadOf}";
                found.Add(new(change.Axis, $"{change.Is} in the {whose} alone", sentence));
            }
        }
        return new(found, tried, neighbours.Length);
    }
}
