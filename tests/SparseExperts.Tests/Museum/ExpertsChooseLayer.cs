using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>Expert choice: each expert takes its S·k/E best tokens (Zhou et al. 2022, section 3.2), in a model whose tokens may not see later ones.</summary>
sealed class ExpertsChooseLayer(Case asked) : QwenLayer(asked)
{
    public override Case Run()
    {
        var claimed = base.Run();
        double[] combine = new double[Tokens * Experts], y = new double[Tokens * Width];
        for (var e = 0; e < Experts; e++)
            foreach (var t in Best([.. Scores.Select(s => s[e])], Size * K / Experts))
            {
                combine[t * Experts + e] = Scores[t][e];
                var output = Feed("experts", e, ExpertInput(t));
                for (var m = 0; m < Width; m++) y[t * Width + m] += Scores[t][e] * output[m];
            }
        static double[] Single(double[] values) => Array.ConvertAll(values, v => (double)(float)v);
        static bool IsReplaced(string name) =>
            name.StartsWith("claim.", StringComparison.Ordinal) && name is not ("claim.logits" or "claim.scores");
        return claimed.Without(claimed.Tensors.Select(t => t.Name).Where(IsReplaced)).With(
            new("claim.combine", "F32", [Groups, Size, Experts], Single(combine)),
            new("claim.y", "F32", [Groups, Size, Width], Single(y)));
    }
}
