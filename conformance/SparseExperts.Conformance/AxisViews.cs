using SparseExperts.Autograd;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Training;

namespace SparseExperts.Conformance;

/// <summary>What can be seen of a dialect: the answers to its probes, what an oracle says of others' answers, and a short training.</summary>
static class AxisViews
{
    /// <summary>The views of dialects near one, cheapest first; they share its inputs.</summary>
    public static IEnumerable<AxisView> Of(DialectAxis axis, Dialect subject)
    {
        yield return new("capacities", Capacities, IsGlance: true);
        yield return new("scores of a call in bfloat16", d => Refusable(() => NarrowScores(d)), IsGlance: true);
        // What a call has of weights is all that this axis says.
        if (axis.Name == "gated_experts" && Probes.Has(subject))
            yield return new("experts of probes", d => Refusable(() => string.Join(" ", Named(Probes.Of(d)[0].Case, "experts.").Select(t => t.Name))), true);
        var cases = Probes.Has(subject) ? Probes.Of(subject).Select(p => (p.Name, Case: WithEverything(p.Case))).ToArray() : [];
        foreach (var (name, asked) in cases) yield return new($"answers to {name}", d => Refusable(() => Print(Answered(asked.Under(d)))), IsGlance: true);
        foreach (var (name, asked) in cases.Take(2))
            yield return new($"answers to {name} in bfloat16", d => Refusable(() => Print(Answered(Narrow(asked).Under(d)))));
        foreach (var (name, asked) in cases)
        {
            if (asked.Find("draws.policy") is not { } policy) continue;
            var tied = asked.With(policy with { Values = [.. policy.Values.Select(_ => 0.25)] });
            yield return new($"answers to {name} with draws that tie", d => Refusable(() => Print(Answered(tied.Under(d)))));
        }
        foreach (var (name, asked) in cases)
            foreach (var (how, claims) in Others(asked)) yield return new($"verdict on {how} to {name}", d => Refusable(() => Verdict(claims.Under(d))));
        yield return new("training", d => Refusable(() => Train(d)));
    }

    /// <summary>
    /// What comes out of a layer itself, without what is computed beside it: a parameter or a state that a dialect only declares is no output. Of dialects
    /// of one kind, cheapest first.
    /// </summary>
    public static IEnumerable<AxisView> OfLayer(DialectAxis axis, Dialect subject)
    {
        yield return new("outputs of a training", d => Refusable(() => Outputs(d)));
        // Models choose activations, and compute in float32 here.
        if (!axis.IsFormat && axis.Name is not ("activation" or "gated_experts")) yield break;
        foreach (var view in Of(axis, subject))
            if (view.Name.Contains("probes", StringComparison.Ordinal) || view.Name.StartsWith("answers to plain", StringComparison.Ordinal)) yield return view;
    }

    /// <summary>Those in which experts are full and something is dropped.</summary>
    public static IEnumerable<AxisView> Few(Dialect subject)
    {
        foreach (var probe in Probes.Has(subject) ? Probes.Of(subject).Where(p => p.Name.StartsWith("padding-", StringComparison.Ordinal)) : [])
        {
            var asked = WithEverything(probe.Case);
            yield return new($"answers to {probe.Name}", d => Refusable(() => Print(Answered(asked.Under(d)))));
        }
        yield return new("training", d => Refusable(() => Train(d)));
    }

    /// <summary>A refusal in one line is an answer; anything else that is thrown breaks the law.</summary>
    static string Refusable(Func<string> see)
    {
        try
        {
            return see();
        }
        catch (Exception e) when (e is RoutingException or CaseException or DialectException or ConfigurationException)
        {
            return AxisLaw.Refused;
        }
    }

    /// <summary>The case with every draw and every state that a neighbour of its dialect could ask for; what nobody reads does no harm.</summary>
    static Case WithEverything(Case asked)
    {
        var call = CaseCall.Of(asked);
        long g = call.Groups, s = call.Size, e = call.Experts, m = asked.Get("x").Shape[^1], parts = Math.Max(1, call.Dialect.Groups);
        var added = new List<CaseTensor>();
        void Add(string name, Func<RandomStream, ulong, double> draw, params long[] shape)
        {
            var stream = new RandomStream(23, (ulong)name.Length * 31 + name[^1]);
            var count = (int)shape.Aggregate((a, b) => a * b);
            if (!asked.Has(name)) added.Add(new(name, "F32", shape, [.. Enumerable.Range(0, count).Select(i => (double)(float)draw(stream, (ulong)i))]));
        }
        foreach (var name in (string[])["input_dropout", "jitter"]) Add($"draws.{name}", (r, i) => 0.75 + 0.5 * Philox.UniformDouble(r, i), g, s, m);
        foreach (var name in (string[])["sample", "uniform_gumbel", "second_place_sample", "rts"]) Add($"draws.{name}", Philox.UniformDouble, g, s, e);
        Add("draws.noise", Philox.Normal, g, s, e);
        Add("draws.policy", Philox.UniformDouble, g, s, call.K);
        Add("draws.second_place", Philox.UniformDouble, g, s);
        Add("draws.primary_noise", Philox.Normal, g, s, parts);
        Add("draws.secondary_noise", Philox.Normal, g, s, parts, e / parts);
        Add("router.correction_bias", (r, i) => Philox.UniformDouble(r, i) - 0.5, e);
        if (asked.Has("router.weight")) Add("router.noise_weight", (r, i) => Philox.UniformDouble(r, i) - 0.5, e, m);
        return asked.With(added);
    }

    static Case Narrow(Case asked) => asked.With(asked.Tensors.Where(t => t.DType == "F32" && !t.Name.StartsWith("draws.", StringComparison.Ordinal))
        .Select(t => t with { DType = "BF16", Values = Array.ConvertAll(t.Values, v => Rounding.To(NumberFormat.BFloat16, v)) }));

    /// <summary>In double precision, so that float32 is a format like others.</summary>
    static Case Answered(Case asked)
    {
        using var backend = new ScalarBackend<Float64>();
        return CaseAnswers.Fill(asked, backend);
    }

    /// <summary>Answers of other implementations: choices in another order, equals settled otherwise, tokens served from the last, narrow scores.</summary>
    static IEnumerable<(string How, Case Claims)> Others(Case asked)
    {
        Case? answer = null;
        if (Refusable(() => Print(answer = Answered(asked))) == AxisLaw.Refused || answer is not { } answered || !answered.Has("claim.expert")) yield break;
        IEnumerable<CaseTensor> Claims(Case from, params string[] names) => names.Select(n => from.Find($"claim.{n}")).OfType<CaseTensor>();
        bool Stays(CaseTensor t, bool all) => t.Shape.Length < 3 || t.Name is "claim.logits" or "claim.scores" && !all;
        Case Routes(Case from, Func<CaseTensor, CaseTensor> change, bool all = false) =>
            asked.With(Claims(from, "logits", "scores", "expert", "slot", "capacity").Select(t => Stays(t, all) ? t : change(t)));
        yield return ("choices in reverse order", Routes(answered, t => t with { Values = [.. t.Values.Chunk(t.Size(-1)).SelectMany(row => row.Reverse())] }));
        yield return ("equals settled otherwise", Routes(Answered(asked.Under(asked.Dialect with { Ties = TieRule.Highest })), t => t));
        var size = asked.Get("x").Size(1);
        CaseTensor Turned(CaseTensor t)
        {
            var rows = t.Values.Chunk(t.Values.Length / (t.Size(0) * t.Size(1)));
            return t with { Values = [.. rows.Chunk(size).SelectMany(group => group.Reverse().SelectMany(row => row))] };
        }
        var ofTokens = asked.Tensors.Where(t => t.Shape.Length > 1 && t.Shape[0] == asked.Get("x").Shape[0] && t.Shape[1] == size);
        yield return ("tokens served from the last", Routes(Answered(asked.With(ofTokens.Select(Turned))), Turned, all: true));
        var narrow = Answered(Narrow(asked));
        yield return ("scores kept in bfloat16", Narrow(asked.With(Claims(narrow, "logits", "scores", "gate"))));
    }

    static string Verdict(Case claims)
    {
        using var backend = new ScalarBackend<Tracked>();
        return string.Join(" ", CaseCheck.Run(claims, backend).Stages.Select(s => $"{s.Stage}:{s.Outcome}"));
    }

    static string NarrowScores(Dialect d)
    {
        using var backend = new ScalarBackend<Float32>();
        using var tape = new Tape(backend);
        var call = new RouterCall { Dialect = d, Groups = 1, Size = 3, Experts = 4, Training = false, ScoreFormat = NumberFormat.BFloat16 };
        var scores = RouterScores.Compute(tape, call, tape.Constant(3, 4, [.. Enumerable.Range(0, 12).Select(i => i * i % 7 / 3f)]));
        return Print([.. backend.ToArray(scores.Value).Select(v => (double)v)]);
    }

    /// <summary>Slots of an expert for groups of odd sizes, uneven loads and three factors.</summary>
    static string Capacities(Dialect d) => string.Join(" ",
        from size in (int[])[1, 7, 50, 200]
        from experts in (int[])[4, 10]
        from factor in (double?[])[null, 0.7, 1.1, -0.5]
        from training in (bool[])[false, true]
        select Refusable(() => Capacity(d, size, experts, factor, training)));

    static string Capacity(Dialect d, int size, int experts, double? factor, bool training)
    {
        var changed = factor is { } f ? d with { CapacityFactor = f, EvalCapacityFactor = d.EvalCapacityFactor is null ? null : f + 0.25 } : d;
        var call = new RouterCall { Dialect = changed, Groups = 1, Size = size, Experts = experts, Training = training };
        return $"{CapacityRule.Capacity(call, [3, 5, 2, 4])}/{CapacityRule.Reported(call, [3, 5, 2, 4])}";
    }

    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 3000).Select(i => (byte)(97 + i * i % 23 % 7 + i % 3))], 8);

    /// <summary>Two steps of a small language model, and an evaluation.</summary>
    static string Train(Dialect d)
    {
        using var backend = new ScalarBackend<Float32>();
        var config = new ModelConfig { Width = 8, HeadWidth = 8, Layers = 2, Hidden = 8, Experts = 4, Context = 8, Dialect = d };
        var trainer = new Trainer(backend, config, new() { Batch = 3, Steps = 4, WarmUp = 1, Rate = 3e-2 });
        for (var step = 0; step < 3; step++) trainer.Train(Text, step / 4.0);
        var matrices = trainer.Model.Parameters.Select(p => p.Value).Concat(trainer.Model.State.Select(s => s.Value));
        return Print([.. matrices.SelectMany(m => backend.ToArray(m)).Select(v => (double)v), Evaluation.Run(trainer, Text.HeldOut, 2).BitsPerByte]);
    }

    /// <summary>Losses and norms of three steps, what the model then answers, and every loss of its layers by its name.</summary>
    static string Outputs(Dialect d)
    {
        using var backend = new ScalarBackend<Float32>();
        var config = new ModelConfig { Width = 8, HeadWidth = 8, Layers = 2, Hidden = 8, Experts = 4, Context = 8, Dialect = d };
        var trainer = new Trainer(backend, config, new() { Batch = 3, Steps = 4, WarmUp = 1, Rate = 3e-2 });
        var steps = Enumerable.Range(0, 3).Select(step => trainer.Train(Text, step / 4.0)).SelectMany(r => new[] { r.BitsPerByte, r.GradientNorm }).ToArray();
        var batch = ByteBatches.Windows(Text.HeldOut.ToArray(), config, 2, 2).First();
        return trainer.Evaluate(batch, (result, _) =>
        {
            var losses = result.Sparse.SelectMany(layer => layer.Losses).Select(l => $"{l.Name}:{Print([l.Coefficient, backend.ToArray(l.Value.Value)[0]])}");
            return $"{Print(steps)} {Print([.. backend.ToArray(result.Logits.Value).Select(v => (double)v)])} {string.Join(" ", losses)}";
        });
    }

    static IEnumerable<CaseTensor> Named(Case of, string start) => of.Tensors.Where(t => t.Name.StartsWith(start, StringComparison.Ordinal));

    static string Print(Case answered) => string.Join(" ", Named(answered, "claim.").OrderBy(t => t.Name, StringComparer.Ordinal)
        .Select(t => $"{t.Name}{string.Join("x", t.Shape)}:{Print(t.Values)}"));

    /// <summary>FNV-1a over the bits.</summary>
    static string Print(double[] values)
    {
        var hash = 14695981039346656037UL;
        foreach (var value in values) hash = (hash ^ (ulong)BitConverter.DoubleToInt64Bits(value)) * 1099511628211;
        return hash.ToString("x16");
    }
}
