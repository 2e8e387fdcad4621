using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// From gradients that depart to the part of the backward pass that is wrong. A gradient is a sum of parts: through the routed experts, through the shared one,
/// through the gates, and through each auxiliary loss; one of them may be missing, or count otherwise.
/// </summary>
static class GradientCauses
{
    /// <summary>One part of every gradient.</summary>
    /// <param name="Numbers">By stage, its numbers and their bounds.</param>
    sealed record Part(string Name, string Words, IReadOnlyDictionary<string, Departure> Numbers)
    {
        public bool Is(string stage) => Numbers.TryGetValue(stage, out var own) && own.Expected.Any(v => v != 0);
    }

    public static FoundCauses Find(Case held, Verdict verdict, Func<IBackend> backend)
    {
        var bare = held.Without(held.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.loss.", StringComparison.Ordinal)
            || n is "claim.y" or "claim.count"));
        StageVerdict[] gradients = [.. verdict.Stages.Where(s => s.Stage.StartsWith("grad.", StringComparison.Ordinal))];
        Part[] parts = [.. Parts(bare, backend)];
        List<Cause> found = [];
        foreach (var (which, factor) in Faults(bare.Dialect, parts))
        {
            bool Fits(StageVerdict stage) => stage.Numbers is { } of && Explains(of, stage.Stage, which, factor);
            bool IsTouched(StageVerdict stage) => which.Any(p => p.Is(stage.Stage));
            StageVerdict[] touched = [.. gradients.Where(IsTouched)], wrong = [.. gradients.Where(s => s.Outcome == Outcome.Differs)];
            // The same fault in every gradient that has the part; or, of a part that several have, in one of them alone.
            var isWhole = wrong.All(s => IsTouched(s) && Fits(s)) && touched.All(Fits);
            var isOne = !isWhole && wrong.Length == 1 && IsTouched(wrong[0]) && Fits(wrong[0]);
            if (isWhole || isOne) found.Add(Named(which, factor, parts, isOne ? wrong[0].Stage : null));
            if (isWhole) break;
        }
        if (found.Count == 0 && OfExperts(held, verdict.Culprit!) is { } some) found.Add(some);
        return new(found);
    }

    /// <summary>Experts that get no gradient, or a gradient whose matrices stand transposed, where nothing else of it departs.</summary>
    static Cause? OfExperts(Case held, StageVerdict stage)
    {
        var name = stage.Stage["grad.".Length..];
        if (!name.StartsWith("experts.", StringComparison.Ordinal) || stage.Numbers is not { } of) return null;
        if (held.Find(name) is not { Shape.Length: > 1 } tensor) return null;
        var (experts, size) = (tensor.Size(0), tensor.Values.Length / Math.Max(1, tensor.Size(0)));
        if (of.Claimed.Length != tensor.Values.Length) return null;
        bool IsEmpty(int e) => of.Claimed.AsSpan(e * size, size).IndexOfAnyExcept(0.0) < 0;
        int[] empty = [.. of.Places.Select(i => i / size).Distinct().Where(IsEmpty)];
        if (empty.Length > 0 && of.Places.All(i => empty.Contains(i / size)))
            return new(stage.Stage, $"experts {string.Join(", ", empty)} missing",
                $"{(empty.Length == 1 ? "expert" : "experts")} {string.Join(", ", empty)} of {experts} got no gradient of {name}");
        if (tensor.Shape.Length != 3) return null;
        int n = tensor.Size(1), m = tensor.Size(2);
        double[] Transposed(double[] all, int a, int b) => [.. Enumerable.Range(0, all.Length).Select(i => all[i / size * size + i % a * b + i % size / a])];
        bool Are(int a, int b) => of.AreOthers(Transposed(of.Expected, a, b), Transposed(of.Bounds, a, b));
        return Are(n, m) || Are(m, n)
            ? new(stage.Stage, "transposed", $"the gradient of {name} has its matrices transposed")
            : null;
    }

    /// <summary>Whether claims are what is expected with some parts times a factor.</summary>
    static bool Explains(Departure of, string stage, Part[] which, double factor)
    {
        Departure[] own = [.. which.Select(p => p.Numbers.GetValueOrDefault(stage)).OfType<Departure>()];
        if (own.Length == 0 || own.Any(p => p.Expected.Length != of.Expected.Length)) return false;
        double[] values = [.. of.Expected.Select((v, i) => v + (factor - 1) * own.Sum(p => p.Expected[i]))];
        double[] bounds = [.. of.Bounds.Select((b, i) => b + Math.Abs(factor - 1) * own.Sum(p => p.Bounds[i]))];
        return of.AreOthers(values, bounds);
    }

    /// <summary>Parts and factors that are tried: one part, then the two that the router learns from, then all that goes through y.</summary>
    static IEnumerable<(Part[] Which, double Factor)> Faults(Dialect d, Part[] parts)
    {
        double[] factors = [.. new[] { 0, 2, 4, 8, 16, 3, d.K, 1.0 / d.K, 0.5, 0.25, -1 }.Where(f => f != 1).Distinct()];
        foreach (var part in parts)
            foreach (var factor in factors) yield return ([part], factor);
        Part[] losses = [.. parts.Where(p => p.Name.StartsWith("loss", StringComparison.Ordinal))], others = [.. parts.Except(losses)];
        if (losses.Length > 1)
            foreach (var factor in factors) yield return (losses, factor);
        if (others.Length > 1)
            foreach (var factor in factors) yield return (others, factor);
        var gates = parts.FirstOrDefault(p => p.Name == "gates");
        if (gates is not null && losses.Length > 0) yield return ([gates, .. losses], 0);
    }

    static Cause Named(Part[] which, double factor, Part[] all, string? alone)
    {
        var isLoss = which.All(p => p.Name.StartsWith("loss", StringComparison.Ordinal));
        var times = Multiples.Text(factor);
        var losses = all.Count(p => p.Name.StartsWith("loss", StringComparison.Ordinal));
        var loss = isLoss && which.Length == 1 && losses > 1 ? $"the loss {which[0].Name["loss.".Length..]}" : "the auxiliary loss";
        var where = alone is null ? "" : $" of {alone["grad.".Length..]}";
        var value = factor == 0 ? "missing" : $"times {times}";
        if (isLoss) return new("losses", factor == 0 ? "not attached" : value,
            factor == 0 ? $"{loss} is not in the gradient{where}" : $"{loss} counts {times} times in the gradient{where}");
        if (which is [{ Name: "gates" }])
            return factor == 0
                ? new("gates", "detached", alone is null
                    ? "the gradient through the gates is missing: they were detached, so that the router learns nothing from the task"
                    : $"the gradient{where} has no part through the gates")
                : new("gates", value, $"the gradient{where} through the gates counts {times} times");
        if (which.Length > 1 && which.Any(p => p.Name.StartsWith("loss", StringComparison.Ordinal)))
            return new("router", "detached", "the router gets no gradient at all: neither through the gates nor through the losses");
        if (which.Length > 1)
            return factor == 0
                ? new("y", "not in the gradient", $"the gradient{where} has the auxiliary losses alone: the part through y is missing")
                : new("y", value, $"the part through y counts {times} times in the gradient{where}");
        var hasGates = all.Any(p => p.Name == "gates" && (alone is null || p.Is(alone)));
        if (factor == 0 && which[0].Name == "routed experts" && alone == "grad.x" && hasGates)
            return new("routed experts", "missing",
                "x's gradient has the part through the gates only; the experts' part is missing: the backward pass did not bring it back");
        return new(which[0].Name, value, factor == 0 ? $"the gradient{where} has no part through {which[0].Words}"
            : $"the part through {which[0].Words} counts {times} times in the gradient{where}");
    }

    /// <summary>The parts of the gradients of a call; one backward pass each.</summary>
    static IEnumerable<Part> Parts(Case c, Func<IBackend> backend)
    {
        Dictionary<string, Departure> Of(Case of) => Diagnosis.TryCheck(of, backend)?.Stages
            .Where(s => s.Stage.StartsWith("grad.", StringComparison.Ordinal) && s.Numbers is not null).ToDictionary(s => s.Stage, s => s.Numbers!) ?? [];
        CaseTensor Zero(CaseTensor t) => t with { Values = new double[t.Values.Length] };
        var quiet = c.With(new CaseTensor("cotangent.losses", "F32", [1], [0]));
        if (c.Find("cotangent.y") is { } cotangent)
        {
            var whole = Of(quiet);
            var direct = Of(quiet.WithConstantGates);
            bool IsShared(string stage) => stage.StartsWith("grad.shared.", StringComparison.Ordinal);
            bool IsRouter(string stage) => stage.StartsWith("grad.router.", StringComparison.Ordinal);
            bool IsExperts(string stage) => stage.StartsWith("grad.experts.", StringComparison.Ordinal) && stage != "grad.experts.x";
            Dictionary<string, Departure> Those(Dictionary<string, Departure> all, Func<string, bool> which) => all.Where(p => which(p.Key)).ToDictionary();
            var isFed = c.Has("experts.x");
            var shared = new Dictionary<string, Departure>();
            if (c.Has("shared.wo"))
            {
                CaseTensor[] nothing = [.. new[] { "experts.wo", "experts.bo", "experts.output_bias" }.Select(c.Find).OfType<CaseTensor>().Select(Zero)];
                shared = Those(Of(quiet.With(nothing).WithConstantGates), stage => !IsExperts(stage) && !IsRouter(stage));
            }
            var routed = Those(Minus(direct, shared), stage => !IsShared(stage) && !IsRouter(stage) && (!isFed || stage != "grad.x"));
            yield return new("routed experts", "the routed experts", routed);
            if (shared.Count > 0) yield return new("shared expert", "the shared expert", shared);
            var gates = Those(Minus(whole, direct), stage => !IsExperts(stage) && !IsShared(stage));
            if (gates.Values.Any(g => g.Expected.Any(v => v != 0))) yield return new("gates", "the gates", gates);
            c = c.With(Zero(cotangent));
        }
        foreach (var (name, alone) in LossCoefficients.Each(c.Dialect))
            if (Of(c.Under(alone)) is { } own && own.Values.Any(g => g.Expected.Any(v => v != 0))) yield return new($"loss.{name}", $"the loss {name}", own);
    }

    /// <summary>Differences, stage by stage.</summary>
    static Dictionary<string, Departure> Minus(Dictionary<string, Departure> a, Dictionary<string, Departure> b) => a.ToDictionary(p => p.Key, p =>
        b.TryGetValue(p.Key, out var less)
            ? p.Value with
            {
                Expected = [.. p.Value.Expected.Zip(less.Expected, (x, y) => x - y)],
                Bounds = [.. p.Value.Bounds.Zip(less.Bounds, (x, y) => x + y)],
            }
            : p.Value);
}
