using SparseExperts.Cpu;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>A text that is continued from a cache has the bits of one whose every window is computed anew.</summary>
public sealed class CachedGenerationTests
{
    const int Context = 16;

    static readonly ModelConfig Small = new() { Width = 16, Layers = 3, Hidden = 24, HeadWidth = 8, Experts = 4, Context = Context };

    static readonly int[] Bytes = [.. Enumerable.Range(0, 3 * Context).Select(i => (int)(Philox.UniformDouble(new(3, 0), (ulong)i) * 256))];

    /// <summary>Positions of windows that grow from <paramref name="prompt"/> bytes until the context is full and slide then.</summary>
    static long Anew(int bytes, int prompt = 1) => Enumerable.Range(prompt, bytes - prompt + 1).Sum(n => Math.Min(n, Context));

    /// <summary>The least: every position once while the window grows.</summary>
    static long Least(int bytes) => Context + (bytes - Context) * Context;

    /// <summary>Compares all windows of a growing text and returns how many positions were computed with a cache.</summary>
    static long Computed(ModelConfig config, int bytes, int prompt = 1)
    {
        using var backend = new CpuBackend(1);
        var predictor = new Predictor(backend, config, seed: 5);
        // Routers that start near 0 think all experts alike; these decide.
        foreach (var router in predictor.Model.Parameters.Where(p => p.Name.Contains(".router", StringComparison.Ordinal)))
            backend.Write(router.Value, backend.ToDoubles(router.Value).Select(w => 8 * w).ToArray());
        using GrowingText kept = new(predictor), anew = new(predictor, caches: false);
        for (var n = prompt; n <= bytes; n++)
        {
            var window = Bytes.AsSpan(Math.Max(0, n - Context), Math.Min(n, Context)).ToArray();
            var (expected, failure) = Logits(anew, window);
            var (seen, sameFailure) = Logits(kept, window);
            Assert.Equal(failure, sameFailure);
            Assert.Equal(expected, seen);
        }
        Assert.Equal(Anew(bytes, prompt), anew.Computed);
        return kept.Computed;
    }

    /// <summary>Bits, or why there are none: some routers refuse some lengths.</summary>
    static (int[] Bits, string? Failure) Logits(GrowingText next, int[] window)
    {
        try
        {
            return (Array.ConvertAll(next.Logits(window), BitConverter.SingleToInt32Bits), null);
        }
        catch (RoutingException e)
        {
            return ([], e.Message);
        }
    }

    public static TheoryData<string> Names() => [.. BuiltIn.All.Select(d => d.Name)];

    [Theory, MemberData(nameof(Names))]
    public void No_dialect_gives_other_bits_with_a_cache(string name)
    {
        var dialect = BuiltIn.Named(name);
        var computed = Computed(Small with { Dialect = dialect }, Context + 4);
        if (!dialect.RoutesAlone) Assert.Equal(Anew(Context + 4), computed);
        else if (dialect.CapacityFormula == CapacityFormula.None) Assert.Equal(Least(Context + 4), computed);
    }

    [Theory]
    [InlineData(Positions.Rotary, Normalisation.LayerNorm)]
    [InlineData(Positions.T5Relative, Normalisation.RmsNorm)]
    public void A_dense_model_computes_one_position_a_step_until_its_context_is_full(Positions positions, Normalisation normalisation) =>
        Assert.Equal(Least(2 * Context), Computed(Small with { Experts = 0, Positions = positions, Normalisation = normalisation }, 2 * Context));

    [Theory]
    [InlineData(Positions.Rotary)]
    [InlineData(Positions.T5Relative)]
    public void So_does_one_whose_routers_drop_nobody(Positions positions) =>
        Assert.Equal(Least(Context + 3),
            Computed(Small with { Dialect = BuiltIn.Named("hf.mixtral"), SparseEvery = 2, Positions = positions }, Context + 3, prompt: 4));

    [Fact]
    public void Where_a_longer_text_serves_a_token_otherwise_all_from_there_on_is_computed_again()
    {
        ModelConfig With(double factor) => Small with { Dialect = ModelConfig.DefaultDialect with { EvalCapacityFactor = factor, MinCapacity = 0 } };
        Assert.Equal(Context, Computed(With(4), Context));             // as many slots as there are tokens
        Assert.Equal(Context, Computed(With(0.1), Context));           // none at all
        foreach (var factor in (double[])[0.6, 1, 1.5, 2.4]) Assert.InRange(Computed(With(factor), Context), Context + 1, Anew(Context) / 2);
    }

    /// <summary>All first choices are served before any second one, so that a later token can take an earlier one's slot.</summary>
    [Theory]
    [InlineData("mesh.top_2")]
    [InlineData("lingvo.top2")]
    public void Second_choices_can_lose_their_slots_to_later_tokens(string name)
    {
        var dialect = BuiltIn.Named(name) with
        {
            CapacityFactor = 0.8,
            EvalCapacityFactor = 0.8,
            MinCapacity = 0,
            Policy = Policy.All,
            EvalPolicy = Policy.All
        };
        Assert.True(dialect.RoutesAlone);
        Assert.InRange(Computed(Small with { Dialect = dialect }, Context), Context + 1, Anew(Context) - 1);
    }

    [Fact]
    public void Experts_that_choose_their_tokens_have_no_cache()
    {
        var config = Small with { Dialect = BuiltIn.Named("zhou.expert_choice") };
        Assert.Equal(Anew(Context + 2), Computed(config, Context + 2));
        using var backend = new CpuBackend(1);
        Assert.Null(((ICausalModel)new Predictor(backend, config, seed: 5).Model).NewCache());
    }

    [Fact]
    public void A_cache_serves_what_two_texts_have_in_common()
    {
        using var backend = new CpuBackend(1);
        var predictor = new Predictor(backend, Small with { Experts = 0 }, seed: 5);
        using GrowingText kept = new(predictor), anew = new(predictor, caches: false);
        foreach (var window in (int[][])[[1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4], [9, 2, 3, 4, 5], [9, 2, 3, 4, 5, 6, 7], [9]])
            Assert.Equal(anew.Logits(window), kept.Logits(window));
        Assert.Equal(3 + 1 + 1 + 5 + 2 + 1, kept.Computed);
    }

    [Theory]
    [InlineData("mesh.switch")]
    [InlineData("hf.mixtral")]
    [InlineData("zhou.expert_choice")]
    public void Generated_bytes_are_the_same(string dialect)
    {
        using var backend = new CpuBackend(1);
        var predictor = new Predictor(backend, Small with { Dialect = BuiltIn.Named(dialect) }, seed: 5);
        byte[] Text(bool caches) => Generation.Continue(predictor, "ab"u8, 2 * Context, 1, 0, 1, caches);
        Assert.Equal(Text(false), Text(true));
    }

    /// <summary>Several positions at once continue a text as well as one by one, and gradients are refused.</summary>
    [Fact]
    public void A_cache_serves_one_sequence_in_evaluation()
    {
        using var backend = new CpuBackend(1);
        var predictor = new Predictor(backend, Small with { Experts = 0 }, seed: 5);
        using var cache = ((ICausalModel)predictor.Model).NewCache()!;
        float[] Last(int[] ids, KeyValueCache? kept) =>
            predictor.Evaluate(new(ids.ToArray(), 1), (result, _) => backend.ToArray(result.Logits.Value.RowRange(ids.Length - 1, 1)), cache: kept);
        cache.Prepare(Bytes[..3]);
        Last(Bytes[..3], cache);
        cache.Prepare(Bytes[..11]);
        Assert.Equal(Last(Bytes[..11], null), Last(Bytes[3..11], cache));
        Assert.Equal(11, cache.Length);
        Assert.Throws<ArgumentException>(() => predictor.Evaluate(new(Bytes[..4].ToArray(), 2), (_, _) => 0, cache: cache));
        Assert.Throws<ArgumentException>(() => predictor.Model.Forward(new(Bytes[..4].ToArray(), 1), new() { Training = true, Cache = cache }));
    }
}
