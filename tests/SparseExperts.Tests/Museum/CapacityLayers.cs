using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>The Switch Transformer's code in Mesh-TensorFlow: one expert a token, served in token order, padding left out.</summary>
class SwitchLayer(Case asked) : PlainLayer(asked)
{
    protected override double RouterInput(int t, int m) => Has("draws.jitter") ? Float(X(t, m) * Of("draws.jitter")[t * Width + m]) : X(t, m);
    protected override double[] Score(double[] logits) => Softmax(logits);
    protected override double Activate(double h) => Math.Max(h, 0);
    protected override int[] Choose(int t) => IsReal(t) ? base.Choose(t) : [.. Enumerable.Repeat(-1, K)];

    /// <summary>max(min(S, ⌊S·cf/E⌋), 4).</summary>
    protected override int Slots() => Math.Max(Math.Min(Size, (int)(Size * Setting("capacity_factor", Training ? 1.25 : 2) / Experts)), 4);

    protected override IEnumerable<(string Name, double Value, double Coefficient)> Losses()
    {
        yield return ("balance", Balance(), 0.01);
        if (Training) yield return ("z", RouterZ(), Setting("z_coefficient", 0));
    }

    /// <summary>Mean over groups of real share · E·Σ_e f_e·P_e.</summary>
    protected virtual double Balance() => Enumerable.Range(0, Groups).Average(g => Experts * TokensOf(g).Average(t => IsReal(t) ? 1.0 : 0)
        * Enumerable.Range(0, Experts).Sum(e => TokensOf(g).Average(t => First(t) == e ? 1.0 : 0) * TokensOf(g).Average(t => Scores[t][e])));

    protected virtual int First(int t) => Best(Scores[t], 1)[0];

    protected virtual double RouterZ() => SquaredLogSum(AllTokens.Where(IsReal).Select(t => Logits[t]));
}

/// <summary>transformers 4's Switch: a given capacity, dropped tokens counted for expert 0, z over all tokens.</summary>
class HuggingSwitchLayer(Case asked) : SwitchLayer(asked)
{
    protected override int[] Choose(int t) => Best(Scores[t], K);
    protected override int Slots() => (int)Setting("capacity", 64);
    protected override bool ClaimsCapacity => false;
    protected override double[] ExpertInput(int t) => [.. Enumerable.Range(0, Width).Select(m => RouterInput(t, m))];
    protected override double RouterZ() => SquaredLogSum(Logits);
    protected override int First(int t) => IsKept(t, 0) ? Expert[t][0] : 0;

    protected override IEnumerable<(string Name, double Value, double Coefficient)> Losses() => [("balance", Balance(), 0.001), ("z", RouterZ(), 0.001)];
}

/// <summary>Megatron-Core: scores before or after the top-k, experts keep their largest gates, losses over E/k.</summary>
class MegatronLayer(Case asked) : DeepSeekLayer(asked)
{
    protected string Kind => (string?)Asked.Parameters["score"] ?? "softmax_post";
    protected override bool ClaimsScores => Kind == "sigmoid";
    protected override bool ClaimsCapacity => false;
    protected override double Activate(double h) => Math.Max(h, 0);
    protected override double[] Score(double[] logits) => Kind switch { "sigmoid" => base.Score(logits), "softmax" => Softmax(logits), _ => logits };

    protected override double[] Weigh(int t) => Kept(t, Asking(t));

    /// <summary>Gates before anything is dropped.</summary>
    protected virtual double[] Asking(int t) => Kind switch
    {
        "softmax_post" => [.. Softmax([.. Expert[t].Select(e => Logits[t][e])]).Select(g => g * Scaling)],
        "sigmoid" when K > 1 => base.Weigh(t),
        _ => [.. Expert[t].Select(e => Scores[t][e] * Scaling)],
    };

    double[] Kept(int t, double[] gates) => [.. gates.Select((g, j) => Slot.Length == 0 || IsKept(t, j) ? g : 0)];

    /// <summary>⌈(S·k/E)·cf⌉; off where the factor is negative.</summary>
    protected override int Slots()
    {
        var factor = Setting("capacity_factor", -1);
        return factor >= 0 ? (int)Math.Ceiling((double)Size * K / Experts * factor) : int.MaxValue;
    }

    protected override int[][] Place()
    {
        var slot = Table<int>(K);
        double[][] rank = [.. AllTokens.Select(t => Array.ConvertAll(Asking(t), Float))];
        for (var g = 0; g < Groups; g++)
            for (var e = 0; e < Experts; e++)
            {
                (int Token, int Choice)[] asked = [.. TokensOf(g).SelectMany(t => Enumerable.Range(0, K).Where(j => Expert[t][j] == e).Select(j => (t, j)))];
                int[] kept = [.. asked.OrderByDescending(a => rank[a.Token][a.Choice]).Take(Capacity).Select(a => a.Token).Order()];
                foreach (var (t, j) in asked) slot[t][j] = Array.IndexOf(kept, t);
            }
        return slot;
    }

    protected override int[] Count()
    {
        var counts = new int[Groups * Experts];
        foreach (var t in AllTokens)
            for (var j = 0; j < K; j++)
                if (IsKept(t, j)) counts[t / Size * Experts + Expert[t][j]]++;
        return counts;
    }

    protected override IEnumerable<(string Name, double Value, double Coefficient)> Losses()
    {
        if (!Training) yield break;
        yield return ("balance", Balance(), Setting("balance_coefficient", Asked.Dialect.BalanceCoefficient));
        yield return ("z", SquaredLogSum(AllTokens.Where(IsReal).Select(t => Logits[t])), Setting("z_coefficient", 0));
    }

    /// <summary>(E/k)·Σ_e f_e·P_e over real tokens of every group: f from a plain top-k, P a distribution over experts.</summary>
    protected virtual double Balance() => Enumerable.Range(0, Groups).Average(g =>
    {
        int[] real = [.. TokensOf(g).Where(IsReal)];
        return BalanceScale * Enumerable.Range(0, Experts).Sum(e => real.Average(t => Share(t, e)) * real.Average(t => Mass(t, e)));
    });

    protected virtual double BalanceScale => (double)Experts / K;
    protected virtual double Share(int t, int e) => Best(Kind == "sigmoid" ? Scores[t] : Logits[t], K).Contains(e) ? 1 : 0;
    protected virtual double Mass(int t, int e) => Kind == "sigmoid" ? Scores[t][e] / (Scores[t].Sum() + 1e-20) : Softmax(Logits[t])[e];
}

/// <summary>DeepSpeed's topkgating: k choices by probability, drops by probability, over the sum of what is kept.</summary>
class DeepSpeedLayer(Case asked) : PlainLayer(asked)
{
    const double Guard = 1.1920928955078125e-07;

    protected override double[] Score(double[] logits) => Softmax(logits);
    protected override double Activate(double h) => Math.Max(h, 0);

    /// <summary>max(⌈(S/E)·(cf·k)⌉, 4), in float32.</summary>
    protected override int Slots() => Math.Max((int)Math.Ceiling((float)((double)Size / Experts) * (float)(Setting("capacity_factor", 1) * K)), 4);

    protected override int[][] Place()
    {
        var slot = Table<int>(K);
        for (var e = 0; e < Experts; e++)
        {
            var column = AllTokens.Select(t => Array.IndexOf(Expert[t], e) >= 0 ? DropKey(t, e) : 0).ToArray();
            int[] kept = [.. Best(column, Capacity).Where(t => Expert[t].Contains(e)).Order()];
            foreach (var t in AllTokens)
                if (Array.IndexOf(Expert[t], e) is >= 0 and var j) slot[t][j] = Array.IndexOf(kept, t);
        }
        return slot;
    }

    /// <summary>What decides who stays at a full expert, against 0 for those who did not ask.</summary>
    protected virtual double DropKey(int t, int e) => Scores[t][e];

    protected override double[] Weigh(int t) => base.Weigh(t) is var kept ? [.. kept.Select(g => g / Math.Max(kept.Sum(), Guard))] : [];

    protected override IEnumerable<(string Name, double Value, double Coefficient)> Losses()
    {
        double Share(int e) => AllTokens.Average(t => Expert[t].Contains(e) ? 1.0 : 0);
        double Mass(int e) => AllTokens.Average(t => Scores[t][e]);
        return [("balance", (double)Experts / K * Enumerable.Range(0, Experts).Sum(e => Share(e) * Mass(e)), 0.01)];
    }
}

/// <summary>DeepSpeed's top2gating without sampling: second expert by logits among the others, choice by choice.</summary>
class DeepSpeedTop2Layer(Case asked) : PlainLayer(asked)
{
    const double Guard = 1.1920928955078125e-07;

    protected override double[] Score(double[] logits) => Softmax(logits);
    protected override double Activate(double h) => Math.Max(h, 0);
    protected override int[] Choose(int t) => Best(Scores[t], 1)[0] is var first ? [first, Second(t, first)] : [];
    protected virtual int Second(int t, int first) => Best(Logits[t], 2).First(e => e != first);
    protected override int Slots() => Math.Max((int)Math.Ceiling((float)((double)Size / Experts) * (float)(Setting("capacity_factor", 1) * K)), 4);
    protected override double[] Weigh(int t) => base.Weigh(t) is var kept ? [.. kept.Select(g => g / Math.Max(kept.Sum(), Guard))] : [];

    protected override IEnumerable<(string Name, double Value, double Coefficient)> Losses()
    {
        double Share(int e) => AllTokens.Average(t => Expert[t][0] == e ? 1.0 : 0);
        double Mass(int e) => AllTokens.Average(t => Scores[t][e]);
        return [("balance", Experts * Enumerable.Range(0, Experts).Sum(e => Share(e) * Mass(e)), 0.01)];
    }
}
