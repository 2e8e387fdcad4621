namespace SparseExperts.Oracle;

/// <summary>
/// Faults whose y is that of the right layer plus something, or a sum of the parts that it has: the bias without its gate, the shared expert of the routed sum,
/// identity experts, outputs that went to other choices.
/// </summary>
static class OutputSums
{
    public static Cause? Find(Case c, Departure of, Func<IBackend> backend) =>
        BiasWithoutGate(c, of) ?? Residual(c, of) ?? SharedReadsRouted(c, of, backend) ?? IdentityExperts(c, of, backend) ?? NullExperts(c, of)
            ?? OfOtherChoices(c, of, backend) ?? PaddingIsZero(c, of);

    /// <summary>Tokens that are padding have no output.</summary>
    static Cause? PaddingIsZero(Case c, Departure of)
    {
        if (c.Find("padding") is not { } padding) return null;
        var width = of.Expected.Length / padding.Values.Length;
        bool IsPadding(int i) => padding.Values[i / width] == 0;
        double[] Real(double[] all) => [.. all.Select((v, i) => IsPadding(i) ? 0 : v)];
        const string words = "the output of padding is 0: tokens that are padding were left out";
        return of.AreOthers(Real(of.Expected), Real(of.Bounds)) ? new("padding", "is 0", words) : null;
    }

    /// <summary>The shared expert times one factor, whatever it is.</summary>
    public static Cause? SharedTimes(Case c, Departure of, Func<IBackend> backend)
    {
        if (c.Find("shared.wo") is not { } shared || c.Find("experts.wo") is null) return null;
        if (Output(c.With(shared with { Values = new double[shared.Values.Length] }), backend) is not { } routed) return null;
        double[] own = [.. of.Expected.Zip(routed.Expected, (y, r) => y - r)];
        var factor = of.Claimed.Zip(routed.Expected, (y, r) => y - r).Zip(own, (y, o) => y * o).Sum() / own.Sum(o => o * o);
        if (!double.IsFinite(factor)) return null;
        double[] values = [.. routed.Expected.Zip(own, (r, o) => r + factor * o)];
        double[] bounds = [.. routed.Bounds.Select((b, i) => b + Math.Abs(factor) * (b + of.Bounds[i]))];
        return of.AreOthers(values, bounds) && of.Expected.Length > 4
            ? new("shared expert", $"times {Multiples.Text(factor)}", $"the shared expert counts {Multiples.Text(factor)} times") : null;
    }

    /// <summary>y + x, as where the residual is in the layer's output.</summary>
    static Cause? Residual(Case c, Departure of)
    {
        var x = c.Get("x").Values;
        if (x.Length != of.Claimed.Length) return null;
        if (of.ArePlus(i => (x[i], Math.Abs(x[i])), 1)) return new("residual", "added", "the layer's input is in y: the residual was added already");
        return of.ArePlus(i => (-x[i], Math.Abs(x[i])), 1) ? new("residual", "taken off", "the layer's input is taken off y") : null;
    }

    /// <summary>y + Σ_j (1 − g_j)·bo: the bias is added once a choice, whatever its gate.</summary>
    static Cause? BiasWithoutGate(Case c, Departure of)
    {
        if (c.Find("experts.bo") is not { } bias || c.Find("claim.expert") is not { } expert || c.Find("claim.gate") is not { } gate) return null;
        var (k, width, held) = (expert.Size(-1), bias.Size(-1), bias.Size(0));
        bool IsUsed(int j) => gate.Values[j] != 0 && expert.Values[j] >= 0 && expert.Values[j] < held;
        (double, double) Added(int i) => Sum(Enumerable.Range(i / width * k, k).Where(IsUsed)
            .Select(j => (1 - gate.Values[j]) * bias.Values[(int)expert.Values[j] * width + i % width]));
        const string words = "the bias of the second matrix (bo) was added once a choice without its gate";
        return of.ArePlus(Added, 2 * k) ? new("experts.bo", "without its gate", words) : null;
    }

    /// <summary>routed + shared(routed).</summary>
    static Cause? SharedReadsRouted(Case c, Departure of, Func<IBackend> backend)
    {
        if (c.Find("shared.wo") is not { } shared || c.Find("experts.wo") is not { } routed) return null;
        CaseTensor Without(CaseTensor t) => t with { Values = new double[t.Values.Length] };
        CaseTensor[] nothing = [.. new[] { routed, c.Find("experts.bo"), c.Find("experts.output_bias") }.OfType<CaseTensor>().Select(Without)];
        Departure? Shared(double[] x) => Output(c.With([.. nothing, c.Get("x") with { DType = "F32", Values = x }]), backend);
        if (Output(c.With(Without(shared)), backend) is not { } sum || Shared(sum.Expected) is not { } dense) return null;
        double[] values = [.. sum.Expected.Zip(dense.Expected, (s, d) => s + d)];
        // What the shared expert makes of the routed sum's own rounding, to first order: its change where every number is off by its bound.
        if (Shared([.. sum.Expected.Zip(sum.Bounds, (s, b) => s + b)]) is not { } above) return null;
        if (Shared([.. sum.Expected.Zip(sum.Bounds, (s, b) => s - b)]) is not { } below) return null;
        double Carried(int i) => Math.Abs(above.Expected[i] - dense.Expected[i]) + Math.Abs(below.Expected[i] - dense.Expected[i]);
        double[] bounds = [.. values.Select((_, i) => sum.Bounds[i] + dense.Bounds[i] + Carried(i))];
        const string words = "y is routed + shared(routed): the shared expert read the routed output";
        return of.AreOthers(values, bounds) ? new("shared expert", "reads the routed sum", words) : null;
    }

    /// <summary>Tokens of experts that return their input: it is lost, or another expert is there too.</summary>
    static Cause? IdentityExperts(Case c, Departure of, Func<IBackend> backend)
    {
        if (c.Dialect.IdentityExperts == 0 || c.Find("claim.expert") is not { } expert) return null;
        if (c.Find("claim.gate") is not { } gate || c.Find("experts.wi") is not { } wi) return null;
        var (k, x, first) = (expert.Size(-1), c.Find("experts.x") ?? c.Get("x"), wi.Size(0));
        var width = x.Size(-1);
        (double Sum, double Sizes) Passed(int i) =>
            Sum(Enumerable.Range(i / width * k, k).Where(j => expert.Values[j] >= first).Select(j => gate.Values[j] * x.Values[i]));
        if (of.ArePlus(i => (-Passed(i).Sum, Passed(i).Sizes), 2 * k))
            return new("identity experts", "lost", "the part of the identity experts is missing: their tokens' input was not added");
        if (Output(c.With(expert with { Values = [.. expert.Values.Select(e => e >= first ? 0 : e)] }), backend) is not { } clamped) return null;
        if ((of with { Expected = clamped.Expected, Bounds = clamped.Bounds }).ArePlus(Passed, 2 * k))
        {
            const string words = "every departing token chose an identity expert: expert 0 was added with that gate, its id clamped into the range";
            return new("identity experts", "with expert 0", words);
        }
        return of.AreOthers(clamped.Expected, clamped.Bounds)
            ? new("identity experts", "read as expert 0", "identity experts were read as expert 0, their id clamped into the range")
            : null;
    }

    /// <summary>Tokens that chose no expert get something all the same: their input, or that times its score.</summary>
    static Cause? NullExperts(Case c, Departure of)
    {
        if (c.Dialect.NullExperts == 0 || c.Find("claim.expert") is not { } expert || c.Find("experts.wi") is not { } wi) return null;
        var (k, x, first) = (expert.Size(-1), c.Find("experts.x") ?? c.Get("x"), wi.Size(0));
        var width = x.Size(-1);
        (double Sum, double Sizes) Passed(int i, Func<int, double> weight) =>
            Sum(Enumerable.Range(i / width * k, k).Where(j => expert.Values[j] >= first).Select(j => weight(j) * x.Values[i]));
        const string words = "who chose a null expert got its input back";
        if (of.ArePlus(i => Passed(i, _ => 1), 2 * k)) return new("null experts", "return their input", words);
        if (c.Find("claim.scores") is not { } scores) return null;
        double Score(int j) => scores.Values[j / k * scores.Size(-1) + (int)expert.Values[j]];
        return of.ArePlus(i => Passed(i, Score), 2 * k) ? new("null experts", "return their input", $"{words} times the null expert's score") : null;
    }

    /// <summary>
    /// Σ_j g_tj·o of other places: outputs that stand choice by choice were read token by token, or the other way round, or gates and outputs are in unlike
    /// order.
    /// </summary>
    static Cause? OfOtherChoices(Case c, Departure of, Func<IBackend> backend)
    {
        if (c.Find("claim.gate") is not { } gate || c.Dialect.ApplyGateTo != Routing.GatePlace.Output
            || gate.Size(-1) is not (> 1 and <= 16 and var k)) return null;
        var (count, width) = (gate.Values.Length, c.Get("x").Size(-1));
        var tokens = count / k;
        Departure? With(Func<int, double> value) => Output(c.With(gate with { Values = [.. Enumerable.Range(0, count).Select(value)] }), backend);
        if (With(_ => 0) is not { } rest) return null;
        Departure?[] outputs = [.. Enumerable.Range(0, k).Select(j => With(i => i % k == j && gate.Values[i] != 0 ? 1 : 0))];
        if (outputs.Any(o => o is null)) return null;
        // Place of choice j of token t among all outputs → (token, choice) whose output it has.
        (string Words, bool GatesMove, Func<int, int> From)[] orders =
        [
            ("the experts' outputs stand choice by choice and were read token by token: rows were cut into pieces of k", false,
                i => i % tokens * k + i / tokens),
            ("the experts' outputs stand token by token and were read choice by choice", false, i => i % k * tokens + i / k),
            ("outputs and gates stand choice by choice and were added up token by token", true, i => i % tokens * k + i / tokens),
            ("outputs and gates stand token by token and were added up choice by choice", true, i => i % k * tokens + i / k),
        ];
        foreach (var (words, moves, from) in orders)
        {
            double[] values = [.. rest.Expected], bounds = [.. rest.Bounds];
            for (var i = 0; i < count; i++)
                for (var m = 0; m < width; m++)
                {
                    var (source, to) = (from(i), i / k * width + m);
                    var (its, at, g) = (outputs[source % k]!, source / k * width + m, gate.Values[moves ? source : i]);
                    var output = its.Expected[at] - rest.Expected[at];
                    values[to] += g * output;
                    bounds[to] += Math.Abs(g) * (its.Bounds[at] + rest.Bounds[at]) + of.HalfUnit(g * output) + of.HalfUnit(values[to]);
                }
            if (of.AreOthers(values, bounds)) return new("choices", moves ? "regrouped" : "outputs regrouped", words);
        }
        return null;
    }

    static (double Sum, double Sizes) Sum(IEnumerable<double> terms)
    {
        double sum = 0, sizes = 0;
        foreach (var term in terms) (sum, sizes) = (sum + term, sizes + Math.Abs(term));
        return (sum, sizes);
    }

    /// <summary>What y is expected to be in a call, with bounds.</summary>
    internal static Departure? Output(Case c, Func<IBackend> backend) => Diagnosis.TryCheck(c, backend)?.Stages.FirstOrDefault(s => s.Stage == "y")?.Numbers;
}
